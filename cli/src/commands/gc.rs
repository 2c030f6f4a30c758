//! `prestage gc`: packs and listings that nobody uses any more.

use prestage_proto::v1;
use serde_json::{Value, json};

use crate::{
    args::GcArgs,
    connect::Connection,
    error::CliError,
    output::{Output, bytes, list as elements, number, table, text},
};

/// Removes them, or says what would go.
pub async fn gc(args: &GcArgs, output: Output) -> Result<(), CliError> {
    if args.keep_days == 0 && args.max_gib.is_none() {
        let what = "nothing says what may go";
        return Err(CliError::wrong(what, "give --keep-days, --max-gib, or both"));
    }
    let request = v1::CollectGarbageRequest {
        keep_days: args.keep_days,
        max_bytes: args
            .max_gib
            .map_or(0, |gib| (gib.max(0.0) * f64::from(1 << 30)).ceil() as u64)
            .max(
                // A budget of nothing is no budget to the coordinator.
                u64::from(args.max_gib.is_some()),
            ),
        dry_run: args.dry_run,
    };
    let mut connection = Connection::open(&args.remote, false).await?;
    let collected = connection.client.collect_garbage(request).await;
    connection.close().await?;
    let collected = collected?.into_inner();
    let removed: Vec<Value> = collected.removed.iter().map(garbage).collect();
    let freed: u64 = collected.removed.iter().map(|removed| removed.bytes).sum();
    let document = json!({
        "dry_run": args.dry_run,
        "removed": removed,
        "freed_bytes": freed,
        "kept": collected.kept,
        "kept_bytes": collected.kept_bytes,
        "pinned": collected.pinned,
        "left": collected.left,
    });
    output.print(&document, shown)
}

fn garbage(removed: &v1::Garbage) -> Value {
    json!({
        "key": removed.key,
        "bytes": removed.bytes,
        "last_use": removed.last_use.as_ref().map(|time| time.seconds),
        "why": removed.why,
    })
}

fn shown(document: &Value) -> String {
    let mut rows = table(&["object", "bytes", "why"]);
    for removed in elements(document, "removed") {
        let size = bytes(number(removed, "bytes"));
        rows.add_row([text(removed, "key").to_owned(), size, text(removed, "why").to_owned()]);
    }
    let rehearsal = document["dry_run"] == true;
    let verb = if rehearsal { "would be removed" } else { "removed" };
    let count = elements(document, "removed").count();
    let mut told = format!(
        "{count} {verb}, {}; {} stay, {} ({} of them pinned by builds)",
        bytes(number(document, "freed_bytes")),
        number(document, "kept"),
        bytes(number(document, "kept_bytes")),
        number(document, "pinned"),
    );
    if number(document, "left") > 0 {
        told.push_str(&format!("; {} more are left for the next run", number(document, "left")));
    }
    if count == 0 { told } else { format!("{rows}\n{told}") }
}
