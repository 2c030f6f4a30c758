//! SHA-1 (WIM's own check) and SHA-256 (identity) of content, in one pass.

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// A SHA-1, as the blob table and dentries carry it. All zero means: no content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sha1Hash(pub [u8; 20]);

impl Sha1Hash {
    /// The hash of no stream at all.
    pub const ZERO: Self = Self([0; 20]);

    /// The SHA-1 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha1::digest(bytes).into())
    }

    /// Whether this stands for "no content".
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl std::fmt::Display for Sha1Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Sha1Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Both hashes of a stream, while it passes by.
#[derive(Clone, Default)]
pub struct DoubleHasher {
    sha1: Sha1,
    sha256: Sha256,
}

impl DoubleHasher {
    /// Takes more of the stream. Small pieces keep it in the CPU's cache for the second hash.
    pub fn update(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(64 * 1024) {
            self.sha1.update(piece);
            self.sha256.update(piece);
        }
    }

    /// The same with a thread for each hash, if the thread pool has them free: for large pieces.
    pub fn update_side_by_side(&mut self, bytes: &[u8]) {
        let (sha1, sha256) = (&mut self.sha1, &mut self.sha256);
        rayon::join(|| sha1.update(bytes), || sha256.update(bytes));
    }

    /// The hashes of all that was taken.
    pub fn finish(self) -> (Sha1Hash, [u8; 32]) {
        (Sha1Hash(self.sha1.finalize().into()), self.sha256.finalize().into())
    }
}
