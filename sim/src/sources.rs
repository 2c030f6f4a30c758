//! Files of the distribution points, made to vanish or to be wrong for a while.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file that is not what it should be; it is again when this is undone.
pub struct Spoilt {
    path: PathBuf,
    aside: PathBuf,
}

impl Spoilt {
    /// Makes one vanish: that of this number among all files of content libraries.
    pub fn vanish(site: &Path, number: usize) -> io::Result<Self> {
        let path = chosen(site, number)?;
        let aside = path.with_added_extension("aside");
        fs::rename(&path, &aside)?;
        Ok(Self { path, aside })
    }

    /// Turns a bit of one round.
    pub fn damage(site: &Path, number: usize) -> io::Result<Self> {
        let spoilt = Self::vanish(site, number)?;
        let mut body = fs::read(&spoilt.aside)?;
        let middle = body.len() / 2;
        if let Some(byte) = body.get_mut(middle) {
            *byte ^= 1;
        }
        fs::write(&spoilt.path, body)?;
        Ok(spoilt)
    }

    /// Which it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it right again.
    pub fn undo(&self) -> io::Result<()> {
        fs::rename(&self.aside, &self.path)
    }
}

/// Files of `FileLib`, whose names are hashes of what is in them.
fn chosen(site: &Path, number: usize) -> io::Result<PathBuf> {
    let mut files = Vec::new();
    collect(site, &mut files)?;
    files.sort();
    let count = files.len().max(1);
    files.into_iter().nth(number % count).ok_or_else(|| io::Error::other("there are no files"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.components().any(|part| part.as_os_str() == "FileLib")
            && path.extension().is_none()
        {
            files.push(path);
        }
    }
    Ok(())
}
