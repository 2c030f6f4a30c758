//! The integrity table: SHA-1 of each 10 MiB from the end of the header to the end of the blob
//! table (wimlib 1.14.4 `integrity.c`).

use sha1::{Digest, Sha1};

use crate::{
    bytes::Le,
    error::{Result, WimError},
    hash::Sha1Hash,
};

/// Bytes that one SHA-1 covers.
pub const INTEGRITY_CHUNK_BYTES: u64 = 10 << 20;
const FIXED_BYTES: usize = 12;

/// Reads an integrity table: the bytes each hash covers, and the hashes.
pub fn parse(table: &[u8]) -> Result<(u64, Vec<Sha1Hash>)> {
    let malformed = |problem: &str| WimError::malformed("integrity table", 0, problem);
    if table.len() < FIXED_BYTES {
        return Err(malformed("it is cut off"));
    }
    let (bytes, entries) = (table.u32_at(0) as usize, table.u32_at(4) as usize);
    let chunk = u64::from(table.u32_at(8));
    if bytes != table.len() || entries.checked_mul(20) != Some(bytes - FIXED_BYTES) || chunk == 0 {
        return Err(malformed("its lengths contradict each other"));
    }
    let hashes = table[FIXED_BYTES..].chunks_exact(20).map(|hash| Sha1Hash(hash.array_at(0)));
    Ok((chunk, hashes.collect()))
}

/// How many bytes an integrity table over `covered` bytes has.
pub fn table_bytes(covered: u64) -> u64 {
    FIXED_BYTES as u64 + 20 * covered.div_ceil(INTEGRITY_CHUNK_BYTES)
}

/// The bytes of an integrity table over 10 MiB chunks.
pub fn write(hashes: &[Sha1Hash]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FIXED_BYTES + 20 * hashes.len());
    out.extend_from_slice(&((FIXED_BYTES + 20 * hashes.len()) as u32).to_le_bytes());
    out.extend_from_slice(&(hashes.len() as u32).to_le_bytes());
    out.extend_from_slice(&(INTEGRITY_CHUNK_BYTES as u32).to_le_bytes());
    for hash in hashes {
        out.extend_from_slice(&hash.0);
    }
    out
}

/// Hashes a stream chunk by chunk.
#[derive(Default)]
pub struct ChunkHasher {
    current: Sha1,
    filled: u64,
    done: Vec<Sha1Hash>,
}

impl ChunkHasher {
    /// Takes more of the stream.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = bytes.len().min((INTEGRITY_CHUNK_BYTES - self.filled) as usize);
            self.current.update(&bytes[..take]);
            self.filled += take as u64;
            bytes = &bytes[take..];
            if self.filled == INTEGRITY_CHUNK_BYTES {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.done.push(Sha1Hash(std::mem::take(&mut self.current).finalize().into()));
        self.filled = 0;
    }

    /// Hashes of all chunks, the last one possibly short.
    pub fn finish(mut self) -> Vec<Sha1Hash> {
        if self.filled > 0 {
            self.close();
        }
        self.done
    }
}
