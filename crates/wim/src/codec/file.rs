//! What goes into an encoder and what comes out.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicBool, AtomicU64},
};

use crate::hash::Sha1Hash;

/// A file to be encoded. Empty files have no resource and must not be given.
pub struct FileToEncode {
    /// Its size in bytes. Another size met while reading is an error.
    pub bytes: u64,
    /// Opens it from its beginning; called again only in a case that hardly ever happens.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFile {
    /// Where its resource begins in the sink.
    pub offset: u64,
    /// Bytes of the resource.
    pub stored_bytes: u64,
    /// Bytes of the content.
    pub original_bytes: u64,
    /// Whether the resource is compressed (chunk table and chunks) or the plain content.
    pub compressed: bool,
    /// SHA-1 of the content.
    pub sha1: Sha1Hash,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// Shared with whoever shows progress or cancels.
#[derive(Debug, Default)]
pub struct Progress {
    /// Content bytes encoded so far.
    pub bytes_done: AtomicU64,
    /// Set to stop at the next window.
    pub cancelled: AtomicBool,
}
