//! The chain: each entry's hash is over the hash before it and the record.
//!
//! ```text
//! hash   = SHA-256(previous hash, field, field, …)
//! field  = length of the text in bytes (8 bytes, big-endian), the text in UTF-8
//! fields = number, at, principal, from, action, target, outcome, detail
//! ```
//!
//! `number` is decimal and begins with 1; `at` is `2026-11-30T06:00:00.000Z`, always with three
//! decimals. The hash before the first is 32 zero bytes. This never changes: logs outlive releases.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset, macros::format_description};

use super::AuditRecord;

const HASH_BYTES: usize = 32;

/// Characters of each text that are kept; what is longer ends in an ellipsis.
const PRINCIPAL_MAX: usize = 256;
const FROM_MAX: usize = 64;
const ACTION_MAX: usize = 64;
const TARGET_MAX: usize = 256;
const OUTCOME_MAX: usize = 128;
const DETAIL_MAX: usize = 512;

/// The hash of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainHash(pub [u8; HASH_BYTES]);

/// A text is no hash.
#[derive(Clone, Debug, thiserror::Error)]
#[error("'{0}' is no SHA-256: 64 digits and lower-case letters a to f are")]
pub struct ChainHashError(String);

impl ChainHash {
    /// What the first entry is chained to.
    pub const NONE: Self = Self([0; HASH_BYTES]);
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ChainHash {
    type Err = ChainHashError;

    fn from_str(text: &str) -> Result<Self, ChainHashError> {
        let mut hash = [0; HASH_BYTES];
        match hex::decode_to_slice(text, &mut hash) {
            Ok(()) => Ok(Self(hash)),
            Err(_) => Err(ChainHashError(text.to_owned())),
        }
    }
}

/// A record in its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place, from 1 on.
    pub number: u64,
    /// What is recorded.
    pub record: AuditRecord,
    /// The hash of the entry before it.
    pub previous: ChainHash,
    /// Its own.
    pub hash: ChainHash,
}

/// Why an entry is not the one that follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Entries are missing, or are there twice.
    #[error("record {expected} should come here, but it is record {found}")]
    Number {
        /// The number that follows.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// It does not follow on the entry before it.
    #[error("record {number} is not chained to the one before it")]
    Previous {
        /// Which.
        number: u64,
    },
    /// Its hash is another entry's.
    #[error("record {number} is not what it was when it was written: its hash does not fit")]
    Changed {
        /// Which.
        number: u64,
    },
}

impl AuditEntry {
    /// The entry that a record becomes at the end of a log whose last entry has this number (0 for
    /// none) and hash. Texts that are too long are cut, and characters that would disturb a terminal
    /// or a database are replaced.
    pub fn following(number: u64, previous: ChainHash, record: &AuditRecord) -> Self {
        let record = bounded(record);
        let number = number + 1;
        let hash = hash(number, previous, &record);
        Self { number, record, previous, hash }
    }

    /// Whether it follows on an entry with this number and hash, and is as it was written.
    pub fn fits(&self, number: u64, previous: ChainHash) -> Result<(), Misfit> {
        if self.number != number + 1 {
            return Err(Misfit::Number { expected: number + 1, found: self.number });
        }
        if self.previous != previous {
            return Err(Misfit::Previous { number: self.number });
        }
        if self.hash != hash(self.number, previous, &self.record) {
            return Err(Misfit::Changed { number: self.number });
        }
        Ok(())
    }
}

/// A time as it is hashed and exported.
pub(super) fn at_text(at: OffsetDateTime) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

fn hash(number: u64, previous: ChainHash, record: &AuditRecord) -> ChainHash {
    let AuditRecord { at, principal, from, action, target, outcome, detail } = record;
    let (number, at) = (number.to_string(), at_text(*at));
    let mut hasher = Sha256::new();
    hasher.update(previous.0);
    for field in [&number, &at, principal, from, action, target, outcome, detail] {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    ChainHash(hasher.finalize().into())
}

fn bounded(record: &AuditRecord) -> AuditRecord {
    let AuditRecord { at, principal, from, action, target, outcome, detail } = record;
    AuditRecord {
        at: at.replace_millisecond(at.millisecond()).unwrap_or(*at),
        principal: shortened(principal, PRINCIPAL_MAX),
        from: shortened(from, FROM_MAX),
        action: shortened(action, ACTION_MAX),
        target: shortened(target, TARGET_MAX),
        outcome: shortened(outcome, OUTCOME_MAX),
        detail: shortened(detail, DETAIL_MAX),
    }
}

fn shortened(text: &str, characters: usize) -> String {
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    match text.char_indices().nth(characters) {
        None => text.chars().map(visible).collect(),
        Some(_) => text.chars().take(characters - 1).map(visible).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        AuditRecord {
            at: OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(1_500_000_001),
            principal: "zoë".into(),
            from: String::new(),
            action: "SubmitBuild".into(),
            target: "medium w11".into(),
            outcome: "asked".into(),
            detail: String::new(),
        }
    }

    /// Computed by the recipe in docs/audit.md with another program; it must stay so for ever.
    #[test]
    fn the_hash_is_the_one_of_the_recipe() {
        let first = AuditEntry::following(0, ChainHash::NONE, &record());
        assert_eq!(at_text(first.record.at), "1970-01-01T00:00:01.500Z");
        assert_eq!(first.hash.to_string(), HASH_OF_FIRST);
        let second = AuditEntry::following(first.number, first.hash, &record());
        assert_eq!(second.hash.to_string(), HASH_OF_SECOND);
    }

    const HASH_OF_FIRST: &str = "2965a962aa67885b2067fb16dfdbfa5f81c7ee521aba7236613dd01a54f8e484";
    const HASH_OF_SECOND: &str = "2c24fae1dace49f84db620fb64d7ac1ff340be0866205b497ccc91b9d502cfcb";

    #[test]
    fn every_field_counts_and_so_does_where_one_ends() {
        let whole = AuditEntry::following(0, ChainHash::NONE, &record());
        let changes: [fn(&mut AuditRecord); 8] = [
            |r| r.at += time::Duration::milliseconds(1),
            |r| r.principal.push('x'),
            |r| r.from.push('x'),
            |r| r.action.push('x'),
            |r| r.target.push('x'),
            |r| r.outcome.push('x'),
            |r| r.detail.push('x'),
            |r| (r.action, r.target) = ("SubmitBuildm".into(), "edium w11".into()),
        ];
        assert_eq!(whole.fits(0, ChainHash::NONE), Ok(()));
        for change in changes {
            let mut changed = whole.clone();
            change(&mut changed.record);
            assert_eq!(changed.fits(0, ChainHash::NONE), Err(Misfit::Changed { number: 1 }));
        }
        let found = whole.fits(1, ChainHash::NONE);
        assert_eq!(found, Err(Misfit::Number { expected: 2, found: 1 }));
        let other = ChainHash([1; HASH_BYTES]);
        assert_eq!(whole.fits(0, other), Err(Misfit::Previous { number: 1 }));
    }

    #[test]
    fn texts_are_cut_and_made_harmless() {
        let long = AuditRecord {
            target: "ä".repeat(TARGET_MAX + 1),
            detail: "d".repeat(DETAIL_MAX),
            principal: "a\u{1b}[2Jb\0\n".into(),
            ..record()
        };
        let kept = AuditEntry::following(0, ChainHash::NONE, &long).record;
        assert_eq!(kept.target.chars().count(), TARGET_MAX);
        assert!(kept.target.ends_with("ä…"));
        assert_eq!(kept.detail, long.detail);
        assert_eq!(kept.principal, "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
    }
}
