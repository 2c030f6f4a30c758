//! A content library over HTTP: `DataLib` lists, `FileLib` holds, under the virtual folder that clients
//! read packages from (reference: section 4.3). A distribution point may hide both, and show each
//! content's files by their names alone.

use futures::{StreamExt, TryStreamExt};
use prestage_access::Access;
use tokio::runtime::Handle;
use url::Url;

use super::named_content::NamedContent;
use super::place::ContentPlace;
use super::virtual_folder;
use super::web_folders::{WebFolders, below, child, count, wrong};
use crate::content_library::{
    ContentListing, LibraryError, ListedFile, PackageEntry, checked, entry_of_ini, without_ini,
};

/// INIs that are asked for at once; the server's own limit holds besides.
const AT_ONCE: usize = 16;

/// The content library of a distribution point that is reached over HTTP. Its methods block.
#[derive(Debug, Clone)]
pub struct HttpLibrary {
    web: WebFolders,
    base: Url,
    runtime: Handle,
    /// Folders in `DataLib`: content IDs as they are spelled there; `None` if it hides `DataLib`.
    contents: Option<Vec<String>>,
}

/// A content as a distribution point shows it.
#[derive(Debug)]
pub enum Shown {
    /// With what identifies each file's bytes.
    Listed(ContentListing),
    /// By names and sizes.
    Named(NamedContent),
}

impl HttpLibrary {
    /// Opens the library of the distribution point at `base`: in the virtual folder that `base` names,
    /// else in the first that lets us read. Blocking: call it off the runtime's threads.
    ///
    /// # Errors
    /// [`LibraryError::Remote`] when the distribution point can't be reached, or lets nobody in.
    pub fn open(base: &Url, access: &Access, runtime: &Handle) -> Result<Self, LibraryError> {
        let server = access.server(base).map_err(|error| wrong(base, error.to_string()))?;
        let web = WebFolders::new(server);
        let base = runtime.block_on(virtual_folder::find(&web, base))?;
        let listed = runtime.block_on(web.folder(&below(&base, ["DataLib", ""])))?;
        let contents = listed.map(|listed| {
            let folders = listed.into_iter().filter(|entry| entry.is_folder);
            folders.map(|entry| entry.name).collect()
        });
        Ok(Self { web, base, runtime: runtime.clone(), contents })
    }

    /// Where a content's files are read from: the virtual folder, or the content's own.
    #[must_use]
    pub fn place(&self, content_id: &str) -> ContentPlace {
        ContentPlace::Http(match self.contents {
            Some(_) => self.base.clone(),
            None => below(&self.base, [content_id]),
        })
    }

    /// Whether it shows `DataLib`. One that doesn't can't say which contents it has: it must be asked
    /// for the version that is wanted.
    #[must_use]
    pub fn shows_versions(&self) -> bool {
        self.contents.is_some()
    }

    /// The versions of `stem` (`PS100012`, `Content_<guid>`) that `DataLib` has folders for, smallest
    /// first.
    #[must_use]
    pub fn versions_of(&self, stem: &str) -> Vec<u32> {
        let prefix = format!("{}.", stem.to_ascii_uppercase());
        let upper = self.contents.iter().flatten().map(|id| id.to_ascii_uppercase());
        let mut versions: Vec<u32> =
            upper.filter_map(|id| id.strip_prefix(&prefix)?.parse().ok()).collect();
        versions.sort_unstable();
        versions
    }

    /// What `PkgLib` says of a package; `None` if it is not shown.
    #[must_use]
    pub fn package(&self, package_id: &str) -> Option<PackageEntry> {
        self.contents.as_ref()?;
        let url = below(&self.base, ["PkgLib", &format!("{package_id}.INI")]);
        // One that shows DataLib alone is as good: the site's version decides then.
        let ini = self.runtime.block_on(self.web.ini(&url)).ok().flatten()?;
        PackageEntry::of_ini(&ini, package_id, url.as_str().as_ref()).ok()
    }

    /// Shows a content. Whether its files can be had is seen when they are read.
    ///
    /// # Errors
    /// [`LibraryError`] when it is not there, or its listing can't be read.
    pub fn show(&self, content_id: &str) -> Result<Shown, LibraryError> {
        let missing = || LibraryError::NoContent {
            library: self.base.to_string().into(),
            content_id: content_id.to_owned(),
        };
        let Some(contents) = &self.contents else {
            let folder = below(&self.base, [content_id, ""]);
            let named = self.runtime.block_on(NamedContent::list(&self.web, &folder, content_id));
            return Ok(Shown::Named(named?.ok_or_else(missing)?));
        };
        let spelled = contents.iter().find(|known| known.eq_ignore_ascii_case(content_id));
        let spelled = spelled.ok_or_else(missing)?;
        self.runtime.block_on(self.list(content_id, spelled)).map(Shown::Listed)
    }

    /// Reads every file of a content to know what identifies its bytes.
    ///
    /// # Errors
    /// [`LibraryError::Remote`] when one can't be read.
    pub fn read_whole(&self, content: &NamedContent) -> Result<ContentListing, LibraryError> {
        content.read_whole(&self.web, &self.runtime)
    }

    async fn list(&self, content_id: &str, spelled: &str) -> Result<ContentListing, LibraryError> {
        let (mut inis, mut directories) = (Vec::new(), Vec::new());
        let mut waiting = vec![(below(&self.base, ["DataLib", spelled, ""]), String::new())];
        let mut seen = 0;
        while let Some((url, prefix)) = waiting.pop() {
            let gone = || wrong(&url, "it is gone".into());
            let entries = self.web.folder(&url).await?.ok_or_else(gone)?;
            count(&mut seen, &url, &entries)?;
            for entry in entries {
                let child = child(&url, &entry);
                if entry.is_folder {
                    let inside = checked(content_id, &prefix, &entry.name)?;
                    directories.push(inside.clone());
                    waiting.push((child, inside));
                } else if let Some(stem) = without_ini(&entry.name) {
                    let path = checked(content_id, &prefix, stem)?;
                    inis.push((child, path));
                } else {
                    return Err(LibraryError::Stray { path: child.to_string().into() });
                }
            }
        }
        let files =
            futures::stream::iter(inis.into_iter().map(|(url, path)| self.entry(url, path)));
        let files: Vec<ListedFile> = files.buffer_unordered(AT_ONCE).try_collect().await?;
        let of_content = below(&self.base, ["DataLib", &format!("{spelled}.INI")]);
        let hash = self.web.ini(&of_content).await?;
        let hash = hash.and_then(|ini| ini.get("Info", "Hash").map(str::to_owned));
        ContentListing::new(content_id.to_owned(), files, directories, hash)
    }

    async fn entry(&self, url: Url, path: String) -> Result<ListedFile, LibraryError> {
        let ini = self.web.ini(&url).await?;
        let ini = ini.ok_or_else(|| wrong(&url, "it is gone".into()))?;
        entry_of_ini(&ini, url.as_str().as_ref(), path)
    }
}
