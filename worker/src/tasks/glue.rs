//! The glue: all bytes of the medium that are not copied from packs, and the hashes of all chunks.

use std::collections::BTreeMap;

use bytes::Bytes;
use prestage_store::{
    CHUNK, HEADER_BYTES,
    layout::{GlueSource, Layout},
    pack::{PackReader, PackWriter, Reservation},
};
use prestage_wim::Sha1Hash;
use sha1::{Digest, Sha1};

use super::{Tools, error::TaskError};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Writes the glue in the order of the medium, hashing as it goes.
pub struct GlueWriter<'a> {
    writer: PackWriter,
    header: Reservation,
    hasher: ChunkHashes,
    cached: Option<(usize, u64, Bytes)>,
    packs: &'a [PackReader],
    tools: &'a Tools,
}

impl<'a> GlueWriter<'a> {
    /// Leaves room for the header.
    pub fn begin(packs: &'a [PackReader], tools: &'a Tools) -> Result<Self, TaskError> {
        let mut writer = tools.pack_writer()?;
        let header = writer.reserve(HEADER_BYTES)?;
        let hasher = ChunkHashes::default();
        Ok(Self { writer, header, hasher, cached: None, packs, tools })
    }

    /// Writes everything that the layout takes from packs or leaves empty.
    pub fn payload(&mut self, layout: &Layout) -> Result<(), TaskError> {
        for piece in layout.glue() {
            match piece.from {
                GlueSource::Header => {}
                GlueSource::Pack { pack, offset } => {
                    self.copy_pack(pack, offset, piece.bytes, piece.dst_offset)?;
                }
                GlueSource::Zeros => self.zeros(piece.bytes, piece.dst_offset)?,
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
            |chunk| TaskError::BadTask(format!("chunk {chunk} of the medium has no hash"));
        (0..chunks).map(|chunk| hashes.get(&chunk).copied().ok_or_else(|| missing(chunk))).collect()
    }

    /// Appends what the integrity table doesn't cover, fills in the header, and gives the file.
    pub fn finish(mut self, rest: &[u8], header: &[u8]) -> Result<PackWriter, TaskError> {
        self.writer.append(rest)?;
        self.writer.fill(self.header, header)?;
        Ok(self.writer)
    }

    fn copy_pack(
        &mut self,
        pack: usize,
        offset: u64,
        bytes: u64,
        dst_offset: u64,
    ) -> Result<(), TaskError> {
        let (mut at, end) = (offset, offset + bytes);
        while at < end {
            let chunk = at / CHUNK;
            let stop = end.min((chunk + 1) * CHUNK);
            let content = self.verified_chunk(pack, chunk)?;
            let base = chunk * CHUNK;
            let piece = content.slice((at - base) as usize..(stop - base) as usize);
            self.covered(&piece, dst_offset + (at - offset))?;
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

/// SHA-1 of each chunk of the medium that passes by in order, each whole.
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
