//! `prestage doctor`: can this machine build?

use prestage_seal::{KeyRing, KeySource};
use prestage_store::{ObjectKey, ObjectUrl, Objects, PutRule, StoreOptions};
use serde_json::{Value, json};

use crate::{
    args::LocalArgs,
    error::CliError,
    output::{Output, list, text},
    settings::{cores, default_data_dir},
};

/// Tries what a build needs.
pub async fn doctor(args: &LocalArgs, output: Output) -> Result<(), CliError> {
    let data_dir = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir()?,
    };
    let objects = match args.objects.as_str() {
        "" => ObjectUrl::Local(
            std::path::absolute(data_dir.join("objects"))
                .unwrap_or_else(|_| data_dir.join("objects")),
        ),
        url => ObjectUrl::parse(url)?,
    };
    let store = try_store(&objects).await;
    let keys = try_keys(args.seal.or_in(&data_dir)).await;
    let checks = vec![
        check("cores", Ok(cores().to_string())),
        check("object store can be written and read", store.map(|()| objects.to_string())),
        check("seal keys can be used (the first one seals, the others open)", keys),
    ];
    let sound = checks.iter().all(|check| check["ok"] == true);
    output.print(&json!({ "ok": sound, "checks": checks }), |document| {
        let lines = list(document, "checks").map(|check| {
            let mark = if check["ok"] == true { "ok " } else { "NOT" };
            format!("{mark} {}: {}", text(check, "what"), text(check, "detail"))
        });
        lines.collect::<Vec<_>>().join("\n")
    })?;
    if sound { Ok(()) } else { Err(CliError::failed("this machine can't build yet", "see above")) }
}

fn check(what: &str, outcome: Result<String, CliError>) -> Value {
    match outcome {
        Ok(detail) => json!({ "what": what, "ok": true, "detail": detail }),
        Err(error) => json!({ "what": what, "ok": false, "detail": error.to_string() }),
    }
}

/// Names the keys. None is made: that is left to the first plan.
async fn try_keys(sources: Vec<KeySource>) -> Result<String, CliError> {
    if let [KeySource::File(path)] = &sources[..]
        && !path.exists()
    {
        return Ok(format!("the first plan makes {}", path.display()));
    }
    let keys = KeyRing::open(&sources).await;
    let keys = keys.map_err(|error| CliError::failed(error.to_string(), ""))?;
    let names: Vec<String> = keys.keys().map(|(id, source)| format!("{id} ({source})")).collect();
    Ok(names.join(", "))
}

async fn try_store(url: &ObjectUrl) -> Result<(), CliError> {
    let objects = Objects::open_with(url, &StoreOptions::from_env()).await?;
    let name = format!("doctor/{}", uuid::Uuid::new_v4().simple());
    let key = ObjectKey::new(name).map_err(prestage_store::StoreError::from)?;
    objects.put_small(&key, "well".into(), PutRule::Overwrite).await?;
    let read = objects.get(&key, 1024).await;
    objects.delete(&key).await?;
    if read? == "well" {
        return Ok(());
    }
    Err(CliError::failed("the object store gave other bytes than it was given", ""))
}
