//! Where the chunks of a resource lie.
//!
//! The table of a resource of N chunks has N-1 entries of 4 bytes (8 above 4 GiB); entry i is the
//! offset of chunk i+1 from the end of the table. A solid resource begins with its content's size
//! (8 bytes), chunk size (4) and format (4), then N chunk *sizes* of 4 bytes (wimlib 1.14.4
//! `resource.c`). A chunk as long as its content is plain; so the pieces in which a plain resource
//! is read are chunks too.

use std::ops::Range;

use crate::{
    bytes::Le,
    codec::{Decompressor, Format},
    error::{Result, WimError},
    header::{ResourceHeader, is_chunk_size},
    source::{RangeRead, read_structure},
};

/// Content bytes that are read at once, unless a chunk has more.
pub(crate) const READ_BYTES: u64 = 4 << 20;

const SOLID_FIXED_BYTES: u64 = 16;

/// Entries in the chunk table of a resource of `original` bytes.
pub fn table_entries(original: u64, chunk_bytes: u32) -> u64 {
    original.div_ceil(u64::from(chunk_bytes)).saturating_sub(1)
}

/// Bytes of one entry of the chunk table.
pub fn table_entry_bytes(original: u64) -> u64 {
    if original > u64::from(u32::MAX) { 8 } else { 4 }
}

/// The chunks of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    /// `None` when all chunks are plain.
    pub(crate) format: Option<Format>,
    /// Content bytes of each chunk but the last.
    pub(crate) chunk_bytes: u64,
    /// Bytes of content.
    pub(crate) original_bytes: u64,
    /// Offsets in the file where chunks begin, and the end of the last.
    pub(crate) bounds: Vec<u64>,
}

impl Chunks {
    /// Those of a resource that is not solid, in a WIM of this format and chunk size.
    pub(crate) async fn read(
        source: &dyn RangeRead,
        resource: &ResourceHeader,
        format: Option<Format>,
        chunk_bytes: u32,
    ) -> Result<Self> {
        let (start, end, size) = (resource.offset, resource.end()?, source.size());
        if end > size {
            return Err(WimError::Truncated { structure: "resource", start, end, size });
        }
        if !resource.compressed {
            return Self::plain(resource);
        }
        let Some(format) = format else {
            let problem = "it is marked compressed in a WIM without compression";
            return Err(WimError::malformed("resource", start, problem));
        };
        let original_bytes = resource.original_bytes;
        let entry = table_entry_bytes(original_bytes);
        let table_bytes = table_entries(original_bytes, chunk_bytes)
            .checked_mul(entry)
            .filter(|&bytes| bytes <= resource.stored_bytes)
            .ok_or_else(|| too_long(start))?;
        let table = read_structure(source, "chunk table", start..start + table_bytes).await?;
        let base = start + table_bytes;
        let mut chunks = Self::empty(Some(format), chunk_bytes, original_bytes, base);
        for at in (0..table.len()).step_by(entry as usize) {
            let offset = if entry == 4 { u64::from(table.u32_at(at)) } else { table.u64_at(at) };
            chunks.push(base.checked_add(offset), resource)?;
        }
        if original_bytes > 0 {
            chunks.push(Some(end), resource)?;
        }
        Ok(chunks)
    }

