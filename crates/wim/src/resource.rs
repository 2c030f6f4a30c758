//! Reading a resource: plain content, or a chunk table and chunks.
//!
//! The table of a resource of N chunks has N-1 entries of 4 bytes (8 above 4 GiB); entry i is the
//! offset of chunk i+1 from the end of the table. A chunk as long as its content is plain.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    bytes::Le,
    codec::{Decompressor, Format},
    error::{Result, WimError},
    header::ResourceHeader,
    source::{RangeRead, read_structure},
};

/// Stored bytes that are read at once.
const READ_BYTES: u64 = 4 << 20;

/// Entries in the chunk table of a resource of `original` bytes.
pub fn table_entries(original: u64, chunk_bytes: u32) -> u64 {
    original.div_ceil(u64::from(chunk_bytes)).saturating_sub(1)
}

/// Bytes of one entry of the chunk table.
pub fn table_entry_bytes(original: u64) -> u64 {
    if original > u64::from(u32::MAX) { 8 } else { 4 }
}

/// Reads one resource from its beginning to its end, a few MiB at a time.
pub struct ResourceReader<'a> {
    source: &'a dyn RangeRead,
    resource: ResourceHeader,
    chunk_bytes: u64,
    /// Offsets in the file where chunks begin, and the end; empty for a plain resource.
    bounds: Vec<u64>,
    decompressor: Option<Decompressor>,
    next_chunk: usize,
    next_plain: u64,
}

impl<'a> ResourceReader<'a> {
    /// Reads the chunk table.
    pub async fn open(
        source: &'a dyn RangeRead,
        resource: ResourceHeader,
        format: Option<Format>,
        chunk_bytes: u32,
    ) -> Result<Self> {
        let end = resource.end()?;
        if end > source.size() {
            let (start, size) = (resource.offset, source.size());
            return Err(WimError::Truncated { structure: "resource", start, end, size });
        }
        let mut reader = Self {
            source,
            resource,
            chunk_bytes: u64::from(chunk_bytes),
            bounds: Vec::new(),
            decompressor: None,
            next_chunk: 0,
            next_plain: 0,
        };
        if resource.compressed {
            let Some(format) = format else {
                let problem = "it is marked compressed in a WIM without compression";
                return Err(WimError::malformed("resource", resource.offset, problem));
            };
            reader.bounds = chunk_bounds(source, &resource, chunk_bytes).await?;
            reader.decompressor = Some(Decompressor::new(format, chunk_bytes)?);
        } else if resource.stored_bytes != resource.original_bytes {
            let problem = "a plain resource has two different sizes";
            return Err(WimError::malformed("resource", resource.offset, problem));
        }
        Ok(reader)
    }

    /// The next piece of the content; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.resource.compressed { self.next_chunks().await } else { self.next_raw().await }
    }

    async fn next_raw(&mut self) -> Result<Option<Bytes>> {
        let left = self.resource.stored_bytes - self.next_plain;
        if left == 0 {
            return Ok(None);
        }
        let start = self.resource.offset + self.next_plain;
        let take = left.min(READ_BYTES);
        self.next_plain += take;
        Ok(Some(read_structure(self.source, "resource", start..start + take).await?))
    }

    async fn next_chunks(&mut self) -> Result<Option<Bytes>> {
        let first = self.next_chunk;
        if first + 1 >= self.bounds.len() {
            return Ok(None);
        }
        let mut last = first + 1;
        while last + 1 < self.bounds.len()
            && self.bounds[last + 1] - self.bounds[first] <= READ_BYTES
        {
            last += 1;
        }
        let range = self.bounds[first]..self.bounds[last];
        let stored = read_structure(self.source, "resource", range).await?;
        self.next_chunk = last;
        let from = first as u64 * self.chunk_bytes;
        let to = self.resource.original_bytes.min(last as u64 * self.chunk_bytes);
        let mut out = vec![0u8; (to - from) as usize];
        for (chunk, content) in (first..last).zip(out.chunks_mut(self.chunk_bytes as usize)) {
            let base = self.bounds[first];
            let range =
                (self.bounds[chunk] - base) as usize..(self.bounds[chunk + 1] - base) as usize;
            self.unpack(&stored[range], content)?;
        }
        Ok(Some(out.into()))
    }

    fn unpack(&mut self, stored: &[u8], content: &mut [u8]) -> Result<()> {
        if stored.len() == content.len() {
            content.copy_from_slice(stored);
            return Ok(());
        }
        let offset = self.resource.offset;
        match &mut self.decompressor {
            Some(decompressor) => decompressor.decompress(stored, content).map_err(|_| {
                WimError::malformed(
                    "resource",
                    offset,
                    "a chunk does not decompress: it is damaged",
                )
            }),
            None => Err(WimError::malformed("resource", offset, "a plain resource has chunks")),
        }
    }

    /// The whole content, which must be at most `limit` bytes.
    pub async fn read_all(mut self, limit: u64) -> Result<Vec<u8>> {
        if self.resource.original_bytes > limit {
            let problem = format!("{} bytes are more than {limit}", self.resource.original_bytes);
            return Err(WimError::malformed("resource", self.resource.offset, problem));
        }
        let mut out = Vec::new();
        while let Some(piece) = self.next().await? {
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }
}

async fn chunk_bounds(
    source: &dyn RangeRead,
    resource: &ResourceHeader,
    chunk_bytes: u32,
) -> Result<Vec<u64>> {
    let malformed = |problem: &str| WimError::malformed("chunk table", resource.offset, problem);
    let entry = table_entry_bytes(resource.original_bytes);
    let entries = table_entries(resource.original_bytes, chunk_bytes);
    let table_bytes = entries
        .checked_mul(entry)
        .filter(|&bytes| bytes <= resource.stored_bytes)
        .ok_or_else(|| malformed("it is longer than its resource"))?;
    let range: Range<u64> = resource.offset..resource.offset + table_bytes;
    let table = read_structure(source, "chunk table", range).await?;
    let base = resource.offset + table_bytes;
    let end = resource.end()?;
    let mut bounds = Vec::with_capacity(entries as usize + 2);
    bounds.push(base);
    for at in (0..table.len()).step_by(entry as usize) {
        let offset = if entry == 4 { u64::from(table.u32_at(at)) } else { table.u64_at(at) };
        let bound = base.checked_add(offset).filter(|&bound| bound <= end);
        let bound = bound.ok_or_else(|| malformed("a chunk lies outside of its resource"))?;
        let longest = u64::from(chunk_bytes);
        match bounds.last() {
            Some(&previous) if bound > previous && bound - previous <= longest => {
                bounds.push(bound)
            }
            _ => {
                return Err(malformed("a chunk is empty, longer than its content, or goes back"));
            }
        }
    }
    let last = bounds.last().copied().unwrap_or(base);
    if resource.original_bytes > 0 {
        if end <= last || end - last > u64::from(chunk_bytes) {
            return Err(malformed("the last chunk is empty or longer than its content"));
        }
        bounds.push(end);
    }
    Ok(bounds)
}
