//! The worker: what runs near a distribution point. It fetches, encodes, assembles and merges.
//!
//! [`Worker::run`] keeps in step with the coordinator; [`tasks`] are what it does.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod leases;
mod synchronize;
pub mod tasks;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use prestage_access::Access;
use prestage_connect::Coordinators;
use prestage_proto::v1;
use prestage_store::{Composer, StoreOptions, scrub::scrub_folder};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tasks::PastReads;

pub use synchronize::Worker;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Unique for each start: an old process must not be taken for the new one.
    pub id: String,
    /// For people.
    pub name: String,
    /// Tasks at once.
    pub slots: u32,
    /// Encoding threads, shared by its tasks.
    pub threads: usize,
    /// Which distribution points it reaches and at what cost; none named: all of them.
    pub reach: Vec<v1::Reach>,
    /// Where packs are written before they go to a store that is no folder.
    pub staging: PathBuf,
    /// Who the worker is to distribution points.
    pub access: Access,
}

/// Why a worker can't start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The system gives no threads.
    #[error("the encoding threads can't be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// What all tasks of a worker share.
#[derive(Clone)]
pub(crate) struct Shared {
    pool: Arc<ThreadPool>,
    composer: Arc<Composer>,
    staging: PathBuf,
    access: Access,
    past_reads: PastReads,
}

impl Worker {
    /// A worker that talks to one of the coordinators.
    pub fn new(
        coordinators: impl Into<Coordinators>,
        settings: WorkerSettings,
    ) -> Result<Self, WorkerError> {
        // A folder of our own: what killed workers left in it is removed, what is locked is not.
        let staging = settings.staging.join("prestage-staging");
        if let Err(error) = scrub_folder(&staging, SystemTime::now()) {
            tracing::warn!(%error, "the staging folder could not be cleaned");
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .thread_name(|number| format!("encode-{number}"))
            .build()?;
        let shared = Shared {
            pool: Arc::new(pool),
            composer: Arc::new(Composer::new(StoreOptions::from_env())),
            staging,
            access: settings.access.clone(),
            past_reads: PastReads::default(),
        };
        Ok(Self::with(coordinators.into(), settings, shared))
    }
}
