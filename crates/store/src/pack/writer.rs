//! Writes a pack into a staging file, hashing each chunk as it passes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha1::{Digest, Sha1};
use tempfile::NamedTempFile;

use super::ChunkDigests;
use crate::chunks::CHUNK;
use crate::error::StoreError;
use crate::objects::Objects;
use crate::staging::{Staged, locked_file};

/// Bytes read or written at once.
const PIECE: usize = 1024 * 1024;
/// Bytes that are hashed twice while they are in the CPU's cache.
const HASH_PIECE: usize = 128 * 1024;

/// A pack could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PackWriteError {
    /// The staging file, or a source file, could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source could not be read.
    #[error("the source of the pack can't be read: {0}")]
    Source(#[source] io::Error),
    /// A source ended before the bytes that was asked for.
    #[error(
        "the source ended after {end} of the {wanted} bytes that were being copied into the pack; \
         it changed while it was read: fetch the content again"
    )]
    SourceEnded {
        /// Bytes of the source, as far as it could be read.
        end: u64,
        /// The bytes that were asked for.
        wanted: u64,
    },
    /// A reservation was filled with the wrong number of bytes, which is a mistake of the caller.
    #[error(
        "{given} bytes were given for the {reserved} bytes reserved at {offset} of the pack; \
         report this as a bug"
    )]
    Fill {
        /// Offset of the reservation in the pack.
        offset: u64,
        /// Its length in bytes.
        reserved: u64,
        /// The bytes given.
        given: u64,
    },
    /// A reservation was never filled, which is a mistake of the caller.
    #[error(
        "the {reserved} bytes reserved at {offset} of the pack were never filled; report \
         this as a bug"
    )]
    Unfilled {
        /// Offset of the reservation in the pack.
        offset: u64,
        /// Its length in bytes.
        reserved: u64,
    },
}

impl PackWriteError {
    /// Whether the same work may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// Room left in a pack for bytes that are known later: a chunk table.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pack with an unfilled reservation can't be finished"]
pub struct Reservation {
    offset: u64,
    bytes: u64,
}

impl Reservation {
    /// Where the room starts in the pack, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Writes a pack front to back. Blocking: use it on a blocking thread. Dropped before
/// [`PackWriter::finish`], it removes its staging file.
#[derive(Debug)]
pub struct PackWriter {
    staging: BufWriter<NamedTempFile>,
    /// Bytes in front of the pack in the file; all other offsets are the pack's.
    lead: u64,
    position: u64,
    /// Of the chunk that `position` is in.
    hasher: ChunkHasher,
    /// Of the chunks before it; a placeholder for those in `reread`.
    chunk_digests: Vec<ChunkDigests>,
    /// Chunks that can't be hashed in passing because a reservation lies in them.
    reread: BTreeSet<u64>,
    /// Open reservations: offset and length.
    open: BTreeMap<u64, u64>,
}

/// A pack whose bytes are all on disk, not yet in the store. Dropped, it removes its staging file.
#[derive(Debug)]
pub struct FinishedPack {
    pub(super) staged: Staged,
    pub(super) chunk_digests: Vec<ChunkDigests>,
}

/// Both digests of a chunk, while it passes.
#[derive(Debug, Default)]
struct ChunkHasher {
    sha1: Sha1,
    blake3: blake3::Hasher,
}

impl ChunkHasher {
    /// Small pieces are still in the CPU's cache for the second hash.
    fn update(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(HASH_PIECE) {
            self.sha1.update(piece);
            self.blake3.update(piece);
        }
    }

    /// The digests, and ready for the next chunk.
    fn finish_chunk(&mut self) -> ChunkDigests {
        let blake3 = self.blake3.finalize().into();
        self.blake3.reset();
        ChunkDigests { sha1: self.sha1.finalize_reset().into(), blake3 }
    }
}

impl FinishedPack {
    /// Bytes of the pack.
    pub fn bytes(&self) -> u64 {
        self.staged.bytes
    }

    /// Digests of each 10 MiB of the pack in order; the last may be of fewer bytes.
    pub fn chunk_digests(&self) -> &[ChunkDigests] {
        &self.chunk_digests
    }
}

impl Objects {
    /// A writer for a new pack of this store; `elsewhere` is the staging folder for stores that are
    /// not folders. Blocking.
    pub fn pack_writer(&self, elsewhere: &Path) -> Result<PackWriter, PackWriteError> {
        PackWriter::create(&self.staging_folder(elsewhere), self.pack_lead())
    }
}

impl PackWriter {
    /// Opens a staging file in `folder`, which is made if it isn't there. The pack starts behind
    /// the first `lead` bytes of the file.
    pub fn create(folder: &Path, lead: u64) -> Result<Self, PackWriteError> {
        let mut file = locked_file(folder)?;
        let moved = file.seek(SeekFrom::Start(lead));
        moved.map_err(StoreError::io("write", file.path()))?;
        Ok(Self {
            staging: BufWriter::with_capacity(PIECE, file),
            lead,
            position: 0,
            hasher: ChunkHasher::default(),
            chunk_digests: Vec::new(),
            reread: BTreeSet::new(),
            open: BTreeMap::new(),
        })
    }

    /// Bytes of the pack so far: where the next resource will start.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), PackWriteError> {
        let written = self.staging.write_all(bytes);
        written.map_err(|error| self.failed("write", error))?;
        self.pass(bytes);
        Ok(())
    }

