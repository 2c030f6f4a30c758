//! A content whose files are known by name and size alone: how a distribution point shows it that hides
//! its library. Clients read contents in this way (reference: section 4.3).

use std::io;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use url::Url;

use super::remote_file::RemoteFile;
use super::web_folders::{WebFolders, below, child, count, wrong};
use crate::content_library::{ContentListing, LibraryError, ListedFile, checked};
use crate::text::upcase;

/// Sizes that are asked for at once; the server's own limit holds besides.
const SIZES_AT_ONCE: usize = 16;
/// Files that are read at once.
const FILES_AT_ONCE: usize = 4;
const ATTRIBUTE_ARCHIVE: u32 = 0x20;
/// Those that a file of a package may have: read-only, hidden, system, archive, normal.
const ATTRIBUTES_KEPT: u32 = 0x1 | 0x2 | 0x4 | 0x20 | 0x80;

/// A content whose files are known by name and size alone.
#[derive(Debug, Clone)]
pub struct NamedContent {
    /// `PS100012.3` or `Content_<guid>.1`.
    pub content_id: String,
    folder: Url,
    files: Vec<NamedFile>,
    directories: Vec<String>,
}

#[derive(Debug, Clone)]
struct NamedFile {
    path: String,
    size: u64,
    attributes: u32,
    modified: u64,
}

impl NamedContent {
    /// Lists the content's folder; `None` if there is none.
    pub(super) async fn list(
        web: &WebFolders,
        folder: &Url,
        content_id: &str,
    ) -> Result<Option<Self>, LibraryError> {
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        let mut waiting = vec![(folder.clone(), String::new())];
        let mut seen = 0;
        while let Some((url, prefix)) = waiting.pop() {
            let entries = match web.folder(&url).await? {
                Some(entries) => entries,
                None if prefix.is_empty() => return Ok(None),
                None => return Err(wrong(&url, "it is gone".into())),
            };
            count(&mut seen, &url, &entries)?;
            for entry in entries {
                let path = checked(content_id, &prefix, &entry.name)?;
                let child = child(&url, &entry);
                if entry.is_folder {
                    directories.push(path.clone());
                    waiting.push((child, path));
                } else {
                    files.push((child, path, entry));
                }
            }
        }
        let files = files.into_iter().map(|(url, path, entry)| async move {
            let (size, modified) = match entry.size {
                Some(size) => (size, entry.modified),
                None => web.size_and_time(&url).await?,
            };
            let attributes = entry.attributes.unwrap_or(ATTRIBUTE_ARCHIVE) & ATTRIBUTES_KEPT;
            Ok(NamedFile { path, size, attributes, modified: modified.unwrap_or(0) })
        });
        let mut files: Vec<NamedFile> =
            stream::iter(files).buffer_unordered(SIZES_AT_ONCE).try_collect().await?;
        files.sort_by_cached_key(|file| upcase(&file.path));
        let (content_id, folder) = (content_id.to_owned(), folder.clone());
        Ok(Some(Self { content_id, folder, files, directories }))
    }

    /// Bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// How it differs from a listing by names and sizes; `None` if it doesn't.
    #[must_use]
    pub fn difference(&self, listing: &ContentListing) -> Option<String> {
        for (ours, listed) in self.files.iter().zip(&listing.files) {
            if upcase(&ours.path) != upcase(&listed.path) {
                return Some(format!("it has '{}' where '{}' is listed", ours.path, listed.path));
            }
            if ours.size != listed.size {
                let (path, has, listed) = (&ours.path, ours.size, listed.size);
                return Some(format!("its '{path}' has {has} bytes, {listed} are listed"));
            }
        }
        let (has, listed) = (self.files.len(), listing.files.len());
        (has != listed).then(|| format!("it has {has} files, {listed} are listed"))
    }

    /// Reads every file to know what identifies its bytes. Blocking.
    pub(super) fn read_whole(
        &self,
        web: &WebFolders,
        runtime: &Handle,
    ) -> Result<ContentListing, LibraryError> {
        let files = self.files.iter().map(|file| {
            let url = below(&self.folder, file.path.split('/'));
            let remote =
                RemoteFile::new(web.server().clone(), url.clone(), file.path.clone(), file.size);
            let handle = runtime.clone();
            let read = runtime.spawn_blocking(move || sha256(remote, handle));
            async move {
                let read = read.await.map_err(io::Error::other).and_then(|sha256| sha256);
                let sha256 = read.map_err(|error| wrong(&url, error.to_string()))?;
                let NamedFile { path, size, attributes, modified } = file.clone();
                Ok::<_, LibraryError>(ListedFile { path, size, sha256, attributes, modified })
            }
        });
        let files = runtime.block_on(stream::iter(files).buffered(FILES_AT_ONCE).try_collect())?;
        ContentListing::new(self.content_id.clone(), files, self.directories.clone(), None)
    }
}

fn sha256(file: RemoteFile, runtime: Handle) -> io::Result<[u8; 32]> {
    let size = file.size();
    let mut hash = Sha256::new();
    io::copy(&mut Arc::new(file).reader(0, size, runtime), &mut HashWriter(&mut hash))?;
    Ok(hash.finalize().into())
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
