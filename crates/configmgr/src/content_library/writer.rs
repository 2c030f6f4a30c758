//! Writing a content library as a distribution point has it, for test sites and the sample.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::LibraryError;
use super::library::read_ini;
use super::listing::{ContentListing, ListedFile};
use super::names::check_path;
use super::package_hash::package_hash;
use crate::ids;

/// The bytes of an entry.
pub enum EntryBody<'a> {
    /// A folder.
    Directory,
    /// A file whose bytes are at hand.
    Bytes(&'a [u8]),
    /// A file to be read to its end.
    Reader(Box<dyn Read + 'a>),
}

/// One file or folder of a content to be written.
pub struct LibraryEntry<'a> {
    /// Path inside the content, `/` separated. Folders of files need no entry of their own.
    pub path: String,
    /// What is in it.
    pub body: EntryBody<'a>,
    /// Windows file attributes; not kept for folders, as on a distribution point.
    pub attributes: u32,
    /// Time of last write, as a FILETIME; not kept for folders.
    pub modified: u64,
}

impl<'a> LibraryEntry<'a> {
    /// A file with the archive attribute.
    pub fn file(path: impl Into<String>, body: EntryBody<'a>, modified: u64) -> Self {
        Self { path: path.into(), body, attributes: 0x20, modified }
    }

    /// A folder, which may stay empty.
    pub fn directory(path: impl Into<String>) -> Self {
        Self { path: path.into(), body: EntryBody::Directory, attributes: 0x10, modified: 0 }
    }
}

/// Writes contents into a content library.
#[derive(Debug)]
pub struct LibraryWriter {
    root: PathBuf,
}

