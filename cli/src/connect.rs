//! Where a coordinator comes from: another machine, or this process.

use std::{path::PathBuf, time::Duration};

use prestage_connect::Coordinators;
use prestage_coordinator::{
    Coordinator, CoordinatorSettings, Policy, in_process, service, state::StatePlace,
};
use prestage_proto::v1::media_service_client::MediaServiceClient;
use prestage_trust::client::ClientTrust;
use prestage_worker::{Worker, WorkerSettings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    args::RemoteArgs,
    error::CliError,
    settings::{
        SLOTS_DEFAULT, access, client_trust, cores, default_data_dir, floor, memory_bytes,
        new_worker_id, rest, run_bytes, staging_bytes, zone,
    },
};

/// A client of the media service.
pub type Client = MediaServiceClient<Coordinators>;

/// Longer than another coordinator takes to take over.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection, and what runs in this process behind it.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// What it calls through, for clients of other services.
    pub coordinators: Coordinators,
    /// Whether another coordinator goes on where one ends.
    pub go_on: bool,
    local: Option<Local>,
}

struct Local {
    stop_workers: CancellationToken,
    stop_coordinator: CancellationToken,
    workers: Vec<JoinHandle<()>>,
    coordinator: JoinHandle<Result<(), prestage_coordinator::CoordinatorError>>,
}

impl Connection {
    /// Connects to the coordinator that is named, or starts one with its workers in this process.
    /// Either way it is gRPC; in this process it goes through pipes.
    pub async fn open(args: &RemoteArgs, with_workers: bool) -> Result<Self, CliError> {
        Self::open_staged(args, with_workers, None).await
    }

    /// The same with a staging folder for the workers of this process.
    pub async fn open_staged(
        args: &RemoteArgs,
        with_workers: bool,
        staging: Option<PathBuf>,
    ) -> Result<Self, CliError> {
        match &args.coordinator {
            Some(urls) => {
                let trust = client_trust(&args.proof, args.token_file.clone())?;
                let coordinators = remote(urls, trust)?.patient(PATIENCE);
                let go_on = coordinators.are_several();
                Ok(Self { client: client(coordinators.clone()), coordinators, go_on, local: None })
            }
            None => Self::all_in_one(args, with_workers, staging).await,
        }
    }

    async fn all_in_one(
        args: &RemoteArgs,
        with_workers: bool,
        staging: Option<PathBuf>,
    ) -> Result<Self, CliError> {
        let data_dir = match &args.local.data_dir {
            Some(folder) => folder.clone(),
            None => default_data_dir()?,
        };
        let count = if with_workers { args.local.workers.max(1) } else { 0 };
        let settings = CoordinatorSettings {
            data_dir: data_dir.clone(),
            state: StatePlace::DataFolder,
            seal_keys: args.local.seal.seal_key.clone(),
            advertise: String::new(),
            objects: args.local.objects.clone(),
            garbage: None,
            // Its workers end with it.
            policy: Policy { return_grace: Duration::ZERO, ..Policy::default() },
            run_bytes: run_bytes(args.local.run_mib),
            access: access(args.local.access.as_deref())?.with_floor(floor(&args.local.budgets)),
            trust: None,
            // All workers of this process are one.
            verify_percent: 0,
            worker_role: None,
            lend: false,
            zone: zone(args.local.zone.clone())?,
            shares_files: count > 1,
        };
        let stop_coordinator = CancellationToken::new();
        let coordinator = Coordinator::open(&settings, stop_coordinator.clone()).await?;
        let stop_workers = CancellationToken::new();
        let (channel, serving) = in_process(coordinator);
        let mut workers = Vec::new();
        let (budgets, threads) = (&args.local.budgets, cores().div_ceil(count.max(1) as usize));
        for number in 1..=count {
            let worker = WorkerSettings {
                id: new_worker_id(),
                name: format!("worker {number}"),
                reach: Vec::new(),
                slots: SLOTS_DEFAULT,
                threads,
                staging: staging.clone().unwrap_or_else(|| data_dir.join("staging")),
                staging_bytes: staging_bytes(budgets)?,
                memory_bytes: memory_bytes(budgets, threads),
                access: settings.access.clone(),
                rest: rest(budgets),
                // They share one machine.
                sole: true,
            };
            let worker = Worker::new(channel.clone(), worker)?;
            let never_drained = CancellationToken::new();
            workers.push(tokio::spawn(worker.run(never_drained, stop_workers.clone())));
        }
        let local = Local { stop_workers, stop_coordinator, workers, coordinator: serving };
        let coordinators = Coordinators::from(channel);
        let client = client(coordinators.clone());
        Ok(Self { client, coordinators, go_on: false, local: Some(local) })
    }

    /// Ends what runs in this process; no half-made thing is left when it returns.
    pub async fn close(self) -> Result<(), CliError> {
        let Some(local) = self.local else {
            return Ok(());
        };
        local.stop_workers.cancel();
        for worker in local.workers {
            worker.await.map_err(|error| CliError::failed(error.to_string(), ""))?;
        }
        drop((self.client, self.coordinators));
        local.stop_coordinator.cancel();
        let ended = local.coordinator.await;
        Ok(ended.map_err(|error| CliError::failed(error.to_string(), ""))??)
    }
}

fn client(coordinators: Coordinators) -> Client {
    MediaServiceClient::new(coordinators)
        .max_decoding_message_size(service::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(service::MESSAGE_BYTES_MAX)
}

/// Coordinators on other machines, separated by commas; it connects with the first call.
pub fn remote(urls: &str, trust: ClientTrust) -> Result<Coordinators, CliError> {
    let advice = "give https://HOST:PORT, or several with commas between them";
    Coordinators::named(urls, trust).map_err(|error| CliError::wrong(error.to_string(), advice))
}
