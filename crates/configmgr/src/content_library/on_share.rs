//! A content library on a share, which may be one that answers no more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prestage_shares::{Counter, Shares};

use super::error::LibraryError;
use super::library::{ContentLibrary, PackageEntry};
use super::listing::ContentListing;

/// An open content library, each call into which is given up when the share makes no progress.
#[derive(Debug, Clone)]
pub struct LibraryOnShare {
    shares: Shares,
    distribution_point: String,
    library: Arc<ContentLibrary>,
}

impl LibraryOnShare {
    /// Opens the library in folder `root` of a distribution point. Blocking, as all calls are.
    ///
    /// # Errors
    /// When it is none, can't be read, or the share does not answer.
    pub fn open(
        root: &Path,
        distribution_point: &str,
        shares: &Shares,
    ) -> Result<Self, LibraryError> {
        let folder = root.to_owned();
        let opened = shares.call_blocking(distribution_point, move |counter: &Counter| {
            ContentLibrary::open_watched(&folder, &|| counter.looked())
        });
        Ok(Self {
            shares: shares.clone(),
            distribution_point: distribution_point.to_owned(),
            library: Arc::new(answered(root, opened)?),
        })
    }

    /// [`ContentLibrary::package`].
    ///
    /// # Errors
    /// When it can't be read, or the share does not answer.
    pub fn package(&self, package_id: &str) -> Result<Option<PackageEntry>, LibraryError> {
        let id = package_id.to_owned();
        self.call(move |library, _| library.package(&id))
    }

    /// [`ContentLibrary::versions_of`]: known since it was opened.
    #[must_use]
    pub fn versions_of(&self, stem: &str) -> Vec<u32> {
        self.library.versions_of(stem)
    }

    /// [`ContentLibrary::list`].
    ///
    /// # Errors
    /// When the content is not there or damaged, or the share does not answer.
    pub fn list(&self, content_id: &str) -> Result<ContentListing, LibraryError> {
        let id = content_id.to_owned();
        self.call(move |library, counter| library.list_watched(&id, &|| counter.looked()))
    }

    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ContentLibrary, &Counter) -> Result<T, LibraryError> + Send + 'static,
    ) -> Result<T, LibraryError> {
        let library = self.library.clone();
        let call = move |counter: &Counter| work(&library, counter);
        answered(self.library.root(), self.shares.call_blocking(&self.distribution_point, call))
    }
}

fn answered<T>(
    root: &Path,
    answer: io::Result<Result<T, LibraryError>>,
) -> Result<T, LibraryError> {
    let path: PathBuf = root.to_owned();
    answer.unwrap_or_else(|source| Err(LibraryError::Io { path, source }))
}
