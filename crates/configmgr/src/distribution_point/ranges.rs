//! Files of distribution points, read by ranges: what a WIM there is opened from.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use prestage_shares::ShareFile;
use prestage_wim::RangeRead;

use super::RemoteFile;

/// A file on a share, read by ranges.
pub struct ShareRanges {
    /// The open file.
    pub file: ShareFile,
    /// Its path inside the content.
    pub name: String,
}

#[async_trait]
impl RangeRead for ShareRanges {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, range: Range<u64>) -> prestage_wim::Result<Bytes> {
        Ok(self.file.read(range).await?)
    }
}

/// A file on a distribution point that is reached over HTTP, read by ranges.
pub struct RemoteRanges(pub RemoteFile);

#[async_trait]
impl RangeRead for RemoteRanges {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    async fn read(&self, range: Range<u64>) -> prestage_wim::Result<Bytes> {
        Ok(self.0.read_range(range).await?)
    }
}
