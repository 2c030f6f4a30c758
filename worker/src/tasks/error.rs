//! Why a task failed, and the one place that says so to people and to the scheduler.

use prestage_proto::v1;
use prestage_shares::NoThread;
use prestage_store::{
    PackKey, StoreError,
    compose::ComposeError,
    pack::{IndexError, PackReadError, PackWriteError, PublishError},
};
use prestage_wim::WimError;

use crate::disk::NoRoom;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No distribution point gave the content.
    #[error("content {content_id} could not be taken from any distribution point")]
    Content {
        /// Which content.
        content_id: String,
        /// What was tried, in order.
        attempts: Vec<SourceAttempt>,
    },
    /// The boot image lacks a file without which the medium does not start.
    #[error("the boot image has none of {candidates}, which the medium needs as '{target}'")]
    BootFileMissing {
        /// Content ID of the boot image.
        content_id: String,
        /// Where it was looked for.
        candidates: String,
        /// What for.
        target: String,
    },
    /// A WIM is wrong, or can't be spliced.
    #[error("{error}")]
    Wim {
        /// Which WIM.
        place: String,
        /// What is wrong.
        error: WimError,
    },
    /// The object store or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A pack could not be written.
    #[error(transparent)]
    Pack(#[from] PackWriteError),
    /// A pack could not be read.
    #[error(transparent)]
    ReadPack(#[from] PackReadError),
    /// A pack could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A pack's index contradicts itself.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The medium could not be composed.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// Something in the store is not what it should be.
    #[error("{what}")]
    Damaged {
        /// What.
        what: String,
        /// Which object.
        place: String,
    },
    /// A pack is not the one any more that the medium was laid out with.
    #[error("the pack {pack} was replaced while the medium was put together: {problem}")]
    Replaced {
        /// Which pack.
        pack: PackKey,
        /// What shows it.
        problem: String,
    },
    /// A file is too large for the volumes of a split medium.
    #[error(
        "'{path}' takes {bytes} bytes on the medium, a volume of split_mib = {split_mib} has room \
         for {room}"
    )]
    LargeFile {
        /// The file's path in the volume that the medium becomes.
        path: String,
        /// Its stored bytes.
        bytes: u64,
        /// Room in a volume.
        room: u64,
        /// Size of a volume.
        split_mib: u64,
    },
    /// The tree is too large for the first volume of a split medium.
    #[error(
        "the tree and tables of the medium take {bytes} bytes, more than a volume of split_mib = \
         {split_mib}"
    )]
    LargeTree {
        /// Bytes of them.
        bytes: u64,
        /// Size of a volume.
        split_mib: u64,
    },
    /// The disk for staging is too small.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The machine gives no thread.
    #[error(transparent)]
    NoThread(#[from] NoThread),
    /// The task message makes no sense.
    #[error("the task can't be understood: {0}")]
    BadTask(String),
    /// The task was given up.
    #[error("the task was cancelled")]
    Cancelled,
}

/// What became of one distribution point.
#[derive(Debug)]
pub struct SourceAttempt {
    /// Which.
    pub distribution_point: String,
    /// What was wrong, with the file's name.
    pub problem: String,
    /// Whether the bytes themselves are wrong, so that another worker would see the same.
    pub wrong_content: bool,
}

impl TaskError {
    /// An error about the WIM at `place`.
    pub fn wim(place: impl Into<String>) -> impl FnOnce(WimError) -> Self {
        let place = place.into();
        move |error| Self::Wim { place, error }
    }
}

