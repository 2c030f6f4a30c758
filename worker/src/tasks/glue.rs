//! The glue: all bytes of a volume that are not copied from packs, and the hashes of all chunks.
//!
//! Loose resources come from all over their packs. Each chunk of a pack is read and checked once,
//! and what of it is glue goes to its places; the hashes are taken afterwards, from front to back.

use std::{collections::BTreeMap, ops::Range};

use futures::{StreamExt, stream};
use prestage_store::{
    CHUNK, HEADER_BYTES, StagingFile,
    chunks::chunk_start,
    layout::{Origin, Volume},
    pack::PackReader,
    staging::Staged,
};
use prestage_wim::Sha1Hash;
use rayon::prelude::*;
use sha1::{Digest, Sha1};

use super::{Tools, error::TaskError};

/// Chunks of packs in memory at once.
const READ_AHEAD: u64 = 3;
/// Bytes of glue that are hashed at once, while they are in the CPU's cache.
const HASH_PIECE: usize = 256 * 1024;

/// The glue of one volume.
pub struct Glue<'a> {
    file: StagingFile,
    /// Bytes of it so far.
    bytes: u64,
    spans: Vec<Span>,
    packs: &'a [PackReader],
    tools: &'a Tools,
}

/// A stretch of the volume, and where its bytes can be read.
#[derive(Clone, Copy)]
struct Span {
    dst_offset: u64,
    bytes: u64,
    from: From,
}

#[derive(Clone, Copy)]
enum From {
    Glue { offset: u64 },
    Pack { pack: usize, offset: u64 },
}

/// A part of a pack's chunk that is glue.
struct Piece {
    pack: usize,
    chunk: u64,
    within: Range<usize>,
    glue_offset: u64,
}

impl<'a> Glue<'a> {
    /// Writes all that the layout takes from packs or leaves empty, but for what the store copies. About
    /// `more` bytes will be appended.
    pub fn write(
        volume: &Volume,
        more: u64,
        packs: &'a [PackReader],
        tools: &'a Tools,
    ) -> Result<Self, TaskError> {
        let copied =
            |from, offset: Option<u64>| matches!((from, offset), (Origin::Pack { .. }, None));
        let in_glue = volume.glue().filter(|(stretch, offset)| !copied(stretch.from, *offset));
        let in_glue: u64 = in_glue.map(|(stretch, _)| stretch.bytes).sum();
        let file = tools.staging_file(in_glue + more)?;
        let mut glue = Self { file, bytes: 0, spans: Vec::new(), packs, tools };
        let mut pieces = Vec::new();
        for (stretch, in_glue) in volume.glue() {
            let (dst_offset, bytes) = (stretch.dst_offset, stretch.bytes);
            let from = match (stretch.from, in_glue) {
                (Origin::Pack { pack, offset }, None) => From::Pack { pack, offset },
                (from, offset) => {
                    let offset = offset.unwrap_or(glue.bytes);
                    if let Origin::Pack { pack, offset: in_pack } = from {
                        pieces.extend(pieces_of(pack, in_pack..in_pack + bytes, offset));
                    }
                    glue.bytes = offset + bytes;
                    From::Glue { offset }
                }
            };
            glue.spans.push(Span { dst_offset, bytes, from });
        }
        glue.scatter(pieces)?;
        Ok(glue)
    }

    /// Appends bytes that follow the payload in the volume, one piece after another.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), TaskError> {
        self.file.write_at(bytes, self.bytes)?;
        let last = self.spans.last();
        let dst_offset = last.map_or(HEADER_BYTES, |last| last.dst_offset + last.bytes);
        let from = From::Glue { offset: self.bytes };
        self.spans.push(Span { dst_offset, bytes: bytes.len() as u64, from });
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// SHA-1 of each of the first `chunks` chunks, as far as the volume goes by now. Those in
    /// `known` are not read.
    pub fn chunk_hashes(
        &self,
        known: &BTreeMap<u64, Sha1Hash>,
        chunks: u64,
    ) -> Result<Vec<Sha1Hash>, TaskError> {
        let hash = |chunk: u64| match known.get(&chunk) {
            Some(known) => Ok(*known),
            None => self.hash(chunk),
        };
        self.tools.pool.install(|| (0..chunks).into_par_iter().map(hash).collect())
    }