    /// Leaves room of `bytes` at the end, to be filled before the pack is finished.
    pub fn reserve(&mut self, bytes: u64) -> Result<Reservation, PackWriteError> {
        let reservation = Reservation { offset: self.position, bytes };
        if bytes == 0 {
            return Ok(reservation);
        }
        let end = self.position + bytes;
        let moved = self.staging.seek(SeekFrom::Start(self.lead + end));
        moved.map_err(|error| self.failed("write", error))?;
        self.open.insert(self.position, bytes);
        self.reread.extend(self.position / CHUNK..=(end - 1) / CHUNK);
        while (self.chunk_digests.len() as u64) < end / CHUNK {
            self.close_chunk();
        }
        self.position = end;
        Ok(reservation)
    }

    /// Fills the room that was left.
    pub fn fill(&mut self, room: Reservation, bytes: &[u8]) -> Result<(), PackWriteError> {
        if bytes.len() as u64 != room.bytes {
            return Err(PackWriteError::Fill {
                offset: room.offset,
                reserved: room.bytes,
                given: bytes.len() as u64,
            });
        }
        if bytes.is_empty() {
            return Ok(());
        }
        // The buffer never holds bytes of a reservation, so this can't be overwritten later.
        let file = self.staging.get_ref().as_file();
        let written = file.write_all_at(bytes, self.lead + room.offset);
        written.map_err(|error| self.failed("write", error))?;
        self.open.remove(&room.offset);
        Ok(())
    }

    /// Takes back everything from `offset` on; what is added next starts there. Reservations that
    /// lie behind it are gone.
    pub fn rewind(&mut self, offset: u64) -> Result<(), PackWriteError> {
        let end = self.lead + offset;
        let moved = self.staging.seek(SeekFrom::Start(end));
        let cut = moved.and_then(|_| self.staging.get_ref().as_file().set_len(end));
        cut.map_err(|error| self.failed("shorten", error))?;
        self.position = offset;
        let chunk = offset / CHUNK;
        self.chunk_digests.truncate(chunk as usize);
        self.hasher = ChunkHasher::default();
        self.open.retain(|&start, _| start < offset);
        self.reread.retain(|&other| other < chunk);
        if !offset.is_multiple_of(CHUNK) {
            self.reread.insert(chunk);
        }
        Ok(())
    }

    /// Adds the next `bytes` of `source` as they are. The source is read once: `seen` is shown every
    /// piece as it passes, so that the caller can hash the content too.
    pub fn copy_from(
        &mut self,
        source: &mut dyn Read,
        bytes: u64,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<(), PackWriteError> {
        let mut piece = vec![0; PIECE.min(bytes as usize)];
        let mut at = 0;
        while at < bytes {
            let wanted = piece.len().min((bytes - at) as usize);
            let got = match source.read(&mut piece[..wanted]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                got => got.map_err(PackWriteError::Source)?,
            };
            if got == 0 {
                return Err(PackWriteError::SourceEnded { end: at, wanted: bytes });
            }
            seen(&piece[..got]);
            self.append(&piece[..got])?;
            at += got as u64;
        }
        Ok(())
    }

    /// Hashes what could not be hashed in passing, and makes the staging file durable.
    pub fn finish(mut self) -> Result<FinishedPack, PackWriteError> {
        if let Some((&offset, &reserved)) = self.open.first_key_value() {
            return Err(PackWriteError::Unfilled { offset, reserved });
        }
        if !self.position.is_multiple_of(CHUNK) {
            self.close_chunk();
        }
        let flushed = self.staging.flush();
        flushed.map_err(|error| self.failed("write", error))?;
        for chunk in std::mem::take(&mut self.reread) {
            let digest = self.hash_again(chunk);
            self.chunk_digests[chunk as usize] =
                digest.map_err(|error| self.failed("read back", error))?;
        }
        let durable = self.staging.get_ref().as_file().sync_all();
        durable.map_err(|error| self.failed("make durable", error))?;
        let path = self.staging.get_ref().path().to_path_buf();
        let file = self.staging.into_inner();
        let file = file.map_err(|error| StoreError::io("write", &path)(error.into_error()))?;
        let staged = Staged { file, lead: self.lead, bytes: self.position };
        Ok(FinishedPack { staged, chunk_digests: self.chunk_digests })
    }

    /// Hashes bytes on their way to the end of the pack.
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let chunk = self.position / CHUNK;
            let room = (chunk + 1) * CHUNK - self.position;
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            if !self.reread.contains(&chunk) {
                self.hasher.update(now);
            }
            self.position += now.len() as u64;
            if self.position.is_multiple_of(CHUNK) {
                self.close_chunk();
            }
            bytes = later;
        }
    }

    fn close_chunk(&mut self) {
        self.chunk_digests.push(self.hasher.finish_chunk());
    }

    fn hash_again(&self, chunk: u64) -> io::Result<ChunkDigests> {
        let file = self.staging.get_ref().as_file();
        let end = ((chunk + 1) * CHUNK).min(self.position);
        let mut at = chunk * CHUNK;
        let mut hasher = ChunkHasher::default();
        let mut piece = vec![0; PIECE];
        while at < end {
            let piece = &mut piece[..PIECE.min((end - at) as usize)];
            file.read_exact_at(piece, self.lead + at)?;
            hasher.update(piece);
            at += piece.len() as u64;
        }
        Ok(hasher.finish_chunk())
    }

    fn failed(&self, action: &'static str, error: io::Error) -> PackWriteError {
        StoreError::io(action, self.staging.get_ref().path())(error).into()
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
