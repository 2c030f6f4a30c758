//! A key in a file: 32 raw bytes.

use std::{
    io::{self, Read, Write},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{
    cipher::{KEY_BYTES, Key, new_key},
    error::SealError,
};

/// Reads the key at `path`.
pub(crate) fn load(path: &Path) -> Result<Key, SealError> {
    read(path).map_err(|error| failed(path, &error))
}

/// Reads the key at `path`; makes one, readable by its owner only, if there is none.
pub(crate) fn load_or_create(path: &Path) -> Result<Key, SealError> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        key => return key.map_err(|error| failed(path, &error)),
    }
    let key = new_key()?;
    match create(path, &*key) {
        Ok(()) => Ok(key),
        // Another coordinator that shares the key made it at the same moment.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(failed(path, &error)),
    }
}

fn read(path: &Path) -> io::Result<Key> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    std::fs::File::open(path)?.read_exact(&mut *key)?;
    Ok(key)
}

fn failed(path: &Path, error: &io::Error) -> SealError {
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("it has fewer than {KEY_BYTES} bytes"),
        _ => error.to_string(),
    };
    SealError::KeyFile { path: path.into(), problem }
}

/// Writes the key where its owner only can read it; it is there wholly or not at all.
fn create(path: &Path, key: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(key)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}
