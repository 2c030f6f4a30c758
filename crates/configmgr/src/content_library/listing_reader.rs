//! Reading one content's folder in `DataLib`.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::LibraryError;
use super::library::{Looked, read_ini, without_ini};
use super::listing::ListedFile;
use super::names::{NameProblem, check_path};
use crate::ini::Ini;

/// The files and folders under `folder`, in no order. A folder is a folder; a file is its name with
/// `.INI` added, which holds its size, hash, attributes and time (reference: content library layout).
pub(super) fn read(
    content_id: &str,
    folder: &Path,
    looked: Looked<'_>,
) -> Result<(Vec<ListedFile>, Vec<String>), LibraryError> {
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    let mut stack: Vec<(PathBuf, String)> = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = stack.pop() {
        for entry in fs::read_dir(&folder).map_err(LibraryError::io(&folder))? {
            let entry = entry.map_err(LibraryError::io(&folder))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(LibraryError::io(&path))?;
            let name = entry.file_name().into_string().map_err(|name| LibraryError::Name {
                content_id: content_id.to_owned(),
                path: prefix.clone(),
                name: name.to_string_lossy().into_owned(),
                problem: NameProblem::NotUnicode,
            })?;
            if kind.is_dir() {
                let inside = checked(content_id, &prefix, &name)?;
                directories.push(inside.clone());
                stack.push((path, inside));
            } else if let (Some(stem), true) = (without_ini(&name), kind.is_file()) {
                files.push(read_entry(&path, checked(content_id, &prefix, stem)?)?);
            } else {
                return Err(LibraryError::Stray { path });
            }
            looked();
        }
    }
    Ok((files, directories))
}

/// A path inside a content, if a Windows volume can hold it.
pub(crate) fn checked(content_id: &str, prefix: &str, name: &str) -> Result<String, LibraryError> {
    let path = match prefix {
        "" => name.to_owned(),
        _ => format!("{prefix}/{name}"),
    };
    match check_path(&path) {
        Ok(()) => Ok(path),
        Err((name, problem)) => {
            Err(LibraryError::Name { content_id: content_id.to_owned(), path, name, problem })
        }
    }
}

fn read_entry(ini_path: &Path, path: String) -> Result<ListedFile, LibraryError> {
    entry_of_ini(&read_ini(ini_path)?, ini_path, path)
}

/// A file as its INI has it. `ini_path` is where the INI lies, for messages.
pub(crate) fn entry_of_ini(
    ini: &Ini,
    ini_path: &Path,
    path: String,
) -> Result<ListedFile, LibraryError> {
    let wrong = |key, expected, found: Option<&str>| LibraryError::Value {
        path: ini_path.to_owned(),
        key,
        expected,
        found: found.map_or_else(|| "missing".to_owned(), |value| format!("{value:?}")),
    };
    let size = ini.get("File", "Size");
    let hash = ini.get("File", "Hash");
    let attributes = ini.get("File", "Attributes");
    let modified = ini.get("File", "TimeModified");
    let mut sha256 = [0; 32];
    hash.and_then(|text| hex::decode_to_slice(text, &mut sha256).ok())
        .ok_or_else(|| wrong("[File] Hash", "64 hexadecimal digits", hash))?;
    Ok(ListedFile {
        path,
        size: size
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("[File] Size", "a number of bytes", size))?,
        sha256,
        attributes: attributes
            .and_then(from_hex)
            .ok_or_else(|| wrong("[File] Attributes", "a hexadecimal number", attributes))?,
        modified: modified
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| wrong("[File] TimeModified", "a FILETIME in decimal", modified))?,
    })
}

fn from_hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    u32::from_str_radix(digits, 16).ok()
}
