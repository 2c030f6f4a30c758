//! `prestage verify`: is the medium whole?

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use prestage_wim::verify as wim_verify;
use serde_json::json;

use crate::{
    args::MediumArgs,
    error::CliError,
    medium::Medium,
    output::{Output, bytes, number, text},
    settings::cores,
};

/// Checks everything; the first thing that is off ends it.
pub async fn verify(args: &MediumArgs, output: Output) -> Result<(), CliError> {
    let medium = Medium::open(&args.wim).await?;
    let place = medium.url.to_string();
    let total: u64 = medium.wim.blobs.iter().map(|blob| blob.resource.original_bytes).sum();
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(total)
    } else {
        ProgressBar::hidden()
    };
    let template = "{bar:40} {bytes} of {total_bytes} {bytes_per_sec} {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let verified = wim_verify::verify(&medium.wim, cores(), |bytes| bar.inc(bytes)).await;
    bar.finish_and_clear();
    let verified = verified.map_err(|error| CliError::from(error).at(place.clone()))?;
    let manifest = check_manifest(&medium)?;
    let document = json!({
        "medium": place,
        "bytes": medium.bytes,
        "volumes": medium.wim.parts().len(),
        "ok": true,
        "images": verified.images,
        "entries": verified.entries,
        "resources": verified.resources,
        "content_bytes": verified.content_bytes,
        "integrity_chunks": verified.integrity_chunks,
        "manifest": manifest,
        "signature": "none: media are not signed yet",
    });
    output.print(&document, |document| {
        format!(
            "ok        {}\nresources {} ({} of content), every SHA-1 right\nentries   {}\n\
             integrity {} chunks of 10 MiB\nmanifest  {}\nsignature {}",
            text(document, "medium"),
            number(document, "resources"),
            bytes(number(document, "content_bytes")),
            number(document, "entries"),
            number(document, "integrity_chunks"),
            text(document, "manifest"),
            text(document, "signature"),
        )
    })
}

fn check_manifest(medium: &Medium) -> Result<&'static str, CliError> {
    let Some(manifest) = &medium.manifest else {
        return Ok("none beside the medium");
    };
    let expected = manifest.get("medium").map_or(0, |medium| number(medium, "bytes"));
    if expected == medium.bytes {
        return Ok("agrees");
    }
    let what = format!("the manifest is of a medium of {expected} bytes, not {}", medium.bytes);
    let advice = "build the medium again, or bring the manifest that belongs to it";
    Err(CliError::failed(what, advice).at(medium.url.to_string()))
}
