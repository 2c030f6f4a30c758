//! The worker: what runs near a distribution point. It fetches, encodes, assembles and merges.
//!
//! [`Worker::run`] keeps in step with the coordinator; [`tasks`] are what it does.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod blame;
pub mod disk;
mod health;
pub mod identity;
mod leases;
pub mod memory;
mod synchronize;
pub mod tasks;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use prestage_access::Access;
use prestage_connect::Coordinators;
use prestage_proto::v1;
use prestage_shares::Shares;
use prestage_store::{Composer, StoreOptions, scrub::scrub_folder};
use rayon::{ThreadPool, ThreadPoolBuilder};

use blame::Machine;
use disk::Disk;
use health::Health;
use memory::Memory;
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
    /// Bytes that packs may take there at once; none: as many as are free, but for some.
    pub staging_bytes: Option<u64>,
    /// Bytes of content in memory at once.
    pub memory_bytes: u64,
    /// Who the worker is to distribution points, and the progress that these must make.
    pub access: Access,
    /// How long it takes no tasks when something is wrong with its machine, at first.
    pub rest: Duration,
    /// Whether nobody else could do its tasks: then it never rests.
    pub sole: bool,
}

impl WorkerSettings {
    /// How long a worker rests at first, where nothing else is said.
    pub const REST: Duration = Duration::from_secs(10);
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
    store_options: StoreOptions,
    machine: Machine,
    disk: Disk,
    memory: Memory,
    access: Access,
    shares: Shares,
    past_reads: PastReads,
}

impl Worker {
    /// A worker that talks to one of the coordinators, and reaches stores as the environment says.
    pub fn new(
        coordinators: impl Into<Coordinators>,
        settings: WorkerSettings,
    ) -> Result<Self, WorkerError> {
        Self::reaching(StoreOptions::from_env(), coordinators, settings)
    }

    /// The same, reaching stores as `store_options` say.
    pub fn reaching(
        store_options: StoreOptions,
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
            composer: Arc::new(Composer::new(store_options.clone())),
            store_options,
            disk: Disk::new(staging.clone(), settings.staging_bytes),
            memory: Memory::new(settings.memory_bytes, settings.slots),
            machine: Machine { name: settings.name.clone(), staging, sole: settings.sole },
            shares: Shares::new(settings.access.floor()),
            access: settings.access.clone(),
            past_reads: PastReads::default(),
        };
        let health = Health::new(shared.machine.staging.clone(), settings.rest);
        Ok(Self::with(coordinators.into(), settings, shared, health))
    }
}
