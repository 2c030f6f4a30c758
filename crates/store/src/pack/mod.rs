//! Packs: immutable objects of WIM resources back to back, each with an index of what is in it.

mod index;
mod index_wire;
mod publish;
mod reader;
mod writer;

pub use index::{IndexError, PackContents, PackFacts, PackIndex, ResourceEntry};
pub use index_wire::INDEX_LIMIT;
pub(crate) use publish::sync_folder;
#[cfg(test)]
pub(crate) use publish::tests;
pub use publish::{PublishError, Published, UPLOAD_BYTES};
pub use reader::{PackReadError, PackReader, SeenPack};
pub use writer::{FinishedPack, PackWriteError, PackWriter, Reservation};

/// A SHA-1 digest: WIM's name for content.
pub type Sha1Digest = [u8; 20];

/// A SHA-256 digest: the content library's name for content.
pub type Sha256Digest = [u8; 32];

/// What one chunk (10 MiB, the last may be shorter) of a pack hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkDigests {
    /// For the integrity table of a medium that the chunk is copied to.
    pub sha1: Sha1Digest,
    /// For our own checks: several times faster, so that packs can be checked whenever they are
    /// copied.
    pub blake3: [u8; 32],
}
