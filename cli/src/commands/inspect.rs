//! `prestage inspect`: what is on a medium.

use std::collections::BTreeMap;

use prestage_media::{Secret, SecretSource, variables, volume};
use prestage_wim::{Part, Wim, metadata::ImageTree};
use serde_json::{Value, json};

use crate::{
    args::{InspectArgs, PasswordArgs},
    error::CliError,
    medium::Medium,
    output::{Output, bytes, list, number, table, text},
};

/// Files that are read whole are small.
const SMALL_FILE_BYTES_MAX: u64 = 16 << 20;

/// Shows it.
pub async fn inspect(args: &InspectArgs, output: Output) -> Result<(), CliError> {
    let password = args.password.read()?;
    let medium = Medium::open(&args.wim).await?;
    let wim = &medium.wim;
    let mut tree = wim.tree(1).await?;
    let images = wim.images()?;
    let image = images.first();
    let sizes = wim.blobs_by_sha1();
    let statistics =
        tree.statistics(|sha1| sizes.get(sha1).map_or(0, |blob| blob.resource.original_bytes));
    let document = json!({
        "medium": medium.url.to_string(),
        "bytes": medium.bytes,
        "format": wim.header.format.map_or("none".into(), |format| format.to_string()),
        "chunk_bytes": wim.header.chunk_bytes,
        "guid": hex::encode(wim.header.guid),
        "images": wim.header.image_count,
        "boot_index": wim.header.boot_index,
        "integrity_table": wim.header.integrity.stored_bytes > 0,
        "padding_bytes": wim.parts().iter().map(|part| padding(wim, part)).sum::<u64>(),
        "volumes": wim.parts().iter().map(|part| volume(wim, part)).collect::<Vec<_>>(),
        "os_image": image.map(|image| json!({
            "name": image.name,
            "description": image.description,
            "edition": image.edition,
            "version": image.version,
            "architecture": image.architecture,
        })),
        "directories": statistics.directories,
        "files": statistics.files,
        "content_bytes": statistics.total_bytes,
        "boot_image": tree.find(volume::BOOT_IMAGE).is_some(),
        "contents": contents(&tree, wim, medium.manifest.as_ref()),
        "bootstrap": bootstrap(&mut tree, wim).await?,
        "variables": media_variables(&mut tree, wim, password.as_ref(), args.show_values).await?,
    });
    output.print(&document, show)
}

impl PasswordArgs {
    /// The media password, if it was named.
    pub fn read(&self) -> Result<Option<Secret>, CliError> {
        let source = match (&self.password_env, &self.password_file) {
            (Some(name), _) => SecretSource::Env(name.clone()),
            (None, Some(file)) => SecretSource::File(file.clone()),
            (None, None) => return Ok(None),
        };
        source.read().map(Some).map_err(|error| CliError::wrong(error.to_string(), ""))
    }
}

fn volume(wim: &Wim, part: &Part) -> Value {
    let (bytes, padding) = (part.source.size(), padding(wim, part));
    json!({
        "name": part.source.name(),
        "bytes": bytes,
        "padding_bytes": padding,
        "padding_percent": percent(padding, bytes),
    })
}

