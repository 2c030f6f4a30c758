//! The parts of a split WIM, told apart and put in order.

use std::{collections::HashMap, sync::Arc};

use crate::{
    codec::Format,
    error::Result,
    header::{HEADER_BYTES, Header},
    source::{RangeRead, read_structure},
};

/// One file of a WIM: the only one, unless the WIM is split.
pub struct Part {
    /// Where it is read from.
    pub source: Arc<dyn RangeRead>,
    /// Its own header.
    pub header: Header,
}

/// Why some files are not one whole split WIM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetProblem {
    /// Parts are missing.
    #[error(
        "it is a split WIM of {parts} parts, of which {} missing: put all of them together",
        numbered(.missing)
    )]
    Missing {
        /// Which ones, from 1.
        missing: Vec<u16>,
        /// How many there are in all.
        parts: u16,
    },
    /// A file is part of another WIM.
    #[error(
        "'{name}' (part {part} of {parts}) belongs to another split WIM than the other files: \
         take it away, or bring the parts of one WIM only"
    )]
    Foreign {
        /// Which file.
        name: String,
        /// Its part number.
        part: u16,
        /// How many parts it says there are.
        parts: u16,
    },
    /// Two files are the same part.
    #[error("'{first}' and '{second}' are both part {part} of one split WIM: take one away")]
    Twice {
        /// The one file.
        first: String,
        /// The other file.
        second: String,
        /// Their part number.
        part: u16,
    },
}

fn numbered(missing: &[u16]) -> String {
    let numbers: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", numbers.join(", "))
}

/// Reads the headers of all files, which must be the parts of one WIM; gives them in order.
pub(crate) async fn open_parts(sources: Vec<Arc<dyn RangeRead>>) -> Result<Vec<Part>> {
    let mut parts = Vec::with_capacity(sources.len());
    for source in sources {
        let start = read_structure(&*source, "header", 0..HEADER_BYTES.min(source.size())).await?;
        parts.push(Part { header: Header::parse(&start)?, source });
    }
    Ok(in_order(parts)?)
}

type Identity = ([u8; 16], u16, Option<Format>, u32);

fn identity(part: &Part) -> Identity {
    let Header { guid, parts, format, chunk_bytes, .. } = part.header;
    (guid, parts, format, chunk_bytes)
}

fn in_order(mut parts: Vec<Part>) -> std::result::Result<Vec<Part>, SetProblem> {
    let Some(of) = commonest(&parts) else {
        return Err(SetProblem::Missing { missing: vec![1], parts: 1 });
    };
    if let Some(other) = parts.iter().find(|part| identity(part) != of) {
        let Header { part, parts, .. } = other.header;
        return Err(SetProblem::Foreign { name: other.source.name(), part, parts });
    }
    parts.sort_by_key(|part| part.header.part);
    let same = parts.windows(2).find(|two| two[0].header.part == two[1].header.part);
    if let Some(two) = same {
        let (first, second) = (two[0].source.name(), two[1].source.name());
        return Err(SetProblem::Twice { first, second, part: two[0].header.part });
    }
    let mut there = parts.iter().map(|part| part.header.part).peekable();
    let missing: Vec<u16> = (1..=of.1).filter(|&n| there.next_if_eq(&n).is_none()).collect();
    if missing.is_empty() { Ok(parts) } else { Err(SetProblem::Missing { missing, parts: of.1 }) }
}

/// What most of the files say that they belong to; of several, the first given.
fn commonest(parts: &[Part]) -> Option<Identity> {
    let mut counts: HashMap<Identity, usize> = HashMap::new();
    for part in parts {
        *counts.entry(identity(part)).or_default() += 1;
    }
    // The last of equal maxima wins, so the files are gone through from behind.
    parts.iter().rev().map(identity).max_by_key(|identity| counts[identity])
}
