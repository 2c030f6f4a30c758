//! Exports: JSON lines, which are only ever added to.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use prestage_coordinator::audit::{AuditEntry, AuditLine};
use serde_json::{Value, json};

use super::{AuditClient, PAGE, client, page};
use crate::{
    args::AuditArgs,
    connect::Connection,
    error::CliError,
    output::{Output, number, text},
};

/// Adds what the file lacks of the log.
pub(super) async fn export(args: &AuditArgs, path: &Path, output: Output) -> Result<(), CliError> {
    let end = end_of(path)?;
    let connection = Connection::open(&args.remote, false).await?;
    let exported = go_on(&mut client(&connection), path, end).await;
    connection.close().await?;
    output.print(&exported?, |document| {
        let (file, last) = (text(document, "file"), number(document, "last"));
        let written = number(document, "written");
        let hash = text(document, "last_hash");
        format!("{written} records added to {file}; the last is {last}, with the hash\n{hash}")
    })
}

/// The last record that an export has already, if it was begun.
fn end_of(path: &Path) -> Result<Option<AuditEntry>, CliError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| unusable(path, &error))?,
    };
    let mut reader = BufReader::new(file);
    let (mut whole, mut line, mut last) = (0, String::new(), String::new());
    let rest = loop {
        line.clear();
        let bytes = reader.read_line(&mut line).map_err(|error| unusable(path, &error))?;
        if !line.ends_with('\n') {
            break bytes;
        }
        whole += bytes as u64;
        std::mem::swap(&mut line, &mut last);
    };
    if whole == 0 && rest == 0 {
        return Ok(None);
    }
    let entry = AuditLine::read(last.trim_end_matches('\n')).map_err(|error| {
        let what = format!("{} ends in no record of an audit log: {error}", path.display());
        CliError::wrong(what, "name a file that an export has written, or a new one")
    })?;
    if rest > 0 {
        // Of an export that was cut off. It comes again, whole.
        let file = OpenOptions::new().write(true).open(path);
        let cut = file.and_then(|file| file.set_len(whole));
        cut.map_err(|error| unusable(path, &error))?;
    }
    Ok(Some(entry))
}

async fn go_on(
    client: &mut AuditClient,
    path: &Path,
    end: Option<AuditEntry>,
) -> Result<Value, CliError> {
    if let Some(end) = &end {
        is_in_log(client, path, end).await?;
    }
    // Nobody else's business.
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut file = BufWriter::new(file.map_err(|error| unusable(path, &error))?);
    let (mut last, mut written) = (end, 0);
    loop {
        let after = last.as_ref().map_or(0, |last| last.number);
        let mut page = page(client, after, PAGE).await?;
        for entry in &page {
            let line = AuditLine::from(entry).write();
            let line = line.map_err(|error| CliError::failed(error.to_string(), ""))?;
            writeln!(file, "{line}").map_err(|error| unusable(path, &error))?;
            written += 1;
        }
        match page.pop() {
            Some(entry) => last = Some(entry),
            None => break,
        }
    }
    let synced = file.into_inner().map_err(io::IntoInnerError::into_error);
    synced.and_then(|file| file.sync_all()).map_err(|error| unusable(path, &error))?;
    Ok(json!({
        "file": path.display().to_string(),
        "written": written,
        "last": last.as_ref().map_or(0, |last| last.number),
        "last_hash": last.as_ref().map(|last| last.hash.to_string()),
    }))
}

/// What was exported before must still be there: else this is another log, or one that was changed.
async fn is_in_log(
    client: &mut AuditClient,
    path: &Path,
    end: &AuditEntry,
) -> Result<(), CliError> {
    // Records begin with 1.
    let there = page(client, end.number.saturating_sub(1), 1).await?;
    if there.first().is_some_and(|there| there.number == end.number && there.hash == end.hash) {
        return Ok(());
    }
    let file = path.display();
    let what = format!("the last record of {file}, number {}, is not in this log", end.number);
    let advice = format!(
        "name the file that was exported from this log before; if that is {file}, then it or the \
         log was changed: check it with --check, keep it, and export into a new file"
    );
    Err(CliError::failed(what, advice))
}

fn unusable(path: &Path, error: &io::Error) -> CliError {
    let what = format!("the export {} can't be read or written: {error}", path.display());
    CliError::failed(what, "name a file that can be written to")
}
