//! What can go wrong with the object store, and whether trying again can help.

use std::io;
use std::path::{Path, PathBuf};

use prestage_threads::Stopped;

use crate::keys::KeyError;
use crate::location::UrlError;

/// An operation on the object store, or on a file of it, failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address can't be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A name in the store is not one of ours.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store's client could not be set up.
    #[error(
        "cannot open the object store {url}: {source}; check the address and the settings of its \
         cloud in the environment (AWS_…, AZURE_… or GOOGLE_…)"
    )]
    Open {
        /// The address that was to be opened.
        url: String,
        /// What the client said.
        source: Box<object_store::Error>,
    },
    /// The object is not there.
    #[error(
        "{place} does not exist: it was never finished, or was removed since; run the task that \
         writes it again"
    )]
    Missing {
        /// Address of the object.
        place: String,
    },
    /// The object changed after its reader pinned it.
    #[error("{place} is not the object that was pinned; plan the build again")]
    Changed {
        /// Address of the object.
        place: String,
    },
    /// The store refused a request or could not be reached.
    #[error(
        "cannot {action} {place}: {source}; check that the store is reachable and that the \
         credentials allow it"
    )]
    Request {
        /// What was asked for, as a verb.
        action: &'static str,
        /// Address of the object.
        place: String,
        /// What the client said.
        source: Box<object_store::Error>,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} {}: {source}; check free space and permissions there", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An object is larger than anything of its kind should be.
    #[error(
        "{place} has {size} bytes, the limit for this kind of object is {limit}; it is damaged or \
         not ours: remove it and run the task that writes it again"
    )]
    TooLarge {
        /// Address of the object.
        place: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A read ended early.
    #[error(
        "{place} ended early: {wanted} bytes from offset {offset} were wanted, {got} came; it is \
         damaged: remove it and run the task that writes it again"
    )]
    Short {
        /// Address of the object.
        place: String,
        /// Start of the range in bytes.
        offset: u64,
        /// Bytes wanted.
        wanted: u64,
        /// Bytes that came.
        got: u64,
    },
    /// An object is not what was written.
    #[error(
        "{place} is damaged: {problem}; see what the store did to it, and remove it when no build is \
         running that it names"
    )]
    Damaged {
        /// Address of the object.
        place: String,
        /// What shows it.
        problem: String,
    },
    /// The blocking thread that did the work went away: the process is stopping.
    #[error("the work on {place} was stopped with the process; run the task again")]
    Stopped {
        /// What was being worked on.
        place: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Request { source, .. } => is_transient_request(source),
            Self::Io { source, .. } => is_transient_io(source),
            Self::Stopped { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn request(
        action: &'static str,
        place: String,
        source: object_store::Error,
    ) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::Missing { place },
            object_store::Error::Precondition { .. } => Self::Changed { place },
            source => Self::Request { action, place, source: Box::new(source) },
        }
    }
}

/// `Generic` is what the clients report after their own retries of time-outs and 5xx answers.
fn is_transient_request(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. })
}

/// A full disk may have room again when other builds are done, so it is worth another try.
fn is_transient_io(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        Interrupted | TimedOut | StorageFull | ResourceBusy | StaleNetworkFileHandle | WouldBlock
    )
}

/// Runs blocking file work off the async threads. `place` names the work in an error.
pub(crate) async fn off_thread<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    place: impl Into<String>,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match prestage_threads::off_thread(work).await {
        Ok(done) => done,
        Err(Stopped) => Err(StoreError::Stopped { place: place.into() }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_worth_another_try_and_a_missing_object_is_not() {
        let full = StoreError::io("write", Path::new("/x"))(io::ErrorKind::StorageFull.into());
        assert!(full.is_transient());
        let gone = StoreError::Missing { place: "p".into() };
        assert!(!gone.is_transient());
    }

    #[test]
    fn a_missing_object_is_told_from_a_failed_request() {
        let error = object_store::Error::NotFound { path: "p".into(), source: "gone".into() };
        let told = StoreError::request("read", "s3://b/p".into(), error);
        assert!(matches!(told, StoreError::Missing { place } if place == "s3://b/p"));
    }
}
