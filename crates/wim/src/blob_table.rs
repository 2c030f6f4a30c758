//! The blob table: one 50-byte entry for each resource (wimlib 1.14.4 `blob_table.c`).

use crate::{
    bytes::{Le, put},
    error::{Result, WimError},
    hash::Sha1Hash,
    header::ResourceHeader,
};

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 50;

/// One content of a WIM: a file's, or an image's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Where it lies: at an offset of its part's file, with so many bytes there. In a solid
    /// resource it has no bytes of its own, and its offset is one in that resource's content.
    pub resource: ResourceHeader,
    /// How often dentries name it, hard links counted each; 1 for metadata.
    pub references: u32,
    /// SHA-1 of the content.
    pub sha1: Sha1Hash,
    /// The part of a split WIM that it lies in, from 1.
    pub part: u16,
    /// The solid resource that it lies in: an index into [`crate::Wim::solid_resources`].
    pub solid: Option<u32>,
}

impl Blob {
    /// A content with a resource of its own in a WIM of one part.
    pub fn new(resource: ResourceHeader, references: u32, sha1: Sha1Hash) -> Self {
        Self { resource, references, sha1, part: 1, solid: None }
    }
}

/// Reads the entries of a blob table as they are. `file_bytes` bounds where resources may lie.
pub fn parse(table: &[u8], file_bytes: u64) -> Result<Vec<Blob>> {
    if !table.len().is_multiple_of(ENTRY_BYTES) {
        let problem = format!("{} bytes are no whole number of entries", table.len());
        return Err(WimError::malformed("blob table", 0, problem));
    }
    table.chunks_exact(ENTRY_BYTES).map(|entry| parse_entry(entry, file_bytes)).collect()
}

fn parse_entry(entry: &[u8], file_bytes: u64) -> Result<Blob> {
    let resource = ResourceHeader::parse(entry);
    let end = resource.end()?;
    // Offsets of solid entries are offsets in a content, but for the solid resources' own.
    if end > file_bytes && !resource.solid {
        let start = resource.offset;
        return Err(WimError::Truncated { structure: "resource", start, end, size: file_bytes });
    }
    let (part, references) = (entry.u16_at(24), entry.u32_at(26));
    Ok(Blob { resource, references, sha1: Sha1Hash(entry.array_at(30)), part, solid: None })
}

/// The bytes of a blob table.
pub fn write(blobs: &[Blob]) -> Vec<u8> {
    let mut out = vec![0; blobs.len() * ENTRY_BYTES];
    for (entry, blob) in out.chunks_exact_mut(ENTRY_BYTES).zip(blobs) {
        put(entry, 0, &blob.resource.write());
        put(entry, 24, &blob.part.to_le_bytes());
        put(entry, 26, &blob.references.to_le_bytes());
        put(entry, 30, &blob.sha1.0);
    }
    out
}
