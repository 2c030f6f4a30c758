//! `prestage seal`: the keys that secrets in plans are under.

use std::path::{Path, PathBuf};

use prestage_coordinator::{
    plan::{rewrap_plan, sealed_under},
    state::{StatePlace, StateStore},
};
use prestage_seal::{KeyId, KeyRing};
use serde_json::{Value, json};

use super::{build::read_plan, plan::save};
use crate::{
    args::{KeyPlaceArgs, SealCommand, SealRotateArgs, SealStatusArgs},
    error::CliError,
    output::{Output, list, table, text},
    settings::{default_data_dir, shared_state},
};

/// A plan that the release before sealed does not say which key it takes.
const UNNAMED: &str = "(of the release before)";

/// Runs one of them.
pub async fn seal(command: SealCommand, output: Output) -> Result<(), CliError> {
    match command {
        SealCommand::Rotate(args) => rotate(&args, output).await,
        SealCommand::Status(args) => status(&args, output).await,
    }
}

async fn rotate(args: &SealRotateArgs, output: Output) -> Result<(), CliError> {
    let keys = ring(&args.keys, &data_dir(&args.keys)?).await?;
    let mut plans = Vec::new();
    for path in &args.plans {
        let rewrapped = rewrap_plan(&read_plan(path)?, &keys).await;
        let rewrapped = rewrapped.map_err(|error| wrong(path, &error))?;
        if let Some(plan_json) = &rewrapped {
            save(path, plan_json)?;
        }
        plans.push(json!({ "plan": path, "rewrapped": rewrapped.is_some() }));
    }
    let current = keys.keys().next().map(|(id, _)| id.to_string());
    output.print(&json!({ "key": current, "plans": plans }), |document| {
        let key = text(document, "key");
        let lines = list(document, "plans").map(|plan| {
            let done = if plan["rewrapped"] == true { "is now" } else { "was already" };
            format!("{} {done} under the key {key}", text(plan, "plan"))
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

async fn status(args: &SealStatusArgs, output: Output) -> Result<(), CliError> {
    let data_dir = data_dir(&args.keys)?;
    let ring = ring(&args.keys, &data_dir).await?;
    let mut plans = Vec::new();
    for path in &args.plans {
        let keys = sealed_under(&read_plan(path)?).map_err(|error| wrong(path, &error))?;
        plans.push((path.display().to_string(), keys));
    }
    let builds = running(&shared_state(args.state.as_deref())?, &data_dir).await?;
    let under = |id: &str, of: &[(String, Vec<Option<KeyId>>)]| -> Vec<String> {
        let of = of.iter().filter(|(_, keys)| keys.iter().any(|key| name(key.as_ref()) == id));
        of.map(|(name, _)| name.clone()).collect()
    };
    let mut known: Vec<(String, String)> =
        ring.keys().map(|(id, source)| (id.to_string(), source.to_string())).collect();
    for key in plans.iter().chain(&builds).flat_map(|(_, keys)| keys) {
        let id = name(key.as_ref());
        if !known.iter().any(|(known, _)| *known == id) {
            known.push((id, String::new()));
        }
    }
    let rows = known.iter().enumerate().map(|(place, (id, source))| {
        let (builds, plans) = (under(id, &builds), under(id, &plans));
        json!({ "key": id, "source": source, "current": place == 0, "builds": builds, "plans": plans })
    });
    output.print(&json!({ "keys": rows.collect::<Vec<_>>() }), show)
}

fn show(document: &Value) -> String {
    let mut rows = table(&["key", "from", "use", "running builds", "plans"]);
    for key in list(document, "keys") {
        let count = |field: &str| list(key, field).count().to_string();
        let source = text(key, "source");
        let what = match (key["current"] == true, source) {
            (true, _) => "current",
            (false, "") => "not here",
            (false, _) => "only opens",
        };
        rows.add_row([text(key, "key"), source, what, &count("builds"), &count("plans")]);
    }
    rows.to_string()
}

/// The plans of running builds, and what they are under.
async fn running(
    state: &StatePlace,
    data_dir: &Path,
) -> Result<Vec<(String, Vec<Option<KeyId>>)>, CliError> {
    if !state.is_shared() && !data_dir.join("state.sqlite").exists() {
        return Ok(Vec::new());
    }
    let failed =
        |error: prestage_coordinator::state::StateError| CliError::failed(error.to_string(), "");
    let store = state.open(data_dir).await.map_err(failed)?;
    let running = store.running().await.map_err(failed)?;
    let builds = running.into_iter().map(|(build, _)| {
        let keys = sealed_under(&build.plan_json);
        let keys = keys.map_err(|error| CliError::failed(error.to_string(), ""))?;
        Ok((build.build_id, keys))
    });
    builds.collect()
}

fn name(key: Option<&KeyId>) -> String {
    key.map_or_else(|| UNNAMED.to_owned(), ToString::to_string)
}

fn data_dir(args: &KeyPlaceArgs) -> Result<PathBuf, CliError> {
    args.data_dir.clone().map_or_else(default_data_dir, Ok)
}

/// The keys that there are. None is made: a new one would open nothing.
async fn ring(args: &KeyPlaceArgs, data_dir: &Path) -> Result<KeyRing, CliError> {
    let sources = args.seal.or_in(data_dir);
    if let Some(prestage_seal::KeySource::File(path)) = sources.first()
        && !path.exists()
    {
        let what = format!("there is no seal key {}", path.display());
        let advice =
            "name the coordinator's with --seal-key; for a new one: head -c 32 /dev/urandom";
        return Err(CliError::wrong(what, advice));
    }
    KeyRing::open(&sources).await.map_err(|error| CliError::failed(error.to_string(), ""))
}

fn wrong(path: &Path, error: &dyn std::error::Error) -> CliError {
    CliError::wrong(error.to_string(), "").at(path.display().to_string())
}
