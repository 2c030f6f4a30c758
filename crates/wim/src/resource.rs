//! Reading a resource's content, a few MiB at a time.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

pub use crate::chunks::{table_entries, table_entry_bytes};
use crate::{
    chunks::{Chunks, READ_BYTES, unpack},
    codec::{Decompressor, Format},
    error::{Result, WimError},
    header::ResourceHeader,
    source::{RangeRead, read_structure},
};

/// Reads a run of a resource's content from its beginning to its end.
pub struct ResourceReader<'a> {
    source: &'a dyn RangeRead,
    chunks: Arc<Chunks>,
    decompressor: Option<Decompressor>,
    /// What is still to be read of the content.
    left: Range<u64>,
}

impl<'a> ResourceReader<'a> {
    /// Reads the chunk table of a resource that is not solid.
    pub async fn open(
        source: &'a dyn RangeRead,
        resource: ResourceHeader,
        format: Option<Format>,
        chunk_bytes: u32,
    ) -> Result<Self> {
        let chunks = Chunks::read(source, &resource, format, chunk_bytes).await?;
        let content = 0..chunks.original_bytes;
        Self::of(source, Arc::new(chunks), content)
    }

    /// A reader of `content`, which lies in the content of these chunks.
    pub(crate) fn of(
        source: &'a dyn RangeRead,
        chunks: Arc<Chunks>,
        content: Range<u64>,
    ) -> Result<Self> {
        let decompressor = chunks.decompressor()?;
        Ok(Self { source, chunks, decompressor, left: content })
    }

    /// The next piece of the content; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let (first, last) = self.next_chunks();
        let stored = read_structure(self.source, "resource", self.chunks.stored(first, last));
        let stored = stored.await?;
        let content = self.chunks.content(first, last);
        let unpacked = self.unpack(first, last, stored).await?;
        let end = content.end.min(self.left.end);
        let piece = self.left.start - content.start..end - content.start;
        self.left.start = end;
        Ok(Some(unpacked.slice(piece.start as usize..piece.end as usize)))
    }

    /// The chunk that is next, and those behind it that are read with it.
    fn next_chunks(&self) -> (usize, usize) {
        let chunk_bytes = self.chunks.chunk_bytes;
        let first = (self.left.start / chunk_bytes) as usize;
        let wanted = self.left.end.div_ceil(chunk_bytes) as usize;
        let together = (READ_BYTES / chunk_bytes).max(1) as usize;
        (first, wanted.min(first + together))
    }

    async fn unpack(&mut self, first: usize, last: usize, stored: Bytes) -> Result<Bytes> {
        let Some(decompressor) = self.decompressor.take() else {
            return Ok(stored);
        };
        let chunks = self.chunks.clone();
        let work = move || {
            let mut decompressor = Some(decompressor);
            let out = unpack_chunks(&chunks, first, last, &stored, &mut decompressor);
            (out, decompressor)
        };
        // A chunk of 64 MiB takes longer than the executor should wait.
        let (out, decompressor) = if self.chunks.chunk_bytes > READ_BYTES {
            prestage_threads::off_thread(work).await.map_err(std::io::Error::other)?
        } else {
            work()
        };
        self.decompressor = decompressor;
        out.map(Bytes::from)
    }

    /// The whole content, which must be at most `limit` bytes.
    pub async fn read_all(mut self, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.left.end - self.left.start;
        if bytes > limit {
            let problem = format!("{bytes} bytes are more than {limit}");
            let offset = self.chunks.stored(0, 0).start;
            return Err(WimError::malformed("resource", offset, problem));
        }
        let mut out = Vec::new();
        while let Some(piece) = self.next().await? {
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }
}

fn unpack_chunks(
    chunks: &Chunks,
    first: usize,
    last: usize,
    stored: &[u8],
    decompressor: &mut Option<Decompressor>,
) -> Result<Vec<u8>> {
    let content = chunks.content(first, last);
    let base = chunks.stored(first, last).start;
    let mut out = vec![0u8; (content.end - content.start) as usize];
    for (chunk, content) in (first..last).zip(out.chunks_mut(chunks.chunk_bytes as usize)) {
        let range = chunks.stored(chunk, chunk + 1);
        let stored = &stored[(range.start - base) as usize..(range.end - base) as usize];
        unpack(decompressor, stored, content, range.start)?;
    }
    Ok(out)
}
