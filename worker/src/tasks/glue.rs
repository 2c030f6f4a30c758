//! The glue: all bytes of a volume that are not copied from packs, and the hashes of all chunks.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use prestage_store::{
    CHUNK, HEADER_BYTES,
    chunks::{chunk_floor, chunk_start},
    layout::{Origin, Stretch, Volume},
    pack::{PackReader, PackWriter, Reservation},
};
use prestage_wim::Sha1Hash;
use sha1::{Digest, Sha1};

use super::{Tools, error::TaskError};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Writes the glue in the order of the volume, hashing as it goes.
pub struct GlueWriter<'a> {
    writer: PackWriter,
    header: Reservation,
    hasher: ChunkHashes,
    cached: Option<(usize, u64, Bytes)>,
    packs: &'a [PackReader],
    hashes: bool,
    tools: &'a Tools,
}

impl<'a> GlueWriter<'a> {
    /// Leaves room for the header. `hashes` says whether the hashes of chunks are wanted.
    pub fn begin(
        packs: &'a [PackReader],
        hashes: bool,
        tools: &'a Tools,
    ) -> Result<Self, TaskError> {
        let mut writer = tools.pack_writer()?;
        let header = writer.reserve(HEADER_BYTES)?;
        let hasher = ChunkHashes::default();
        Ok(Self { writer, header, hasher, cached: None, packs, hashes, tools })
    }

    /// Writes everything that the layout takes from packs or leaves empty, but for what the store
    /// copies.
    pub fn payload(&mut self, volume: &Volume) -> Result<(), TaskError> {
        for stretch in volume.stretches() {
            match stretch.from {
                Origin::Header => {}
                Origin::Pack { pack, offset } if stretch.copied => {
                    self.hash_edges(stretch, pack, offset)?;
                }
                Origin::Pack { pack, offset } => {
                    let dst_offset = stretch.dst_offset;
                    self.each_piece(
                        pack,
                        offset..offset + stretch.bytes,
                        |glue, within, piece| glue.covered(piece, dst_offset + within),
                    )?;
                }
                Origin::Zeros => self.zeros(stretch.bytes, stretch.dst_offset)?,
            }
            if self.tools.is_cancelled() {
                return Err(TaskError::Cancelled);
            }
        }
        Ok(())
    }

    /// Appends bytes that belong at `dst_offset` and are covered by the integrity table.
    pub fn covered(&mut self, bytes: &[u8], dst_offset: u64) -> Result<(), TaskError> {
        self.hasher.update(dst_offset, bytes);
        Ok(self.writer.append(bytes)?)
    }

    /// Hashes of every chunk, those of `known` (which were not read) included.
    pub fn chunk_hashes(
        &mut self,
        known: impl Iterator<Item = (u64, Sha1Hash)>,
        chunks: u64,
    ) -> Result<Vec<Sha1Hash>, TaskError> {
        let mut hashes = self.hasher.take();
        hashes.extend(known);
        let missing =
            |chunk| TaskError::BadTask(format!("chunk {chunk} of the volume has no hash"));
        (0..chunks).map(|chunk| hashes.get(&chunk).copied().ok_or_else(|| missing(chunk))).collect()
    }

    /// Appends what the integrity table doesn't cover, fills in the header, and gives the file.
    pub fn finish(mut self, rest: &[u8], header: &[u8]) -> Result<PackWriter, TaskError> {
        self.writer.append(rest)?;
        self.writer.fill(self.header, header)?;
        Ok(self.writer)
    }

    /// Hashes what the store copies of chunks that it doesn't copy whole: their hashes are in no
    /// index.
    fn hash_edges(&mut self, copied: &Stretch, pack: usize, offset: u64) -> Result<(), TaskError> {
        if !self.hashes {
            return Ok(());
        }
        let (start, end) = (copied.dst_offset, copied.dst_offset + copied.bytes);
        let next_chunk = chunk_start((start - HEADER_BYTES).div_ceil(CHUNK));
        let whole = next_chunk.min(end)..chunk_floor(end).max(next_chunk.min(end));
        for (from, to) in [(start, whole.start), (whole.end, end)] {
            let in_pack = |at: u64| offset + (at - start);
            self.each_piece(pack, in_pack(from)..in_pack(to), |glue, within, piece| {
                glue.hasher.update(from + within, piece);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Reads a range of a pack, piece by piece; each comes with its offset in the range.
    fn each_piece(
        &mut self,
        pack: usize,
        range: Range<u64>,
        mut take: impl FnMut(&mut Self, u64, &[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let mut at = range.start;
        while at < range.end {
            let chunk = at / CHUNK;
            let stop = range.end.min((chunk + 1) * CHUNK);
            let content = self.verified_chunk(pack, chunk)?;
            let base = chunk * CHUNK;
            let piece = &content[(at - base) as usize..(stop - base) as usize];
            take(self, at - range.start, piece)?;
            at = stop;
        }
        Ok(())
    }

    /// A chunk of a pack, its SHA-1 checked: this is the content's last hop.
    fn verified_chunk(&mut self, pack: usize, chunk: u64) -> Result<Bytes, TaskError> {
        if let Some((cached_pack, cached_chunk, bytes)) = &self.cached
            && (*cached_pack, *cached_chunk) == (pack, chunk)
        {
            return Ok(bytes.clone());
        }
        let reader = &self.packs[pack];
        let bytes = self.tools.runtime.block_on(reader.get_chunk(chunk))?;
        self.cached = Some((pack, chunk, bytes.clone()));
        Ok(bytes)
    }

    fn zeros(&mut self, bytes: u64, dst_offset: u64) -> Result<(), TaskError> {
        let mut written = 0;
        while written < bytes {
            let piece = &ZEROS[..ZEROS.len().min((bytes - written) as usize)];
            self.covered(piece, dst_offset + written)?;
            written += piece.len() as u64;
        }
        Ok(())
    }
}

/// SHA-1 of each chunk of the volume that passes by in order, each whole.
#[derive(Default)]
struct ChunkHashes {
    current: Option<(u64, Sha1)>,
    done: BTreeMap<u64, Sha1Hash>,
}

impl ChunkHashes {
    fn update(&mut self, dst_offset: u64, mut bytes: &[u8]) {
        let mut at = dst_offset - HEADER_BYTES;
        while !bytes.is_empty() {
            let chunk = at / CHUNK;
            let take = bytes.len().min(((chunk + 1) * CHUNK - at) as usize);
            if self.current.as_ref().is_none_or(|(current, _)| *current != chunk) {
                self.close();
                self.current = Some((chunk, Sha1::new()));
            }
            if let Some((_, hasher)) = &mut self.current {
                hasher.update(&bytes[..take]);
            }
            at += take as u64;
            bytes = &bytes[take..];
        }
    }

    fn close(&mut self) {
        if let Some((chunk, hasher)) = self.current.take() {
            self.done.insert(chunk, Sha1Hash(hasher.finalize().into()));
        }
    }

    fn take(&mut self) -> BTreeMap<u64, Sha1Hash> {
        self.close();
        std::mem::take(&mut self.done)
    }
}