impl From<TaskError> for v1::Failure {
    fn from(error: TaskError) -> Self {
        use v1::Retry::{Never, OtherWorker, SameWorker};
        let what = error.to_string();
        let replaced_pack = match &error {
            TaskError::Replaced { pack, .. } => pack.to_string(),
            _ => String::new(),
        };
        let (place, advice, retry) = match &error {
            TaskError::Content { attempts, .. } => {
                let tried = attempts
                    .iter()
                    .map(|attempt| format!("{}: {}", attempt.distribution_point, attempt.problem));
                let wrong = attempts.iter().all(|attempt| attempt.wrong_content);
                let advice = "redistribute the content to a distribution point (Configuration \
                              Manager: Distribution Points, Redistribute), then build again";
                let retry = if wrong { Never } else { OtherWorker };
                (tried.collect::<Vec<_>>().join("; "), advice, retry)
            }
            TaskError::BootFileMissing { content_id, .. } => {
                let advice = "use a boot image made from the Windows ADK, updated by the site";
                (format!("boot image {content_id}"), advice, Never)
            }
            TaskError::Wim { place, error } => (place.clone(), wim_advice(error), wim_retry(error)),
            TaskError::Store(error) => store_advice(error),
            TaskError::Pack(PackWriteError::Store(error)) => store_advice(error),
            TaskError::Pack(PackWriteError::SourceEnded { .. }) => {
                let advice = "the file changed while it was read: redistribute the content";
                (String::new(), advice, OtherWorker)
            }
            TaskError::ReadPack(error) => other_advice(error, error.is_transient()),
            TaskError::Publish(error) => other_advice(error, error.is_transient()),
            TaskError::Compose(error) => other_advice(error, error.is_transient()),
            TaskError::Index(_) | TaskError::Pack(_) | TaskError::BadTask(_) => {
                (String::new(), "this is a fault of Prestage: please report it", Never)
            }
            TaskError::Damaged { place, .. } => {
                let advice = "remove the object; the next build makes it anew";
                (place.clone(), advice, Never)
            }
            TaskError::Replaced { .. } => {
                let advice = "find out who writes there besides the workers, and build again: the \
                              pack is removed, and made anew";
                (String::new(), advice, Never)
            }
            TaskError::LargeFile { .. } | TaskError::LargeTree { .. } => {
                let advice = "a file can't be spread over volumes: raise split_mib (FAT32 takes \
                              4095), leave it out, or leave the content out";
                (String::new(), advice, Never)
            }
            TaskError::NoRoom(_) => {
                let advice = "free some space there, name another place with --staging, or raise \
                              staging_gib";
                (String::new(), advice, OtherWorker)
            }
            TaskError::NoThread(_) => {
                (String::new(), "see what else runs on the machine, and its limits", OtherWorker)
            }
            TaskError::Cancelled => (String::new(), "", SameWorker),
        };
        Self { what, r#where: place, advice: advice.to_owned(), retry: retry.into(), replaced_pack }
    }
}

fn wim_advice(error: &WimError) -> &'static str {
    match error {
        WimError::Truncated { .. } | WimError::Malformed { .. } | WimError::WrongHash { .. } => {
            "the WIM file is damaged: get a whole copy into the package's source folder, update \
             the distribution points, then build again"
        }
        WimError::NoSuchImage { .. } => "choose an index that 'wimlib-imagex info' or DISM shows",
        // These say in their own text what to do.
        WimError::Set(_)
        | WimError::NotSupported { .. }
        | WimError::Collision { .. }
        | WimError::WrittenTwice { .. }
        | WimError::Sha1Collision { .. } => "see above",
        WimError::Codec { .. } => "see whether the machine has memory left",
        WimError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => FULL_DISK,
        WimError::Io(_) | WimError::Store(_) => "see whether the storage can be read and written",
    }
}

fn wim_retry(error: &WimError) -> v1::Retry {
    match error {
        WimError::Codec { .. } | WimError::Io(_) | WimError::Store(_) => v1::Retry::OtherWorker,
        WimError::Malformed { .. }
        | WimError::Truncated { .. }
        | WimError::Set(_)
        | WimError::NotSupported { .. }
        | WimError::NoSuchImage { .. }
        | WimError::WrongHash { .. }
        | WimError::Collision { .. }
        | WimError::WrittenTwice { .. }
        | WimError::Sha1Collision { .. } => v1::Retry::Never,
    }
}

const FULL_DISK: &str = "the disk is full: free some space there, or name another place with \
                         --data-dir, --output or the spec's staging_folder";

fn store_advice(error: &StoreError) -> (String, &'static str, v1::Retry) {
    other_advice(error, error.is_transient())
}

fn other_advice(
    error: &(dyn std::error::Error + 'static),
    transient: bool,
) -> (String, &'static str, v1::Retry) {
    if is_full_disk(error) {
        return (String::new(), FULL_DISK, v1::Retry::Never);
    }
    let retry = if transient { v1::Retry::SameWorker } else { v1::Retry::OtherWorker };
    (String::new(), "see whether the object store can be read and written", retry)
}

/// Looks down the chain of causes for "no space left on device".
fn is_full_disk(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        {
            return true;
        }
        cause = error.source();
    }
    false
}
