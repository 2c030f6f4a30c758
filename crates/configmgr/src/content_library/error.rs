//! What can be wrong with a content library.

use std::io;
use std::path::{Path, PathBuf};

use super::names::NameProblem;
use crate::text::DecodeError;

/// A content library, or a content in it, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}; check that the share is mounted and grants Read", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A distribution point does not give its library over HTTP.
    #[error("{address}: {problem}")]
    Remote {
        /// What was asked for.
        address: String,
        /// What came of it, and what to do.
        problem: String,
    },
    /// The folder has no `PkgLib` or no `DataLib`.
    #[error("{path} is not a content library: it has no {missing} folder; name the SCCMContentLib folder itself", path = path.display())]
    NotALibrary {
        /// The folder given as the content library.
        path: PathBuf,
        /// `PkgLib` or `DataLib`.
        missing: &'static str,
    },
    /// An INI file is not text.
    #[error("{path}: {source}", path = path.display())]
    Encoding {
        /// The INI file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// An INI file lacks a key, or its value makes no sense.
    #[error("{path}: {key} should be {expected}, but is {found}; redistribute the content to repair the library", path = path.display())]
    Value {
        /// The INI file.
        path: PathBuf,
        /// Section and key, as `[File] Hash`.
        key: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// What is there, or `missing`.
        found: String,
    },
    /// A name that no Windows volume can hold, or that leads out of its folder.
    #[error(
        "content {content_id}, {path}: the name {name:?} {problem}; correct the source and redistribute the content"
    )]
    Name {
        /// The content.
        content_id: String,
        /// The path inside the content, `/` separated.
        path: String,
        /// The part that is wrong.
        name: String,
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// Two entries that are one name on Windows.
    #[error(
        "content {content_id}: {first:?} and {second:?} are the same name on Windows; redistribute the content to repair the library"
    )]
    Collision {
        /// The content.
        content_id: String,
        /// One path.
        first: String,
        /// The other path.
        second: String,
    },
    /// Something in `DataLib` that is neither a folder nor an `.INI` file.
    #[error("{path} is neither a folder nor an .INI file, so it does not belong in DataLib; remove it", path = path.display())]
    Stray {
        /// What was found.
        path: PathBuf,
    },
    /// The library does not list the content.
    #[error("{library}: DataLib has no folder {content_id}; redistribute the content", library = library.display())]
    NoContent {
        /// The library.
        library: PathBuf,
        /// The content.
        content_id: String,
    },
    /// A file's bytes are not in any `FileLib` of the distribution point.
    #[error("{library}: FileLib does not hold {hash}, which {file} is; validate the content on the distribution point", library = library.display())]
    FileMissing {
        /// The library.
        library: PathBuf,
        /// The file inside the content, with the content ID when that is known.
        file: String,
        /// SHA-256 in upper-case hexadecimal.
        hash: String,
    },
    /// A file in `FileLib` is not as long as `DataLib` says.
    #[error("{path} is {found} bytes, but {file} has {expected}; validate the content on the distribution point", path = path.display())]
    SizeDiffers {
        /// The file in `FileLib`.
        path: PathBuf,
        /// The file inside the content, with the content ID.
        file: String,
        /// The size in `DataLib`, bytes.
        expected: u64,
        /// The size in `FileLib`, bytes.
        found: u64,
    },
}

impl LibraryError {
    /// For `map_err` on anything that touches `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