/// Bytes of a volume that are in no resource and no table.
fn padding(wim: &Wim, part: &Part) -> u64 {
    let header = &part.header;
    let tables = [header.blob_table, header.xml, header.integrity];
    let own = wim.blobs.iter().filter(|blob| blob.part == header.part);
    let resources = own.map(|blob| blob.resource).chain(tables);
    let used: u64 = resources.map(|resource| resource.stored_bytes).sum();
    part.source.size().saturating_sub(used + prestage_wim::HEADER_BYTES)
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn contents(tree: &ImageTree, wim: &Wim, manifest: Option<&Value>) -> Vec<Value> {
    let sizes = wim.blobs_by_sha1();
    let mut folders: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let prefix = format!("{}/", volume::CONTENTS).to_lowercase();
    for (path, node) in tree.walk() {
        let below = path.to_lowercase().starts_with(&prefix).then(|| &path[prefix.len()..]);
        let Some((folder, _)) = below.map(|below| below.split_once('/').unwrap_or((below, "")))
        else {
            continue;
        };
        let counts = folders.entry(folder.to_owned()).or_default();
        for stream in tree.entry(node).streams() {
            if let Some(blob) = sizes.get(&stream.sha1) {
                counts.0 += 1;
                counts.1 += blob.resource.original_bytes;
            }
        }
    }
    let of_manifest = |folder: &str| {
        manifest.and_then(|m| list(m, "contents").find(|c| text(c, "folder") == folder))
    };
    let one = |(folder, (files, bytes)): (String, (u64, u64))| {
        let known = of_manifest(&folder);
        json!({
            "folder": folder,
            "files": files,
            "bytes": bytes,
            "content_id": known.map(|content| text(content, "content_id")),
            "name": known.map(|content| text(content, "name")),
            "version": known.map(|content| number(content, "version")),
        })
    };
    folders.into_iter().map(one).collect()
}

/// A small file of a medium; `None` if it has none of that name.
pub async fn read_file(
    tree: &mut ImageTree,
    wim: &Wim,
    path: &str,
) -> Result<Option<Vec<u8>>, CliError> {
    let Some(node) = tree.find(path) else {
        return Ok(None);
    };
    let streams = tree.entry(node).streams();
    let blobs = wim.blobs_by_sha1();
    let data = streams.iter().find(|stream| stream.name.is_none());
    let Some(blob) = data.and_then(|stream| blobs.get(&stream.sha1)) else {
        return Ok(None);
    };
    Ok(Some(wim.read_blob(blob).await?.read_all(SMALL_FILE_BYTES_MAX).await?))
}

async fn bootstrap(tree: &mut ImageTree, wim: &Wim) -> Result<Value, CliError> {
    let Some(file) = read_file(tree, wim, volume::BOOTSTRAP).await? else {
        return Ok(Value::Null);
    };
    let file = String::from_utf8_lossy(&file).into_owned();
    let pairs = file.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), Value::from(value.trim())))
        .collect::<serde_json::Map<_, _>>()
        .into())
}

async fn media_variables(
    tree: &mut ImageTree,
    wim: &Wim,
    password: Option<&Secret>,
    show_values: bool,
) -> Result<Value, CliError> {
    let Some(file) = read_file(tree, wim, volume::VARIABLES).await? else {
        return Ok(Value::Null);
    };
    match variables::decode(&file, password) {
        Ok(variables) => {
            let value = |secret: &Secret| match show_values && password.is_some() {
                true => Value::from(secret.expose()),
                false => Value::from("…"),
            };
            let pairs = variables.iter().map(|(name, secret)| (name.to_owned(), value(secret)));
            Ok(Value::Object(pairs.collect()))
        }
        // Without a password this is what a protected medium is like.
        Err(_) if password.is_none() => Ok("protected by a password: give --password-file".into()),
        Err(error) => Err(CliError::wrong(error.to_string(), "give the medium's own password")),
    }
}

/// The volumes of a split medium.
fn volumes(document: &Value) -> String {
    let mut rows = table(&["volume", "size", "padding"]);
    for volume in list(document, "volumes") {
        let (size, padding) = (number(volume, "bytes"), number(volume, "padding_bytes"));
        rows.add_row([
            text(volume, "name").to_owned(),
            bytes(size),
            format!("{} ({:.2} %)", bytes(padding), percent(padding, size)),
        ]);
    }
    format!("{rows}\n\n")
}

fn show(document: &Value) -> String {
    let os = &document["os_image"];
    let padding = number(document, "padding_bytes");
    let mut out = format!(
        "{}\n{}, {} in {} KiB chunks, padding {} ({:.2} %)\n\
         OS image   {} ({} {})\nboot image {}\ntree       {} files in {} folders, {}\n\n",
        text(document, "medium"),
        bytes(number(document, "bytes")),
        text(document, "format"),
        number(document, "chunk_bytes") / 1024,
        bytes(padding),
        percent(padding, number(document, "bytes")),
        text(os, "name"),
        text(os, "edition"),
        text(os, "version"),
        if document["boot_image"] == true { "sources\\boot.wim" } else { "missing" },
        number(document, "files"),
        number(document, "directories"),
        bytes(number(document, "content_bytes")),
    );
    if list(document, "volumes").count() > 1 {
        out.push_str(&volumes(document));
    }
    let mut rows = table(&["folder", "content", "name", "files", "size"]);
    for content in list(document, "contents") {
        rows.add_row([
            text(content, "folder").to_owned(),
            text(content, "content_id").to_owned(),
            text(content, "name").to_owned(),
            number(content, "files").to_string(),
            bytes(number(content, "bytes")),
        ]);
    }
    out.push_str(&rows.to_string());
    for part in ["bootstrap", "variables"] {
        out.push_str(&format!("\n\n{part}\n"));
        match &document[part] {
            Value::Object(pairs) => {
                for (name, value) in pairs {
                    out.push_str(&format!("  {name} = {}\n", value.as_str().unwrap_or_default()));
                }
            }
            Value::String(remark) => out.push_str(&format!("  {remark}\n")),
            _ => out.push_str("  missing\n"),
        }
    }
    out
}
