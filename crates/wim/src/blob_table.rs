//! The blob table: one 50-byte entry for each resource (wimlib 1.14.4 `blob_table.c`).

use crate::{
    bytes::{Le, put},
    error::{Result, WimError},
    hash::Sha1Hash,
    header::ResourceHeader,
};

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 50;

/// One resource of a WIM: a file's content, or an image's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Where it lies.
    pub resource: ResourceHeader,
    /// How often dentries name it, hard links counted each; 1 for metadata.
    pub references: u32,
    /// SHA-1 of the content.
    pub sha1: Sha1Hash,
}

/// Reads a blob table. `file_bytes` bounds where resources may lie.
pub fn parse(table: &[u8], file_bytes: u64) -> Result<Vec<Blob>> {
    if !table.len().is_multiple_of(ENTRY_BYTES) {
        let problem = format!("{} bytes are no whole number of entries", table.len());
        return Err(WimError::malformed("blob table", 0, problem));
    }
    table.chunks_exact(ENTRY_BYTES).map(|entry| parse_entry(entry, file_bytes)).collect()
}

fn parse_entry(entry: &[u8], file_bytes: u64) -> Result<Blob> {
    let resource = ResourceHeader::parse(entry);
    if resource.solid {
        return Err(WimError::NotSupported {
            what: "a solid resource".into(),
            advice: "export the WIM without '--solid'",
        });
    }
    let end = resource.end()?;
    if end > file_bytes {
        let start = resource.offset;
        return Err(WimError::Truncated { structure: "resource", start, end, size: file_bytes });
    }
    Ok(Blob { resource, references: entry.u32_at(26), sha1: Sha1Hash(entry.array_at(30)) })
}

/// The bytes of a blob table.
pub fn write(blobs: &[Blob]) -> Vec<u8> {
    let mut out = vec![0; blobs.len() * ENTRY_BYTES];
    for (entry, blob) in out.chunks_exact_mut(ENTRY_BYTES).zip(blobs) {
        put(entry, 0, &blob.resource.write());
        put(entry, 24, &1u16.to_le_bytes());
        put(entry, 26, &blob.references.to_le_bytes());
        put(entry, 30, &blob.sha1.0);
    }
    out
}
