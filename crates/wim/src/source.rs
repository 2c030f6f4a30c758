//! Reading by ranges, from wherever a WIM lies.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

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
    /// What people call it, where several are read together.
    fn name(&self) -> String {
        String::new()
    }
}

/// An object of any object store.
pub struct ObjectSource {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    name: String,
}

impl ObjectSource {
    /// Looks the object up.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self> {
        let size = store.head(&path).await?.size;
        let name = path.filename().unwrap_or_default().to_owned();
        Ok(Self { store, path, size, name })
    }

    /// The same under a name that people know it by: content libraries name files by their hash.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
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

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// A source that is read from its beginning to its end in many small ranges: it is asked for large
/// ones.
pub struct ReadAhead {
    source: Arc<dyn RangeRead>,
    /// Where the window begins, and its bytes.
    window: Mutex<(u64, Bytes)>,
}

impl ReadAhead {
    const WINDOW_BYTES: u64 = 8 << 20;

    /// Reads ahead of what is asked of it.
    pub fn new(source: Arc<dyn RangeRead>) -> Self {
        Self { source, window: Mutex::new((0, Bytes::new())) }
    }

    fn in_window(&self, range: &Range<u64>) -> Option<Bytes> {
        let (start, bytes) = &*self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let from = range.start.checked_sub(*start)?;
        let to = range.end - start;
        (to <= bytes.len() as u64).then(|| bytes.slice(from as usize..to as usize))
    }
}

#[async_trait]
impl RangeRead for ReadAhead {
    fn size(&self) -> u64 {
        self.source.size()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.end - range.start > Self::WINDOW_BYTES / 2 {
            return self.source.read(range).await;
        }
        if let Some(known) = self.in_window(&range) {
            return Ok(known);
        }
        let end = self.source.size().min(range.start + Self::WINDOW_BYTES).max(range.end);
        let bytes = self.source.read(range.start..end).await?;
        let wanted = bytes.slice(..bytes.len().min((range.end - range.start) as usize));
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = (range.start, bytes);
        Ok(wanted)
    }

    fn name(&self) -> String {
        self.source.name()
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
