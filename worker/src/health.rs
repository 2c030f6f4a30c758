//! Whether a worker is fit to work.
//!
//! A worker whose disk is broken fails every task at once, and so draws all tasks to itself. One that
//! notices takes no tasks for a while, and then tries its staging folder before it takes any.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use prestage_proto::v1;
use prestage_store::scrub::scrub_folder;
use prestage_threads::{Stopped, off_thread};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// So many contents that failed one after another, where others may have no trouble.
const SETBACKS_MAX: usize = 3;
/// Each rest is twice as long as the one before, up to this.
const REST_MAX: Duration = Duration::from_secs(300);
/// What is written to try the disk: more than a block, less than anybody notices.
const TRIAL_BYTES: usize = 64 << 10;

/// What a task's end says of the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It works.
    Fit,
    /// Nothing: the fault lies in the task, or in what it was given.
    None,
    /// Another worker may do better with this subject.
    Setback(String),
    /// The fault is this machine's.
    OwnFault(String),
}

/// The health of a worker.
#[derive(Debug)]
pub struct Health {
    staging: PathBuf,
    /// How long the first rest is.
    first_rest: Duration,
    setbacks: BTreeSet<String>,
    rests: u32,
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    /// It may hang with the disk, so there is one at a time.
    trial: Option<JoinHandle<Result<io::Result<()>, Stopped>>>,
}

impl Health {
    /// A worker that stages in `staging` and rests for `first_rest` when something is wrong with it.
    #[must_use]
    pub fn new(staging: PathBuf, first_rest: Duration) -> Self {
        Self { staging, first_rest, setbacks: BTreeSet::new(), rests: 0, rest: None }
    }

    /// Whether it may take tasks.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.rest.is_none()
    }

    /// A task has ended.
    pub fn note(&mut self, sign: Sign) {
        match sign {
            Sign::None => {}
            Sign::Fit => {
                self.setbacks.clear();
                self.rests = 0;
            }
            Sign::Setback(subject) => {
                self.setbacks.insert(subject);
                if self.setbacks.len() >= SETBACKS_MAX {
                    self.rest("several tasks failed here, one after another");
                }
            }
            Sign::OwnFault(problem) => self.rest(&problem),
        }
    }

    /// Returns when a rest is over and the disk can be used. It may be dropped and called again.
    pub async fn recovered(&mut self) {
        loop {
            let Some(rest) = &mut self.rest else {
                return std::future::pending().await;
            };
            sleep_until(rest.until).await;
            let folder = self.staging.clone();
            let trial = rest
                .trial
                .get_or_insert_with(|| tokio::spawn(off_thread(move || try_disk(&folder))));
            let tried = trial.await;
            self.rest = None;
            match tried {
                Ok(Ok(Ok(()))) => {
                    tracing::info!("this worker takes tasks again");
                    return;
                }
                Ok(Ok(Err(error))) => {
                    self.rest(&format!("the staging folder can't be used: {error}"))
                }
                Ok(Err(error)) => self.rest(&error.to_string()),
                Err(error) => self.rest(&error.to_string()),
            }
        }
    }

    fn rest(&mut self, why: &str) {
        self.setbacks.clear();
        if self.rest.is_some() {
            return;
        }
        let length = self.first_rest.saturating_mul(1 << self.rests.min(16)).min(REST_MAX);
        self.rests += 1;
        let (staging, seconds) = (self.staging.display(), length.as_secs_f32());
        tracing::error!(why, %staging, seconds, "this worker takes no tasks for a while");
        self.rest = Some(Rest { until: Instant::now() + length, trial: None });
    }
}

/// What a failure says of the worker, unless it is its own fault.
pub fn sign_of(failure: &v1::Failure, subject: &str) -> Sign {
    match failure.retry() {
        v1::Retry::OtherWorker => Sign::Setback(subject.to_owned()),
        _ => Sign::None,
    }
}

/// Writes, reads and removes a file, and what could not be removed while the disk was broken.
fn try_disk(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    scrub_folder(folder, SystemTime::now()).map_err(io::Error::other)?;
    let mut file = tempfile::Builder::new().prefix("trial-").suffix(".tmp").tempfile_in(folder)?;
    let written = vec![0x5a; TRIAL_BYTES];
    file.write_all(&written)?;
    file.as_file().sync_all()?;
    file.rewind()?;
    let mut read = Vec::with_capacity(TRIAL_BYTES);
    file.read_to_end(&mut read)?;
    file.close()?;
    match read == written {
        true => Ok(()),
        false => Err(io::Error::other("it gives other bytes than were written")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_millis(20);

    fn setback(subject: &str) -> Sign {
        Sign::Setback(subject.into())
    }

    #[tokio::test]
    async fn three_contents_in_a_row_are_no_accident() {
        let folder = tempfile::tempdir().unwrap();
        let mut health = Health::new(folder.path().to_owned(), REST);
        for subject in ["a", "b", "b", "b"] {
            health.note(setback(subject));
            assert!(health.is_fit(), "the same content again says nothing new");
        }
        health.note(Sign::Fit);
        for subject in ["a", "b"] {
            health.note(setback(subject));
        }
        health.note(Sign::None);
        assert!(health.is_fit(), "something worked in between");
        health.note(setback("c"));
        assert!(!health.is_fit());
        health.recovered().await;
        assert!(health.is_fit());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    /// What could not be removed while the disk was broken would stay until the next start. Found by the simulation.
    #[tokio::test]
    async fn what_a_broken_disk_kept_goes_when_it_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let half = folder.path().join("pack-abc.tmp");
        fs::write(&half, "half of a pack").unwrap();
        let mut health = Health::new(folder.path().into(), REST);
        health.note(Sign::OwnFault("the disk was gone".into()));
        health.recovered().await;
        assert!(health.is_fit() && !half.exists());
    }

    #[tokio::test]
    async fn it_rests_until_the_disk_can_be_used_and_longer_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("staging");
        // Even root can't make a folder where a file is.
        fs::write(&staging, "in the way").unwrap();
        let mut health = Health::new(staging.clone(), REST);
        health.note(Sign::OwnFault("the disk is full".into()));
        let start = Instant::now();
        let waited = tokio::time::timeout(REST * 10, health.recovered()).await;
        assert!(waited.is_err() && !health.is_fit() && health.rests >= 3, "{health:?}");
        fs::remove_file(&staging).unwrap();
        health.recovered().await;
        assert!(health.is_fit());
        assert!(start.elapsed() >= REST * (1 + 2 + 4), "20, 40 and 80 ms");
        health.note(Sign::Fit);
        assert_eq!(health.rests, 0);
    }
}
