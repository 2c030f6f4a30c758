//! A whole WIM from memory: opened, verified, every resource read.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use prestage_wim::{RangeRead, Result, Wim, WimError, verify};
use tokio::runtime::{Builder, Runtime};

/// Content of all resources that is read in one run: a small file may claim very much, and reading
/// it takes the time that it takes. It bounds a chunk too, which is in memory as a whole: those of
/// LZMS may have up to 1 GiB.
const CONTENT_BYTES_MAX: u64 = 8 << 20;

pub(super) fn check(input: &[u8]) {
    let memory = Arc::new(Memory(Bytes::copy_from_slice(input)));
    runtime().block_on(async {
        if let Ok(wim) = Wim::open(memory).await {
            read(&Arc::new(wim)).await;
        }
    });
}

async fn read(wim: &Arc<Wim>) {
    let _ = wim.images();
    let claimed = |blob: &prestage_wim::Blob| blob.resource.original_bytes;
    let total = wim.blobs.iter().map(claimed).fold(0, u64::saturating_add);
    let solid = wim.solid_resources().iter().map(|solid| solid.resource.original_bytes);
    let total = solid.fold(total, u64::saturating_add);
    if total > CONTENT_BYTES_MAX {
        return;
    }
    for index in 1..=wim.header.image_count.min(8) {
        let _ = wim.tree(index).await;
    }
    if let Ok(verified) = verify::verify(wim, 2, |_| {}).await {
        assert!(verified.content_bytes <= total);
        let structure = verify::verify_structure(wim).await;
        assert!(structure.is_ok(), "what verifies has a sound structure");
    }
}

/// One for all runs: its threads are no work of the parser.
pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| match Builder::new_current_thread().max_blocking_threads(2).build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    })
}

/// A file in memory.
pub(super) struct Memory(pub(super) Bytes);

#[async_trait]
impl RangeRead for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let (start, end, size) = (range.start, range.end, self.size());
        assert!(start <= end && end <= size, "{start}..{end} was asked of {size} bytes");
        let place = || WimError::Io(std::io::ErrorKind::InvalidInput.into());
        let start = usize::try_from(start).map_err(|_| place())?;
        let end = usize::try_from(end).map_err(|_| place())?;
        Ok(self.0.slice(start..end))
    }
}