    /// Fills in the header; gives the file, all of it on disk.
    pub fn finish(self, header: &[u8]) -> Result<Staged, TaskError> {
        self.file.write_at(header, 0)?;
        Ok(self.file.finish(self.bytes)?)
    }

    /// Puts the pieces to their places, chunk by chunk of the packs.
    fn scatter(&self, mut pieces: Vec<Piece>) -> Result<(), TaskError> {
        let memory = self.tools.memory(READ_AHEAD * CHUNK)?;
        let read_ahead = (memory.bytes() / CHUNK).clamp(1, READ_AHEAD) as usize;
        let chunk = |piece: &Piece| (piece.pack, piece.chunk);
        pieces.sort_by_key(|piece| (chunk(piece), piece.within.start));
        let of_chunks = pieces.chunk_by(|one, next| chunk(one) == chunk(next));
        let mut read = stream::iter(of_chunks)
            .map(|pieces| async move {
                let (pack, chunk) = chunk(&pieces[0]);
                Ok::<_, TaskError>((pieces, self.packs[pack].get_chunk(chunk).await?))
            })
            .buffered(read_ahead);
        while let Some(next) = self.tools.runtime.block_on(read.next()) {
            let (pieces, content) = next?;
            for piece in pieces {
                self.file.write_at(&content[piece.within.clone()], piece.glue_offset)?;
            }
            if self.tools.is_cancelled() {
                return Err(TaskError::Cancelled);
            }
        }
        Ok(())
    }

    fn hash(&self, chunk: u64) -> Result<Sha1Hash, TaskError> {
        let (start, end) = (chunk_start(chunk), chunk_start(chunk + 1));
        let first = self.spans.partition_point(|span| span.dst_offset + span.bytes <= start);
        let mut hasher = Sha1::new();
        for span in self.spans[first..].iter().take_while(|span| span.dst_offset < end) {
            let skip = start.saturating_sub(span.dst_offset);
            let until = span.bytes.min(end - span.dst_offset);
            match span.from {
                From::Glue { offset } => self.hash_glue(&mut hasher, offset + skip..offset + until),
                From::Pack { pack, offset } => {
                    self.hash_edge(&mut hasher, pack, offset + skip..offset + until)
                }
            }?;
        }
        Ok(Sha1Hash(hasher.finalize().into()))
    }

    fn hash_glue(&self, hasher: &mut Sha1, range: Range<u64>) -> Result<(), TaskError> {
        let mut piece = vec![0; HASH_PIECE.min((range.end - range.start) as usize)];
        let mut at = range.start;
        while at < range.end {
            let piece = &mut piece[..HASH_PIECE.min((range.end - at) as usize)];
            self.file.read_at(piece, at)?;
            hasher.update(&*piece);
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Less than a chunk that the store copies: its hash is in no index. It begins where a chunk of the pack
    /// does, so little more is read to check the bytes.
    fn hash_edge(
        &self,
        hasher: &mut Sha1,
        pack: usize,
        range: Range<u64>,
    ) -> Result<(), TaskError> {
        for piece in pieces_of(pack, range, 0) {
            let chunk = self.tools.runtime.block_on(self.packs[pack].get_chunk(piece.chunk))?;
            hasher.update(&chunk[piece.within]);
        }
        Ok(())
    }
}

/// A range of a pack, cut at its chunks.
fn pieces_of(pack: usize, range: Range<u64>, glue_offset: u64) -> impl Iterator<Item = Piece> {
    (range.start / CHUNK..range.end.div_ceil(CHUNK)).map(move |chunk| {
        let base = chunk * CHUNK;
        let (start, end) = (range.start.max(base), range.end.min(base + CHUNK));
        Piece {
            pack,
            chunk,
            within: (start - base) as usize..(end - base) as usize,
            glue_offset: glue_offset + (start - range.start),
        }
    })
}
