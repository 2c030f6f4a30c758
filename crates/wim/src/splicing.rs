//! Whether a WIM's resources can be taken over as they are.

use crate::{
    codec::{CHUNK_BYTES, Format},
    wim::Wim,
};

/// Why a WIM's resources can't be taken over as they are: a medium's must be LZX or XPRESS in
/// chunks of 32 KiB, which is all that Microsoft's tools mount, service and start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceObstacle {
    /// Contents are compressed together.
    #[error("its contents are compressed together (solid {0}, as in ESD files)")]
    Solid(Format),
    /// LZMS outside of solid resources.
    #[error("it is compressed with LZMS")]
    Lzms,
    /// Another chunk size.
    #[error("its {format} chunks have {} KiB, not 32", .chunk_bytes / 1024)]
    ChunkSize {
        /// The format.
        format: Format,
        /// Bytes of a chunk.
        chunk_bytes: u32,
    },
}

impl Wim {
    /// Why resources can't be taken over as they are; `None` when they can.
    pub fn splice_obstacle(&self) -> Option<SpliceObstacle> {
        if let Some(format) = self.solid_resources().iter().find_map(|solid| solid.chunks.format) {
            return Some(SpliceObstacle::Solid(format));
        }
        let chunk_bytes = self.header.chunk_bytes;
        match self.header.format? {
            Format::Lzms => Some(SpliceObstacle::Lzms),
            format if chunk_bytes != CHUNK_BYTES => {
                Some(SpliceObstacle::ChunkSize { format, chunk_bytes })
            }
            _ => None,
        }
    }
}
