//! Removes what killed processes left behind in local folders.
//!
//! A file of ours that is still being written is locked by its writer, and the lock goes with the
//! process, so a file that can be locked has no writer any more. Files of the `object_store` client
//! carry no lock; they live for milliseconds, so their age tells.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::{StoreError, off_thread};
use crate::keys::is_store_staging_name;
use crate::objects::{Objects, StoreKind};

/// End of the names of our own staging files.
pub const STAGING_SUFFIX: &str = ".tmp";

/// Age at which an unlocked, half-written file of the store's client is taken for abandoned.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// What a scrub removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Objects {
    /// Removes the leftovers of killed processes from a local store; for other stores there is
    /// nothing to do. Other processes may be at work in the store.
    pub async fn scrub(&self, now: SystemTime) -> Result<Scrubbed, StoreError> {
        let StoreKind::Local(folder) = self.kind().clone() else {
            return Ok(Scrubbed::default());
        };
        let place = folder.display().to_string();
        off_thread(place, move || scrub_folder(&folder, now)).await
    }
}

/// Removes the leftovers of killed processes from `folder` and all below it: our own staging files
/// and those of the store's client. Blocking.
pub fn scrub_folder(folder: &Path, now: SystemTime) -> Result<Scrubbed, StoreError> {
    let mut scrubbed = Scrubbed::default();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(StoreError::io("list", &folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(StoreError::io("list", &folder))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(StoreError::io("look up", &path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                scrub_file(&path, now, &mut scrubbed)?;
            }
        }
    }
    Ok(scrubbed)
}

fn scrub_file(path: &Path, now: SystemTime, scrubbed: &mut Scrubbed) -> Result<(), StoreError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default();
    let (ours, clients) = (name.ends_with(STAGING_SUFFIX), is_store_staging_name(name));
    if !ours && !clients {
        return Ok(());
    }
    let removed = if ours { remove_unlocked(path) } else { remove_old(path, now) };
    match removed {
        Ok(Some(bytes)) => {
            tracing::info!(file = %path.display(), bytes, "removed a half-written file");
            scrubbed.files += 1;
            scrubbed.bytes += bytes;
            Ok(())
        }
        // Its writer was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(None) => Ok(()),
        Err(source) => Err(StoreError::io("remove the half-written", path)(source)),
    }
}

fn remove_unlocked(path: &Path) -> io::Result<Option<u64>> {
    let file = File::open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    let bytes = file.metadata()?.len();
    std::fs::remove_file(path)?;
    Ok(Some(bytes))
}

fn remove_old(path: &Path, now: SystemTime) -> io::Result<Option<u64>> {
    let metadata = std::fs::metadata(path)?;
    // A clock that went backwards makes the file look new: it is kept until next time.
    let age = now.duration_since(metadata.modified()?).unwrap_or_default();
    if age < ABANDONED_AFTER {
        return Ok(None);
    }
    std::fs::remove_file(path)?;
    Ok(Some(metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_writes_any_more_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("packs/ab");
        std::fs::create_dir_all(&deep).unwrap();
        let file = |name: &str| {
            let path = deep.join(name);
            std::fs::write(&path, "12345").unwrap();
            path
        };
        let (dead, live, put) = (file("dead.tmp"), file("live.tmp"), file("x.index#3"));
        let pack = file("x.pack");
        let writer = File::open(&live).unwrap();
        writer.lock().unwrap();

        let now = SystemTime::now();
        let first = scrub_folder(folder.path(), now).unwrap();
        assert_eq!(first, Scrubbed { files: 1, bytes: 5 });
        assert!(!dead.exists() && live.exists() && put.exists() && pack.exists());

        drop(writer);
        let later = now + ABANDONED_AFTER + Duration::from_secs(60);
        let second = scrub_folder(folder.path(), later).unwrap();
        assert_eq!(second, Scrubbed { files: 2, bytes: 10 });
        assert!(!live.exists() && !put.exists() && pack.exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_clean() {
        let folder = Path::new("/nowhere/at/all");
        assert_eq!(scrub_folder(folder, SystemTime::now()).unwrap(), Scrubbed::default());
    }
}
