//! Solid resources: many contents compressed as one (wimlib 1.14.4 `blob_table.c`).
//!
//! In the blob table a run of solid entries has one entry for each solid resource, told by a size
//! that can't be, then one for each content. A content's offset counts through the contents of the
//! run's solid resources as if they were one.

use std::sync::Arc;

use crate::{
    blob_table::Blob,
    chunks::Chunks,
    error::{Result, WimError},
    header::ResourceHeader,
    source::{RangeRead, read_structure},
};

/// The content size in a solid resource's own entry.
const RESOURCE_MARK: u64 = 0x1_0000_0000;

/// A solid resource.
#[derive(Clone, Debug)]
pub struct SolidResource {
    /// The part of a split WIM that it lies in, from 1.
    pub part: u16,
    /// Where it lies; `original_bytes` is what all of it unpacks to.
    pub resource: ResourceHeader,
    pub(crate) chunks: Arc<Chunks>,
}

/// Says of each solid entry of one part's blob table in which solid resource it lies; those go to
/// `solid`, and their own entries away.
pub(crate) async fn assign(
    entries: Vec<Blob>,
    source: &dyn RangeRead,
    solid: &mut Vec<SolidResource>,
) -> Result<Vec<Blob>> {
    let mut blobs = Vec::with_capacity(entries.len());
    let mut solid_bytes = 0u64;
    for run in entries.chunk_by(|a, b| a.resource.solid == b.resource.solid) {
        if !run[0].resource.solid {
            blobs.extend_from_slice(run);
            continue;
        }
        let (resources, contents): (Vec<&Blob>, Vec<&Blob>) =
            run.iter().partition(|entry| entry.resource.original_bytes == RESOURCE_MARK);
        let first = solid.len();
        for entry in resources {
            // Counted before their tables are read: thousands could share one large table.
            solid_bytes = solid_bytes.saturating_add(entry.resource.stored_bytes);
            if solid_bytes > source.size() {
                let problem = "solid resources lie over each other";
                return Err(WimError::malformed("blob table", entry.resource.offset, problem));
            }
            solid.push(read(entry, source).await?);
        }
        let mut starts = vec![0u64];
        for resource in &solid[first..] {
            let end = starts.last().copied().unwrap_or(0);
            let end = end.checked_add(resource.resource.original_bytes);
            starts.push(end.ok_or_else(|| unplaced(&run[0]))?);
        }
        for blob in contents {
            blobs.push(place(blob, first, &starts)?);
        }
    }
    Ok(blobs)
}

async fn read(entry: &Blob, source: &dyn RangeRead) -> Result<SolidResource> {
    let resource = entry.resource;
    // Its whole range must be there, not only its table.
    let end = resource.end()?;
    read_structure(source, "solid resource", end..end).await?;
    let chunks = Arc::new(Chunks::read_solid(source, &resource).await?);
    let resource = ResourceHeader { original_bytes: chunks.original_bytes, ..resource };
    Ok(SolidResource { part: entry.part, resource, chunks })
}

/// `starts` are where the contents of the run's solid resources begin, and where the last ends.
fn place(entry: &Blob, first: usize, starts: &[u64]) -> Result<Blob> {
    let (offset, bytes) = (entry.resource.offset, entry.resource.stored_bytes);
    let number = starts.partition_point(|&start| start <= offset).saturating_sub(1);
    let end = offset.checked_add(bytes).ok_or_else(|| unplaced(entry))?;
    if starts.get(number + 1).is_none_or(|&limit| end > limit) {
        return Err(unplaced(entry));
    }
    let resource = ResourceHeader {
        offset: offset - starts[number],
        stored_bytes: 0,
        original_bytes: bytes,
        ..entry.resource
    };
    Ok(Blob { resource, solid: Some((first + number) as u32), ..*entry })
}

fn unplaced(entry: &Blob) -> WimError {
    let problem = format!("the content {} lies in no solid resource", entry.sha1);
    WimError::malformed("blob table", entry.resource.offset, problem)
}
