//! A content library as a whole: what it holds, and where a file's bytes are.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::error::LibraryError;
use super::listing::{ContentListing, ListedFile};
use super::listing_reader;
use super::verifying::VerifyingReader;
use crate::ini::{INI_BYTES_MAX, Ini};
use crate::text;
use crate::whole_file::read_whole;

/// Called after each look at a file or folder: whoever waits for a share sees that it answers.
pub(super) type Looked<'a> = &'a dyn Fn();

/// What `PkgLib` says of a package: which content is current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageEntry {
    /// `Version=`, which packages of a single content have.
    pub version: Option<u32>,
    /// The current content IDs, as written. `DataLib` may hold older ones besides.
    pub content_ids: Vec<String>,
}

impl PackageEntry {
    /// A package as its INI has it. `ini_path` is where the INI lies, for messages.
    pub(crate) fn of_ini(
        ini: &Ini,
        package_id: &str,
        ini_path: &Path,
    ) -> Result<Self, LibraryError> {
        let version = match ini.get("Info", "Version") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| LibraryError::Value {
                path: ini_path.to_owned(),
                key: "[Info] Version",
                expected: "a number",
                found: format!("{text:?}"),
            })?),
        };
        let content_ids = match version {
            Some(version) => vec![format!("{}.{version}", package_id.to_ascii_uppercase())],
            None => ini.keys("Packages").map(str::to_owned).collect(),
        };
        Ok(Self { version, content_ids })
    }
}

/// An open content library: the names in `PkgLib` and `DataLib` are read once.
#[derive(Debug, Clone)]
pub struct ContentLibrary {
    root: PathBuf,
    file_libs: Vec<PathBuf>,
    packages: HashMap<String, PathBuf>,
    content_folders: HashMap<String, PathBuf>,
    content_inis: HashMap<String, PathBuf>,
}

impl ContentLibrary {
    /// Opens the library in folder `root` (an `SCCMContentLib`).
    pub fn open(root: &Path) -> Result<Self, LibraryError> {
        Self::open_watched(root, &|| ())
    }

    /// The same, which calls `looked` after each look at a file or folder.
    pub(super) fn open_watched(root: &Path, looked: Looked<'_>) -> Result<Self, LibraryError> {
        let pkg_lib = part(root, "PkgLib", looked)?;
        let data_lib = part(root, "DataLib", looked)?;
        let mut packages = HashMap::new();
        for (name, path, is_folder) in entries(&pkg_lib, looked)? {
            if let (Some(id), false) = (without_ini(&name), is_folder) {
                packages.insert(id.to_ascii_uppercase(), path);
            }
        }
        let (mut content_folders, mut content_inis) = (HashMap::new(), HashMap::new());
        for (name, path, is_folder) in entries(&data_lib, looked)? {
            if is_folder {
                content_folders.insert(name.to_ascii_uppercase(), path);
            } else if let Some(id) = without_ini(&name) {
                content_inis.insert(id.to_ascii_uppercase(), path);
            }
        }
        let file_libs = file_libs(root, looked);
        Ok(Self { root: root.to_owned(), file_libs, packages, content_folders, content_inis })
    }

    /// The folder it was opened from.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `PkgLib` says of a package; `None` if the library does not have it. A single-content
    /// package's `Version=` decides its content ID (reference: content library layout).
    pub fn package(&self, package_id: &str) -> Result<Option<PackageEntry>, LibraryError> {
        let Some(path) = self.packages.get(&package_id.to_ascii_uppercase()) else {
            return Ok(None);
        };
        PackageEntry::of_ini(&read_ini(path)?, package_id, path).map(Some)
    }

    /// Whether `DataLib` has a folder for the content.
    pub fn has_content(&self, content_id: &str) -> bool {
        self.content_folders.contains_key(&content_id.to_ascii_uppercase())
    }

    /// The versions of `stem` (`PS100012`, `Content_<guid>`) that `DataLib` has folders for,
    /// smallest first.
    pub fn versions_of(&self, stem: &str) -> Vec<u32> {
        let prefix = format!("{}.", stem.to_ascii_uppercase());
        let versions = self.content_folders.keys().filter_map(|id| id.strip_prefix(&prefix));
        let mut versions: Vec<u32> = versions.filter_map(|version| version.parse().ok()).collect();
        versions.sort_unstable();
        versions
    }

    /// Lists a content from `DataLib`. Each file is checked to be in a `FileLib` with its size, not
    /// for its bytes: that is [`VerifyingReader`]'s work when they are read.
    pub fn list(&self, content_id: &str) -> Result<ContentListing, LibraryError> {
        self.list_watched(content_id, &|| ())
    }

    /// The same, which calls `looked` after each look at a file or folder.
    pub(super) fn list_watched(
        &self,
        content_id: &str,
        looked: Looked<'_>,
    ) -> Result<ContentListing, LibraryError> {
        let key = content_id.to_ascii_uppercase();
        let Some(folder) = self.content_folders.get(&key) else {
            return Err(LibraryError::NoContent {
                library: self.root.clone(),
                content_id: content_id.to_owned(),
            });
        };
        let hash = match self.content_inis.get(&key) {
            Some(path) => read_ini(path)?.get("Info", "Hash").map(str::to_owned),
            None => None,
        };
        let (files, directories) = listing_reader::read(content_id, folder, looked)?;
        for file in &files {
            self.check_stored(content_id, file)?;
            looked();
        }
        ContentListing::new(content_id.to_owned(), files, directories, hash)
    }