    /// Those of a solid resource, which says its own size, format and chunk size.
    pub(crate) async fn read_solid(
        source: &dyn RangeRead,
        resource: &ResourceHeader,
    ) -> Result<Self> {
        let (start, end) = (resource.offset, resource.end()?);
        let fixed = read_structure(source, "solid resource", start..start + SOLID_FIXED_BYTES);
        let fixed = fixed.await?;
        let (original_bytes, chunk_bytes) = (fixed.u64_at(0), fixed.u32_at(8));
        let malformed = |problem: String| WimError::malformed("solid resource", start, problem);
        let format = match fixed.u32_at(12) {
            1 => Format::Xpress,
            2 => Format::Lzx,
            3 => Format::Lzms,
            other => return Err(malformed(format!("compression format {other} is not known"))),
        };
        if !is_chunk_size(format, chunk_bytes) {
            let problem = format!("{format} has no chunks of {chunk_bytes} bytes in a WIM");
            return Err(malformed(problem));
        }
        let count = original_bytes.div_ceil(u64::from(chunk_bytes));
        let base = count
            .checked_mul(4)
            .and_then(|bytes| bytes.checked_add(start + SOLID_FIXED_BYTES))
            .filter(|&base| base <= end)
            .ok_or_else(|| too_long(start))?;
        let table = start + SOLID_FIXED_BYTES..base;
        let table = read_structure(source, "chunk table", table).await?;
        let mut chunks = Self::empty(Some(format), chunk_bytes, original_bytes, base);
        let mut bound = base;
        for at in (0..table.len()).step_by(4) {
            bound += u64::from(table.u32_at(at));
            chunks.push(Some(bound), resource)?;
        }
        Ok(chunks)
    }

    /// Those of a resource that is not compressed: the pieces in which it is read.
    pub(crate) fn plain(resource: &ResourceHeader) -> Result<Self> {
        let bytes = resource.stored_bytes;
        if bytes != resource.original_bytes {
            let problem = "a plain resource has two different sizes";
            return Err(WimError::malformed("resource", resource.offset, problem));
        }
        let mut chunks = Self::empty(None, READ_BYTES as u32, bytes, resource.offset);
        let ends = (1..=bytes.div_ceil(READ_BYTES)).map(|count| bytes.min(count * READ_BYTES));
        chunks.bounds.extend(ends.map(|end| resource.offset + end));
        Ok(chunks)
    }

    fn empty(format: Option<Format>, chunk_bytes: u32, original_bytes: u64, base: u64) -> Self {
        let chunk_bytes = u64::from(chunk_bytes);
        Self { format, chunk_bytes, original_bytes, bounds: vec![base] }
    }

    /// Adds the end of the next chunk.
    fn push(&mut self, end: Option<u64>, resource: &ResourceHeader) -> Result<()> {
        let chunk = self.count();
        let begin = self.bounds[chunk];
        let longest = self.content(chunk, chunk + 1);
        let longest = longest.end - longest.start;
        let limit = resource.end()?;
        let fits = |&end: &u64| end <= limit && end > begin && end - begin <= longest;
        let end = end.filter(fits).ok_or_else(|| {
            let problem = "a chunk is empty, longer than its content, or outside of its resource";
            WimError::malformed("chunk table", resource.offset, problem)
        })?;
        self.bounds.push(end);
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Where the content of chunks `first..last` lies in the resource's content.
    pub(crate) fn content(&self, first: usize, last: usize) -> Range<u64> {
        let at = |chunk: usize| (chunk as u64 * self.chunk_bytes).min(self.original_bytes);
        at(first)..at(last)
    }

    /// Where chunks `first..last` lie in the file.
    pub(crate) fn stored(&self, first: usize, last: usize) -> Range<u64> {
        self.bounds[first]..self.bounds[last]
    }

    /// A decompressor for them; `None` when all are plain.
    pub(crate) fn decompressor(&self) -> Result<Option<Decompressor>> {
        // Chunk sizes are at most 2^30.
        let new = |format| Decompressor::new(format, self.chunk_bytes as u32);
        self.format.map(new).transpose()
    }
}

fn too_long(offset: u64) -> WimError {
    WimError::malformed("chunk table", offset, "it is longer than its resource")
}

/// Makes the content of one chunk, which fills `content`.
pub(crate) fn unpack(
    decompressor: &mut Option<Decompressor>,
    stored: &[u8],
    content: &mut [u8],
    offset: u64,
) -> Result<()> {
    if stored.len() == content.len() {
        content.copy_from_slice(stored);
        return Ok(());
    }
    let damaged = "a chunk does not decompress: it is damaged";
    let unpacked = decompressor.as_mut().map(|known| known.decompress(stored, content));
    match unpacked {
        Some(Ok(())) => Ok(()),
        _ => Err(WimError::malformed("resource", offset, damaged)),
    }
}
