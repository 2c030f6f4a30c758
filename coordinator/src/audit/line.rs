//! An entry as a line of an export: one JSON object, always written in the same way.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AuditEntry, AuditRecord, ChainHashError, chain::at_text};

/// An entry as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLine {
    /// Its place, from 1 on.
    pub number: u64,
    /// When: `2026-11-30T06:00:00.000Z`.
    pub at: String,
    /// Who.
    pub principal: String,
    /// From which address.
    pub from: String,
    /// What.
    pub action: String,
    /// On what.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// What else is to be known.
    pub detail: String,
    /// The hash of the entry before it, hexadecimal.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

/// Why a line is no entry.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON object with these fields.
    #[error("it is no record of an audit log: {0}")]
    Json(#[from] serde_json::Error),
    /// Its time is none.
    #[error("'{0}' is no point in time")]
    Time(String),
    /// A hash is none.
    #[error(transparent)]
    Hash(#[from] ChainHashError),
    /// It says the same, but it was not written so.
    #[error("it is not as Prestage writes it")]
    Rewritten,
}

impl From<&AuditEntry> for AuditLine {
    fn from(entry: &AuditEntry) -> Self {
        let AuditEntry { number, record, previous, hash } = entry.clone();
        Self {
            number,
            at: at_text(record.at),
            principal: record.principal,
            from: record.from,
            action: record.action,
            target: record.target,
            outcome: record.outcome,
            detail: record.detail,
            previous: previous.to_string(),
            hash: hash.to_string(),
        }
    }
}

impl AuditLine {
    /// The line, without its end.
    pub fn write(&self) -> Result<String, LineError> {
        Ok(serde_json::to_string(self)?)
    }

    /// The entry that a line holds. Only what is written exactly as [`AuditLine::write`] does is
    /// one: whatever else is in a line would not be covered by its hash.
    pub fn read(line: &str) -> Result<AuditEntry, LineError> {
        let parsed: Self = serde_json::from_str(line)?;
        let at = OffsetDateTime::parse(&parsed.at, &Rfc3339);
        let entry = AuditEntry {
            number: parsed.number,
            previous: parsed.previous.parse()?,
            hash: parsed.hash.parse()?,
            record: AuditRecord {
                at: at.map_err(|_| LineError::Time(parsed.at))?,
                principal: parsed.principal,
                from: parsed.from,
                action: parsed.action,
                target: parsed.target,
                outcome: parsed.outcome,
                detail: parsed.detail,
            },
        };
        match Self::from(&entry).write()? == line {
            true => Ok(entry),
            false => Err(LineError::Rewritten),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ChainHash;

    fn line() -> String {
        let record = AuditRecord {
            at: OffsetDateTime::UNIX_EPOCH,
            principal: "a \"quoted\" zoë".into(),
            from: "127.0.0.1:9".into(),
            action: "CancelBuild".into(),
            target: "build 1".into(),
            outcome: "refused: NOT_FOUND".into(),
            detail: String::new(),
        };
        AuditLine::from(&AuditEntry::following(0, ChainHash::NONE, &record)).write().unwrap()
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let entry = AuditLine::read(&line()).unwrap();
        assert_eq!(entry.fits(0, ChainHash::NONE), Ok(()));
        assert_eq!(AuditLine::from(&entry).write().unwrap(), line());
    }

    #[test]
    fn takes_nothing_that_says_more_or_says_it_otherwise() {
        let line = line();
        for (from, to) in [
            ("{\"number\"", "{\"approved\":true,\"number\""),
            ("00.000Z", "00.000+00:00"),
            ("00.000Z", "00.0000001Z"),
            (",\"from\"", ", \"from\""),
            ("zoë", "zo\\u00eb"),
            ("\"number\":1", "\"number\":1,\"number\":1"),
        ] {
            let changed = line.replacen(from, to, 1);
            assert_ne!(changed, line);
            assert!(AuditLine::read(&changed).is_err(), "{changed}");
        }
        let upper = line.to_uppercase();
        assert!(AuditLine::read(&upper).is_err());
    }
}
