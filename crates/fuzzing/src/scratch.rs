//! Files for parsers that read folders.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// A folder that is gone after the run; in memory where the system has such a place.
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty folder.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        match tempfile::tempdir_in(parent) {
            Ok(folder) => Self(folder),
            Err(error) => panic!("no scratch folder: {error}"),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file. `false` when this file system can't have one of that name.
    pub fn write(&self, path: &str, bytes: &[u8]) -> bool {
        let path = self.inside(path);
        let write = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, bytes)
        };
        write().is_ok()
    }

    /// Makes a folder with all above it.
    pub fn folder(&self, path: &str) -> bool {
        fs::create_dir_all(self.inside(path)).is_ok()
    }

    /// Names come from the input, so they must not lead out of the folder.
    fn inside(&self, path: &str) -> PathBuf {
        let names = path.split('/').filter(|name| !matches!(*name, "" | "." | ".."));
        self.path().join(names.collect::<PathBuf>())
    }
}
