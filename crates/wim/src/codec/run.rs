//! Runs: stretches of one large file, encoded by several workers and joined by one.
//!
//! Chunks depend on nothing but their own content, so the joined resource has the bytes that a
//! single encoder makes: see [`super::join`].

use std::io;

use super::{Codec, ResourceSink, window::Window};
use crate::{
    error::{Result, WimError},
    hash::Sha1Hash,
};

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRun {
    /// Stored bytes of each chunk; as many as its content for one that is stored plain.
    pub sizes: Vec<u32>,
    /// SHA-1 of the run's content.
    pub sha1: Sha1Hash,
    /// SHA-256 of the run's content.
    pub sha256: [u8; 32],
}

/// Appends the chunks of a run that shrank.
pub(super) struct RunWriter<'a> {
    codec: Codec,
    sink: &'a mut dyn ResourceSink,
    sizes: Vec<u32>,
    hashes: Option<(Sha1Hash, [u8; 32])>,
}

impl<'a> RunWriter<'a> {
    pub fn new(codec: Codec, sink: &'a mut dyn ResourceSink) -> Self {
        Self { codec, sink, sizes: Vec::new(), hashes: None }
    }

    pub fn write(&mut self, window: &Window) -> Result<()> {
        for chunk in window.chunks(self.codec.chunk_bytes as usize).filter(|chunk| chunk.shrank) {
            self.sink.append(chunk.bytes)?;
        }
        self.sizes.extend(&window.stored);
        self.hashes = window.spans.last().and_then(|span| span.hashes);
        Ok(())
    }

    pub fn into_done(self) -> Result<EncodedRun> {
        let empty = || WimError::from(io::Error::other("a run without content was to be encoded"));
        let (sha1, sha256) = self.hashes.ok_or_else(empty)?;
        Ok(EncodedRun { sizes: self.sizes, sha1, sha256 })
    }
}
