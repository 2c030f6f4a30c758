//! Reading by ranges, from wherever a WIM lies.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use crate::error::{Result, WimError};

/// Bytes that can be read by ranges: an object, or a medium that is not composed yet.
#[async_trait]
pub trait RangeRead: Send + Sync {
    /// How many bytes there are.
    fn size(&self) -> u64;
    /// The bytes of `range`, all of them.
    async fn read(&self, range: Range<u64>) -> Result<Bytes>;
}

/// An object of any object store.
pub struct ObjectSource {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl ObjectSource {
    /// Looks the object up.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self> {
        let size = store.head(&path).await?.size;
        Ok(Self { store, path, size })
    }
}

#[async_trait]
impl RangeRead for ObjectSource {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.store.get_range(&self.path, range).await?)
    }
}

/// Reads a range that a structure names, with an error that names the structure if it isn't there.
pub(crate) async fn read_structure(
    source: &dyn RangeRead,
    structure: &'static str,
    range: Range<u64>,
) -> Result<Bytes> {
    let (start, end, size) = (range.start, range.end, source.size());
    if end > size || start > end {
        return Err(WimError::Truncated { structure, start, end, size });
    }
    if start == end {
        return Ok(Bytes::new());
    }
    source.read(range).await
}