    fn check_stored(&self, content_id: &str, file: &ListedFile) -> Result<(), LibraryError> {
        let label = format!("{content_id}/{}", file.path);
        let path = stored(&self.root, &self.file_libs, &file.sha256, &label)?;
        let found = fs::metadata(&path).map_err(LibraryError::io(&path))?.len();
        if found != file.size {
            return Err(LibraryError::SizeDiffers {
                path,
                file: label,
                expected: file.size,
                found,
            });
        }
        Ok(())
    }
}

/// Where the bytes with this SHA-256 are: in the `FileLib` of `library`, or of a sibling folder
/// `SCCMContentLib<D>` for another drive of the distribution point.
pub fn file_path(library: &Path, sha256: &[u8; 32]) -> Result<PathBuf, LibraryError> {
    find_stored(library, sha256, "a file of the content")
}

/// Opens a file of a listing so that its bytes are checked while they are read.
pub fn open_file(
    library: &Path,
    content_id: &str,
    file: &ListedFile,
) -> Result<VerifyingReader<File>, LibraryError> {
    let label = format!("{content_id}/{}", file.path);
    let path = find_stored(library, &file.sha256, &label)?;
    let opened = File::open(&path).map_err(LibraryError::io(&path))?;
    Ok(VerifyingReader::new(opened, label, file.sha256, file.size))
}

/// The library's own `FileLib` first: siblings are looked for only when it lacks the file, since
/// listing a share's root for each of thousands of files would cost more than reading them.
fn find_stored(library: &Path, sha256: &[u8; 32], file: &str) -> Result<PathBuf, LibraryError> {
    let own = [library.join("FileLib")];
    match stored(library, &own, sha256, file) {
        Err(LibraryError::FileMissing { .. }) => {
            stored(library, &file_libs(library, &|| ()), sha256, file)
        }
        found => found,
    }
}

fn stored(
    root: &Path,
    file_libs: &[PathBuf],
    sha256: &[u8; 32],
    file: &str,
) -> Result<PathBuf, LibraryError> {
    let upper = hex::encode_upper(sha256);
    for name in [upper.clone(), upper.to_ascii_lowercase()] {
        let places = file_libs.iter().map(|lib| lib.join(&name[..4]).join(&name));
        for path in places {
            match fs::metadata(&path) {
                Ok(found) if found.is_file() => return Ok(path),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(LibraryError::Io { path, source }),
            }
        }
    }
    let file = file.to_owned();
    Err(LibraryError::FileMissing { library: root.to_owned(), file, hash: upper })
}

/// The library's own `FileLib` first, then those of sibling folders `SCCMContentLib<D>` (or the share
/// name with `$`), which hold `FileLib` only. What cannot be listed counts as not there.
fn file_libs(root: &Path, looked: Looked<'_>) -> Vec<PathBuf> {
    let mut libraries = vec![root.to_owned()];
    let beside = root.parent().map(|parent| match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    });
    if let Some(found) = beside.and_then(|parent| fs::read_dir(parent).ok()) {
        // By name first: what else is mounted beside it may hang, and is not looked at.
        let mut siblings: Vec<PathBuf> = found
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name() != root.file_name()
                    && path.file_name().and_then(|n| n.to_str()).is_some_and(is_drive_library)
                    && path.is_dir()
            })
            .collect();
        siblings.sort();
        libraries.extend(siblings);
    }
    libraries.iter().filter_map(|library| part(library, "FileLib", looked).ok()).collect()
}

fn is_drive_library(name: &str) -> bool {
    let name = name.strip_suffix('$').unwrap_or(name).to_ascii_uppercase();
    name.strip_prefix("SCCMCONTENTLIB")
        .is_some_and(|drive| drive.len() == 1 && drive.chars().all(|c| c.is_ascii_uppercase()))
}

/// The folder `name` in `root`, whatever its case.
fn part(root: &Path, name: &'static str, looked: Looked<'_>) -> Result<PathBuf, LibraryError> {
    let exact = root.join(name);
    if exact.is_dir() {
        return Ok(exact);
    }
    entries(root, looked)?
        .into_iter()
        .find(|(found, _, is_folder)| *is_folder && found.eq_ignore_ascii_case(name))
        .map(|(_, path, _)| path)
        .ok_or_else(|| LibraryError::NotALibrary { path: root.to_owned(), missing: name })
}

/// Name, path and whether it is a folder, of all in `folder` with a Unicode name.
fn entries(
    folder: &Path,
    looked: Looked<'_>,
) -> Result<Vec<(String, PathBuf, bool)>, LibraryError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(LibraryError::io(folder))? {
        let path = entry.map_err(LibraryError::io(folder))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            let is_folder = path.is_dir();
            looked();
            found.push((name.to_owned(), path, is_folder));
        }
    }
    Ok(found)
}

/// `name` without `.INI`, in any case.
pub(crate) fn without_ini(name: &str) -> Option<&str> {
    let cut = name.len().checked_sub(4)?;
    let (stem, suffix) = (name.get(..cut)?, name.get(cut..)?);
    suffix.eq_ignore_ascii_case(".ini").then_some(stem)
}

pub(super) fn read_ini(path: &Path) -> Result<Ini, LibraryError> {
    let bytes = read_whole(path, INI_BYTES_MAX as u64).map_err(LibraryError::io(path))?;
    let text = text::decode(&bytes)
        .map_err(|source| LibraryError::Encoding { path: path.to_owned(), source })?;
    Ok(Ini::parse(&text))
}
