//! `prestage plan`: what a medium would be made of.

use std::{io::Write, path::Path};

use serde_json::Value;

use super::{new_password::NewPassword, request::plan_request};
use crate::{
    args::PlanArgs,
    connect::Connection,
    error::CliError,
    output::{Output, bytes, list, number, table, text},
};

/// Plans, shows, and saves if asked to.
pub async fn plan(args: PlanArgs, output: Output) -> Result<(), CliError> {
    let request = plan_request(&args.spec, &args.with, args.save.is_some())?;
    let mut connection = Connection::open(&args.remote, false).await?;
    let planned = connection.client.plan_media(request.plan).await;
    connection.close().await?;
    let json = planned?.into_inner().plan_json;
    if let Some(path) = &args.save {
        request.new_password.iter().try_for_each(NewPassword::tell)?;
        save(path, &json)?;
        eprintln!("plan saved as {}", path.display());
    }
    let mut document: Value = serde_json::from_slice(&json)?;
    // What is shown need not carry the sealed part; the saved file does.
    if let Some(fields) = document.as_object_mut() {
        fields.remove("sealed");
        fields.remove("sealed_pfx");
    }
    output.print(&document, show)
}

/// Readable by its owner only, and there wholly or not at all.
pub fn save(path: &Path, json: &[u8]) -> Result<(), CliError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(json)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|error| {
        let what = format!("the plan can't be saved as {}: {error}", path.display());
        CliError::failed(what, "name a place that can be written to")
    })
}

fn show(plan: &Value) -> String {
    let mut out = format!("{}\n\n", text(plan, "name"));
    let mut rows = table(&["id", "kind", "name", "version", "size", "files", "from", "why"]);
    let images = ["os_image", "boot_image"].into_iter().filter_map(|image| plan.get(image));
    for content in images.chain(list(plan, "contents")) {
        let points: Vec<&str> =
            list(content, "distribution_points").filter_map(Value::as_str).collect();
        let reasons: Vec<&str> = list(content, "reasons").filter_map(Value::as_str).collect();
        let reused = content.get("reused").and_then(Value::as_bool).unwrap_or(false);
        let size = bytes(number(content, "bytes"));
        rows.add_row([
            text(content, "content_id").to_owned(),
            text(content, "kind").to_owned(),
            text(content, "name").to_owned(),
            number(content, "version").to_string(),
            if reused { format!("{size} (in packs)") } else { size },
            number(content, "files").to_string(),
            points.join(", "),
            reasons.join("; "),
        ]);
    }
    out.push_str(&rows.to_string());
    if let Some(totals) = plan.get("totals") {
        out.push_str(&format!(
            "\n\n{} of content: {} spliced as they are, {} to encode, {} in packs already\n",
            bytes(number(totals, "content_bytes")),
            bytes(number(totals, "spliced_bytes")),
            bytes(number(totals, "to_encode_bytes")),
            bytes(number(totals, "reused_bytes")),
        ));
    }
    for (field, label) in [("warnings", "warning"), ("notes", "note")] {
        for remark in list(plan, field).filter_map(Value::as_str) {
            out.push_str(&format!("{label}: {remark}\n"));
        }
    }
    out.push_str(&format!("output: {}\n", text(plan, "output")));
    out
}
