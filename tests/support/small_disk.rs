//! A file system that is really full.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A small file system of our own; it goes when this is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many MiB, in memory. Fails the test where that is not allowed.
    pub fn mount(at: PathBuf, mib: u32) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={mib}m");
        let args = ["-t", "tmpfs", "-o", &size, "tmpfs", at.to_str().unwrap()];
        super::tool("mount", "mount (and run the tests as root)", args);
        Self(at)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it to the last byte with a file, which is given back.
    pub fn fill(&self) -> PathBuf {
        let path = self.0.join("somebody else's");
        let mut file = std::fs::File::create(&path).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0x5a; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
