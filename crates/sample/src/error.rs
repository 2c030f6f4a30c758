//! What can go wrong while a sample is written.

use std::{io, path::PathBuf};

use prestage_configmgr::content_library::LibraryError;
use prestage_wim::WimError;

/// Why no sample was written. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The place is taken.
    #[error(
        "{path} is not an empty folder, and a sample is never written over anything: name a new folder, or empty this one",
        path = path.display()
    )]
    NotEmpty {
        /// What was named.
        path: PathBuf,
    },
    /// The place has no name, so nothing can be prepared beside it.
    #[error("{path} is the root of a file system: name a folder in it", path = path.display())]
    NoParent {
        /// What was named.
        path: PathBuf,
    },
    /// A file or folder can't be written.
    #[error("{path}: {source}; check that it may be written and that there is room (60 MB for the default sample)", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A size or number that makes no sense.
    #[error("sample option {option} is {value}: it must be {expected}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A date too far out for a certificate.
    #[error("the clock says {now}, and a certificate can't start then: correct the clock")]
    Clock {
        /// The time that was given.
        now: String,
    },
    /// The threads can't be started.
    #[error("the threads that compress can't be started ({reason}): ask for fewer")]
    Threads {
        /// What the system said.
        reason: String,
    },
    /// A WIM can't be written.
    #[error("{path}: {source}; check that there is room, and report this if there is", path = path.display())]
    Wim {
        /// The WIM.
        path: PathBuf,
        /// Why.
        #[source]
        source: WimError,
    },
    /// A content library can't be written.
    #[error(
        "content {content_id}: {source}; check that there is room, and report this if there is"
    )]
    Library {
        /// The content.
        content_id: String,
        /// Why.
        #[source]
        source: LibraryError,
    },
}

impl SampleError {
    /// For `map_err`, with the path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
