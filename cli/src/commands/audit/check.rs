//! Checks an export where it lies: no coordinator has a say in it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use prestage_coordinator::audit::{AuditLine, ChainHash};
use serde_json::json;

use crate::{
    error::CliError,
    output::{Output, number, text},
};

/// Says whether each record follows on the one before it.
pub(super) fn check(path: &Path, output: Output) -> Result<(), CliError> {
    let unreadable = |error: std::io::Error| {
        let what = format!("the export {} can't be read: {error}", path.display());
        CliError::wrong(what, "name a file that 'prestage audit --export' has written")
    };
    let file = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut count, mut hash) = (0, ChainHash::NONE);
    for line in file.lines() {
        let line = line.map_err(unreadable)?;
        let misfit = |problem: String| {
            let place = format!("{}, line {}", path.display(), count + 1);
            let advice =
                "keep this file as evidence: what is before that line is as it was written";
            CliError::failed(problem, advice).at(place)
        };
        let entry = AuditLine::read(&line).map_err(|error| misfit(error.to_string()))?;
        entry.fits(count, hash).map_err(|error| misfit(error.to_string()))?;
        (count, hash) = (entry.number, entry.hash);
    }
    let document = json!({
        "file": path.display().to_string(),
        "records": count,
        "last_hash": hash.to_string(),
    });
    output.print(&document, |document| {
        let (file, records) = (text(document, "file"), number(document, "records"));
        let hash = text(document, "last_hash");
        format!("ok {file}: {records} records in one chain, the last with the hash\n{hash}")
    })
}
