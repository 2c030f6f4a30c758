//! Where the sample goes: prepared beside its place, then moved there whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::SampleError;

/// A folder that is being filled, and removed unless it is put in place.
pub(crate) struct Place {
    target: PathBuf,
    prepared: TempDir,
}

impl Place {
    /// Prepares for `target`, which must be absent or an empty folder.
    pub(crate) fn prepare(target: &Path) -> Result<Self, SampleError> {
        let target = std::path::absolute(target).map_err(SampleError::io(target))?;
        // `absolute` leaves `..` and links alone; the folder that is there already knows better.
        let target = match target.exists() {
            true => fs::canonicalize(&target).map_err(SampleError::io(&target))?,
            false => target,
        };
        refuse_unless_empty(&target)?;
        let Some(parent) = target.parent() else {
            return Err(SampleError::NoParent { path: target });
        };
        fs::create_dir_all(parent).map_err(SampleError::io(parent))?;
        let prepared = tempfile::Builder::new()
            .prefix(".prestage-sample-")
            .tempdir_in(parent)
            .map_err(SampleError::io(parent))?;
        let place = Self { target, prepared };
        for folder in [place.site(), place.scratch()] {
            fs::create_dir(&folder).map_err(SampleError::io(&folder))?;
        }
        Ok(place)
    }

    /// The folder that becomes the sample.
    pub(crate) fn site(&self) -> PathBuf {
        self.prepared.path().join("site")
    }

    /// A folder that is thrown away.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.prepared.path().join("scratch")
    }

    /// Moves the sample to its place and returns that.
    pub(crate) fn put(self) -> Result<PathBuf, SampleError> {
        refuse_unless_empty(&self.target)?;
        if !self.target.exists() {
            fs::rename(self.site(), &self.target).map_err(SampleError::io(&self.target))?;
            return Ok(self.target.clone());
        }
        // The folder itself stays: somebody may be in it.
        let mut moved = Vec::new();
        for name in top_names(&self.site())? {
            let target = self.target.join(&name);
            if let Err(error) = fs::rename(self.site().join(&name), &target) {
                for (name, target) in moved {
                    // What can't be taken back is told by the error that follows.
                    let _ = fs::rename(target, self.site().join(name));
                }
                return Err(SampleError::io(&target)(error));
            }
            moved.push((name, target));
        }
        Ok(self.target.clone())
    }
}

fn top_names(folder: &Path) -> Result<Vec<std::ffi::OsString>, SampleError> {
    let found = fs::read_dir(folder).map_err(SampleError::io(folder))?;
    found.map(|entry| Ok(entry.map_err(SampleError::io(folder))?.file_name())).collect()
}

fn refuse_unless_empty(path: &Path) -> Result<(), SampleError> {
    let taken = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(SampleError::io(path)(error)),
        Ok(_) if path.is_dir() => !top_names(path)?.is_empty(),
        Ok(_) => true,
    };
    match taken {
        true => Err(SampleError::NotEmpty { path: path.to_owned() }),
        false => Ok(()),
    }
}
