//! `prestage log`: what has happened to a build.

use prestage_media::build_log::{self, LogEntry, Severity};
use prestage_proto::v1;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{args::LogArgs, connect::Connection, error::CliError, output::Output};

/// Prints a build's log, and saves it if asked to.
pub async fn log(args: &LogArgs, output: Output) -> Result<(), CliError> {
    let build_id = args.of.build.clone();
    let mut connection = Connection::open(&args.of.remote, false).await?;
    let found = connection.client.get_build_log(v1::GetBuildLogRequest { build_id }).await;
    connection.close().await?;
    let entries: Vec<LogEntry> = found?.into_inner().entries.into_iter().map(entry).collect();
    if let Some(path) = &args.save {
        std::fs::write(path, build_log::to_file(&entries)).map_err(|error| {
            let what = format!("the log can't be saved as {}: {error}", path.display());
            CliError::failed(what, "name a place that can be written to")
        })?;
        eprintln!("log saved as {}", path.display());
    }
    let lines: Vec<Value> = entries.iter().map(line).collect();
    let document = json!({ "build_id": args.of.build, "entries": lines });
    output.print(&document, |_| build_log::to_text(&entries))
}

fn entry(entry: v1::LogEntry) -> LogEntry {
    let severity = match entry.severity() {
        v1::Severity::Error => Severity::Error,
        v1::Severity::Warning => Severity::Warning,
        v1::Severity::Info | v1::Severity::Unspecified => Severity::Info,
    };
    let at = entry.at.unwrap_or_default();
    let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos);
    LogEntry { at: at.unwrap_or(OffsetDateTime::UNIX_EPOCH), severity, text: entry.text }
}

fn line(entry: &LogEntry) -> Value {
    let severity = match entry.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let at = entry.at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    json!({ "at": at, "severity": severity, "text": entry.text })
}
