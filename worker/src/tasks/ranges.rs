//! Files of distribution points, read by ranges.

use std::{fs::File, io, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use prestage_configmgr::distribution_point::RemoteFile;
use prestage_wim::RangeRead;

use crate::shares::Shares;

/// A file on a share, read by ranges.
pub struct ShareRanges {
    /// Its threads.
    pub shares: Shares,
    /// The distribution point's name.
    pub point: String,
    /// The open file.
    pub file: Arc<File>,
    /// Its bytes.
    pub size: u64,
    /// Its path inside the content.
    pub name: String,
}

#[async_trait]
impl RangeRead for ShareRanges {
    fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, range: Range<u64>) -> prestage_wim::Result<Bytes> {
        let bytes = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        Ok(self.shares.read_at(&self.point, self.file.clone(), range.start, bytes).await?)
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