impl LibraryWriter {
    /// A writer into `root` (an `SCCMContentLib`), which is made if it is not there.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, LibraryError> {
        let root = root.into();
        for part in ["PkgLib", "DataLib", "FileLib"] {
            make_folder(&root.join(part))?;
        }
        Ok(Self { root })
    }

    /// Adds a content, reading each entry once, and makes it the current one of `package_id`.
    ///
    /// A content named `<package_id>.<version>` becomes the package's only one, with `Version=`; any
    /// other joins those that `PkgLib` already names, in place of older versions of itself. What
    /// `DataLib` held of older versions stays, as on a distribution point.
    pub fn add_content<'a>(
        &self,
        content_id: &str,
        package_id: &str,
        version: u32,
        entries: impl IntoIterator<Item = LibraryEntry<'a>>,
    ) -> Result<ContentListing, LibraryError> {
        for key in [content_id, package_id] {
            if !ids::is_library_key(key) {
                let problem = super::names::NameProblem::Character;
                return Err(bad_name(content_id, key, key.to_owned(), problem));
            }
        }
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for entry in entries {
            check_path(&entry.path)
                .map_err(|(name, problem)| bad_name(content_id, &entry.path, name, problem))?;
            match self.store(entry.body)? {
                None => directories.push(entry.path),
                Some((sha256, size)) => files.push(ListedFile {
                    path: entry.path,
                    size,
                    sha256,
                    attributes: entry.attributes,
                    modified: entry.modified,
                }),
            }
        }
        let mut listing = ContentListing::new(content_id.to_owned(), files, directories, None)?;
        listing.hash = Some(hex::encode_upper(package_hash(&listing)));
        self.write_data_lib(&listing)?;
        self.write_users(&listing)?;
        self.write_pkg_lib(content_id, package_id, version)?;
        Ok(listing)
    }

    /// Streams a body into `FileLib` under its hash; bytes that are there already are kept once.
    fn store(&self, body: EntryBody<'_>) -> Result<Option<([u8; 32], u64)>, LibraryError> {
        let mut source: Box<dyn Read + '_> = match body {
            EntryBody::Directory => return Ok(None),
            EntryBody::Bytes(bytes) => Box::new(bytes),
            EntryBody::Reader(reader) => reader,
        };
        let incoming = self.root.join("FileLib").join("incoming.tmp");
        let mut file = File::create(&incoming).map_err(LibraryError::io(&incoming))?;
        let mut hash = Sha256::new();
        let (mut size, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            let count = source.read(&mut buffer).map_err(LibraryError::io(&incoming))?;
            if count == 0 {
                break;
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            hash.update(chunk);
            file.write_all(chunk).map_err(LibraryError::io(&incoming))?;
            size += count as u64;
        }
        drop(file);
        let sha256: [u8; 32] = hash.finalize().into();
        let path = self.file_lib(&sha256)?;
        fs::rename(&incoming, &path).map_err(LibraryError::io(&path))?;
        Ok(Some((sha256, size)))
    }

    fn file_lib(&self, sha256: &[u8; 32]) -> Result<PathBuf, LibraryError> {
        let name = hex::encode_upper(sha256);
        let folder = self.root.join("FileLib").join(&name[..4]);
        make_folder(&folder)?;
        Ok(folder.join(name))
    }

    fn write_data_lib(&self, listing: &ContentListing) -> Result<(), LibraryError> {
        let folder = self.root.join("DataLib").join(&listing.content_id);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(LibraryError::io(&folder))?;
        }
        make_folder(&folder)?;
        for directory in &listing.directories {
            make_folder(&folder.join(directory))?;
        }
        for file in &listing.files {
            let lines = [
                "[File]".to_owned(),
                format!("Size={}", file.size),
                format!("Attributes={:08X}", file.attributes),
                format!("TimeModified={}", file.modified),
                format!("Hash={}", hex::encode_upper(file.sha256)),
            ];
            write_ini(&folder.join(format!("{}.INI", file.path)), &lines)?;
        }
        let hash = listing.hash.as_deref().unwrap_or_default();
        let ini = self.root.join("DataLib").join(format!("{}.INI", listing.content_id));
        write_ini(&ini, &["[Info]".to_owned(), format!("Hash={hash}")])
    }

    /// Beside each file in `FileLib`: which contents use it.
    fn write_users(&self, listing: &ContentListing) -> Result<(), LibraryError> {
        for file in &listing.files {
            let stored = self.file_lib(&file.sha256)?;
            let path = stored.with_extension("INI");
            let mut users = current_keys(&path, "Users")?;
            users.insert(listing.content_id.to_ascii_uppercase(), listing.content_id.clone());
            let mut lines = vec!["[Users]".to_owned()];
            lines.extend(users.values().map(|user| format!("{user}=")));
            write_ini(&path, &lines)?;
        }
        Ok(())
    }

    fn write_pkg_lib(
        &self,
        content_id: &str,
        package_id: &str,
        version: u32,
    ) -> Result<(), LibraryError> {
        let path = self.root.join("PkgLib").join(format!("{package_id}.INI"));
        let single = content_id.eq_ignore_ascii_case(&format!("{package_id}.{version}"));
        let mut contents = if single { BTreeMap::new() } else { current_keys(&path, "Packages")? };
        let stem = ids::split_content_id(content_id).0;
        contents.retain(|_, id| !ids::split_content_id(id).0.eq_ignore_ascii_case(stem));
        contents.insert(content_id.to_ascii_uppercase(), content_id.to_owned());
        let mut lines = vec!["[Packages]".to_owned()];
        lines.extend(contents.values().map(|id| format!("{id}=")));
        if single {
            lines.extend(["[Info]".to_owned(), format!("Version={version}")]);
        }
        write_ini(&path, &lines)
    }
}

fn bad_name(
    content_id: &str,
    path: &str,
    name: String,
    problem: super::names::NameProblem,
) -> LibraryError {
    LibraryError::Name { content_id: content_id.to_owned(), path: path.to_owned(), name, problem }
}

/// The keys of a section of an INI that may not exist yet, by upper case.
fn current_keys(path: &Path, section: &str) -> Result<BTreeMap<String, String>, LibraryError> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let ini = read_ini(path)?;
    Ok(ini.keys(section).map(|key| (key.to_ascii_uppercase(), key.to_owned())).collect())
}

fn write_ini(path: &Path, lines: &[String]) -> Result<(), LibraryError> {
    let mut text = lines.join("\r\n");
    text.push_str("\r\n");
    fs::write(path, text).map_err(LibraryError::io(path))
}

fn make_folder(path: &Path) -> Result<(), LibraryError> {
    fs::create_dir_all(path).map_err(LibraryError::io(path))
}
