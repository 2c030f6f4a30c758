//! What can be wrong with a WIM, or with writing one.

use crate::{hash::Sha1Hash, set::SetProblem};

/// An error about a WIM. Messages name the structure and its place; callers add which file it is.
#[derive(Debug, thiserror::Error)]
pub enum WimError {
    /// The bytes are not those of a WIM that this crate reads.
    #[error("{structure} at offset {offset}: {problem}")]
    Malformed {
        /// Which structure of the format.
        structure: &'static str,
        /// Where, in bytes from the start of the file (or of the resource, for dentries).
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The file ends too early, or a range outside of it was named.
    #[error(
        "{structure} lies at bytes {start}..{end}, but the file has {size} bytes: it was cut off; \
         get a whole copy"
    )]
    Truncated {
        /// Which structure.
        structure: &'static str,
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
        /// Bytes that are there.
        size: u64,
    },
    /// The files are not one whole split WIM.
    #[error(transparent)]
    Set(#[from] SetProblem),
    /// A form of WIM that can't be read.
    #[error("{what} is not supported: {advice}")]
    NotSupported {
        /// What was met.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// No such image.
    #[error("image index {index} does not exist: the WIM has {count} image(s), numbered from 1")]
    NoSuchImage {
        /// The index asked for.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// A resource's content is not what its SHA-1 says.
    #[error("resource at offset {offset} has SHA-1 {actual}, expected {expected}")]
    WrongHash {
        /// The resource's offset in the file.
        offset: u64,
        /// What the blob table says.
        expected: Sha1Hash,
        /// What the bytes give.
        actual: Sha1Hash,
    },
    /// A file of a graft has the name of something that is there already.
    #[error(
        "'{path}' is in the OS image already (as '{existing}'), and would be written again: \
         remove it from the OS image, or from what is added"
    )]
    Collision {
        /// The path to be added.
        path: String,
        /// The name that is there.
        existing: String,
    },
    /// Two files of grafts have the same name.
    #[error(
        "'{path}' would be written twice (also as '{existing}'): Windows does not tell these names \
         apart, so rename one of them in its content's source folder"
    )]
    WrittenTwice {
        /// The path to be added.
        path: String,
        /// The name that was added before.
        existing: String,
    },
    /// Two contents with one SHA-1: WIM could keep only one of them.
    #[error(
        "two different contents share the SHA-1 {sha1}: a WIM can't hold both; \
         one of them was made to collide, so find out where it comes from"
    )]
    Sha1Collision {
        /// The shared hash.
        sha1: Sha1Hash,
    },
    /// wimlib refused.
    #[error("wimlib could not {what} (code {code})")]
    Codec {
        /// What was tried.
        what: &'static str,
        /// wimlib's error code.
        code: i32,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The object store failed.
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

impl WimError {
    /// A malformed structure.
    pub(crate) fn malformed(
        structure: &'static str,
        offset: u64,
        problem: impl Into<String>,
    ) -> Self {
        Self::Malformed { structure, offset, problem: problem.into() }
    }
}

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, WimError>;
