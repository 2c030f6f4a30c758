//! Files on their way to becoming objects: written in the store's own folder where it has one, so
//! that they are renamed into place and never copied.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::StoreError;
use crate::objects::{Objects, make_private_folder};
use crate::scrub::STAGING_SUFFIX;

/// A file that is written in any order. Blocking. Dropped before [`StagingFile::finish`], it is
/// removed.
#[derive(Debug)]
pub struct StagingFile(NamedTempFile);

/// A file whose bytes are all on disk, not yet in the store. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    pub(crate) file: NamedTempFile,
    /// Bytes in front of the object's.
    pub(crate) lead: u64,
    pub(crate) bytes: u64,
}

impl Objects {
    /// A new file for an object of this store that is no pack; `elsewhere` is the staging folder for stores that
    /// are not folders. Blocking.
    pub fn staging_file(&self, elsewhere: &Path) -> Result<StagingFile, StoreError> {
        locked_file(&self.staging_folder(elsewhere)).map(StagingFile)
    }
}

impl Staged {
    /// Bytes of the object.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl StagingFile {
    /// Writes bytes at an offset. What is never written is zeros.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        let written = self.0.as_file().write_all_at(bytes, offset);
        written.map_err(StoreError::io("write", self.0.path()))
    }

    /// Reads back what was written.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), StoreError> {
        let read = self.0.as_file().read_exact_at(bytes, offset);
        read.map_err(StoreError::io("read back", self.0.path()))
    }

    /// Gives the file its size of `bytes` and makes it durable.
    pub fn finish(self, bytes: u64) -> Result<Staged, StoreError> {
        let file = self.0.as_file();
        let durable = file.set_len(bytes).and_then(|()| file.sync_all());
        durable.map_err(StoreError::io("make durable", self.0.path()))?;
        Ok(Staged { file: self.0, lead: 0, bytes })
    }
}

/// A new file in `folder` (which is made if it isn't there), locked, so that no scrub takes it for
/// a leftover.
pub(crate) fn locked_file(folder: &Path) -> Result<NamedTempFile, StoreError> {
    make_private_folder(folder)?;
    try_locked_file(folder).map_err(StoreError::io("create a staging file in", folder))
}

fn try_locked_file(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file =
            tempfile::Builder::new().prefix("pack-").suffix(STAGING_SUFFIX).tempfile_in(folder)?;
        file.as_file().lock()?;
        // A scrub may have removed it between its creation and the lock.
        if file.path().try_exists()? {
            return Ok(file);
        }
    }
}
