//! What runs on the hosts: the product's own coordinator and worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prestage_access::Access;
use prestage_coordinator::{
    Coordinator, CoordinatorSettings, Policy, Surroundings, ZONE_DEFAULT, state::StatePlace,
};
use prestage_seal::KeySource;
use prestage_worker::{Worker, WorkerSettings};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::{
    database::Database,
    line::SharedStore,
    network,
    world::{HostClock, World},
};

/// The bucket of packs.
pub const PACKS: &str = "packs";
/// The bucket of media.
pub const MEDIA: &str = "media";
/// A process that has ended is started again after this time, as a service is.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// Everything takes so many times as long for a slow worker.
const SLOWNESS: u64 = 12;
/// Files larger than this are shared by workers: the sample's payload is.
const RUN_BYTES: u64 = 4 << 20;

/// What a simulated fleet is made of.
#[derive(Clone)]
pub struct Fleet {
    /// The world that it is in.
    pub world: World,
    /// The object store.
    pub store: SharedStore,
    /// The state.
    pub database: Database,
    /// Everything on disks is below it.
    pub folder: PathBuf,
    /// The coordinators' hosts.
    pub coordinators: Vec<String>,
    /// The hosts that workers reach them by: their own, or the relay's.
    pub reached_by_workers: Vec<String>,
    /// Workers to which everything takes long.
    pub slow: BTreeSet<String>,
    /// How many of a hundred packs are made twice.
    pub verify_percent: u8,
    /// The clocks of hosts.
    pub clocks: BTreeMap<String, HostClock>,
    /// Starts of processes, for their ids.
    pub starts: Arc<AtomicU64>,
}

impl Fleet {
    /// The address of the store of packs.
    pub fn objects(&self) -> String {
        format!("s3://{PACKS}/site")
    }

    /// The folder of a host.
    pub fn disk(&self, host: &str) -> PathBuf {
        self.folder.join("hosts").join(host)
    }

    /// A coordinator, started again whenever it ends.
    pub async fn coordinator(self, host: String) -> turmoil::Result {
        loop {
            self.world.note(&host, format_args!("starts"));
            match self.coordinate(&host).await {
                Ok(()) => self.world.note(&host, format_args!("ended")),
                Err(problem) => self.world.note(&host, format_args!("ended: {problem}")),
            }
            tokio::time::sleep(RESTART_AFTER).await;
        }
    }

    async fn coordinate(&self, host: &str) -> turmoil::Result {
        let shutdown = CancellationToken::new();
        let coordinator =
            Coordinator::open_in(self.surroundings(host), &self.settings(host), shutdown).await?;
        Ok(coordinator.serve(network::incoming().await?).await?)
    }

    fn surroundings(&self, host: &str) -> Surroundings {
        let (name, starts) = (host.to_owned(), self.starts.clone());
        let clock = self.clocks.get(host).cloned();
        Surroundings {
            clock: Arc::new(clock.unwrap_or_else(|| HostClock::new(&self.world))),
            store_options: self.store.options(&self.world, host, 1),
            state: Some(self.database.seen_by(host)),
            new_id: Arc::new(move || format!("{name}-{}", starts.fetch_add(1, Ordering::SeqCst))),
            reach: Some(Arc::new(|endpoint| {
                endpoint.connect_with_connector_lazy(service_fn(network::connect))
            })),
        }
    }

    fn settings(&self, host: &str) -> CoordinatorSettings {
        CoordinatorSettings {
            data_dir: self.disk(host),
            state: StatePlace::DataFolder,
            seal_keys: vec![KeySource::File(self.folder.join("seal.key"))],
            advertise: network::url(host),
            objects: self.objects(),
            garbage: None,
            policy: Policy {
                lease_ttl: Duration::from_secs(5),
                return_grace: Duration::from_secs(5),
                attempts_max: 40,
                workers_max: 40,
                ..Policy::default()
            },
            run_bytes: RUN_BYTES,
            access: Access::anonymous(),
            trust: None,
            zone: ZONE_DEFAULT.to_owned(),
            verify_percent: self.verify_percent,
            worker_role: None,
            lend: false,
            shares_files: true,
        }
    }

    /// A worker, for as long as its process lives.
    pub async fn worker(self, host: String) -> turmoil::Result {
        let start = self.starts.fetch_add(1, Ordering::SeqCst);
        self.world.note(&host, format_args!("starts"));
        let settings = WorkerSettings {
            id: format!("{host}.{start}"),
            name: host.clone(),
            slots: 2,
            threads: 1,
            reach: Vec::new(),
            staging: self.disk(&host),
            staging_bytes: None,
            memory_bytes: 64 << 20,
            access: Access::anonymous(),
            rest: WorkerSettings::REST,
            sole: false,
        };
        let slowness = if self.slow.contains(&host) { SLOWNESS } else { 1 };
        let options = self.store.options(&self.world, &host, slowness);
        let coordinators = network::coordinators(&self.reached_by_workers);
        let worker = Worker::reaching(options, coordinators, settings)?;
        let never = CancellationToken::new();
        worker.run(never.clone(), never.clone()).await;
        Ok(())
    }
}
