//! A coordinator put together: on a socket, or inside a process with a pipe for a network.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use prestage_access::Access;
use prestage_proto::v1::{
    audit_service_server::AuditServiceServer, media_service_server::MediaServiceServer,
    trust_service_server::TrustServiceServer, worker_service_server::WorkerServiceServer,
};
use prestage_seal::{KeyRing, KeySource, SealError};
use prestage_store::{
    ObjectUrl, Objects, StoreError, StoreOptions,
    gc::GarbagePolicy,
    lent::{LendError, Lender, RoleLender, SasLender, TokenLender},
    location::{Cloud, UrlError},
};
use prestage_trust::TrustError;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::TcpListener,
    sync::mpsc,
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Server, server::Connected};

use crate::{
    audit::Audit,
    clock::{Clock, SystemClock},
    leadership::{Candidacy, Terms},
    pipeline::{MediaPipeline, PipelineError},
    plan::MediaPlanner,
    registrar::Registrar,
    schedule::Policy,
    service::{
        AuditApi, AuthorizeLayer, Authorizer, Leaders, Lending, MESSAGE_BYTES_MAX, MediaApi,
        Planning, Reach, Room, STATUS_BYTES_MAX, TrustApi, WorkApi, connections,
        with_introspection,
    },
    state::{Candidate, StateError, StatePlace, StateStore},
    trust::Trust,
};

/// Roles of roles last for an hour at most (AWS STS); a lease that lives longer gets more in time.
const LENT_FOR: Duration = Duration::from_secs(3600);
/// Calls of one connection at once. A client has a few; a standby sends on those of many.
const STREAMS_MAX: u32 = 1024;
/// Headers of a call: names, a token, whom it is for.
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// Bytes in flight in the pipe of an in-process coordinator.
const PIPE_BYTES: usize = 1 << 20;

/// What a coordinator needs.
#[derive(Clone, Debug)]
pub struct CoordinatorSettings {
    /// Where state, the seal key and packs live unless the following say otherwise.
    pub data_dir: PathBuf,
    /// Where the state is. Coordinators that share it stand by for one another.
    pub state: StatePlace,
    /// The keys of secrets in plans, the same on all coordinators that share the state: the first one
    /// seals, the others only open. None for a file in `data_dir`.
    pub seal_keys: Vec<KeySource>,
    /// The URL at which other coordinators reach this one.
    pub advertise: String,
    /// The object store of packs: path or URL; empty for a folder in `data_dir`.
    pub objects: String,
    /// What is kept of packs and listings; none for everything.
    pub garbage: Option<GarbagePolicy>,
    /// How leases are treated.
    pub policy: Policy,
    /// Bytes above which a file becomes a pack of its own: see [`RUN_BYTES`](crate::RUN_BYTES).
    pub run_bytes: u64,
    /// Who the coordinator is to the site's servers.
    pub access: Access,
    /// Whom it trusts: a trust file. Without one everybody who reaches it may do everything.
    pub trust: Option<PathBuf>,
    /// The trust zone of its packs and workers: see [`ZONE_DEFAULT`](crate::ZONE_DEFAULT).
    pub zone: String,
    /// How many of a hundred encode tasks are done a second time, by another worker.
    pub verify_percent: u8,
    /// The role, an ARN, that workers' access to S3 is lent from; none where they have access of their own.
    pub worker_role: Option<String>,
    /// Whether access to Azure and Google is lent to workers.
    pub lend: bool,
    /// Whether several workers encode such a file together. One worker has nobody to share it with,
    /// and is quicker alone.
    pub shares_files: bool,
}

/// Why a coordinator can't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The data folder can't be used.
    #[error("the data folder {path} can't be used: {problem}; name another with --data-dir")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why not.
        problem: std::io::Error,
    },
    /// The object store's address is wrong.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// What builds left could not be cleaned up.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The seal keys.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Workers can't be lent access.
    #[error(transparent)]
    Lend(#[from] LendError),
    /// It is to lend access and has none.
    #[error(
        "--lend is for packs or media in Azure or Google, and nothing is set for either; in S3 \
         access is lent with --worker-role, and in folders there is nothing to lend"
    )]
    NothingToLend,
    /// Whom it should trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The network.
    #[error("the gRPC server stopped: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Another coordinator uses the data folder.
    #[error(
        "another prestage uses the data folder {0}: wait for it, talk to it with --coordinator, \
         or name another folder with --data-dir"
    )]
    InUse(PathBuf),
}

/// What a coordinator finds around it.
pub struct Surroundings {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// How object stores are reached.
    pub store_options: StoreOptions,
    /// The state, which others may share; none for the one that the settings name.
    pub state: Option<Arc<dyn StateStore>>,
    /// Makes the ids of builds and candidates: none is ever made twice.
    pub new_id: Arc<dyn Fn() -> String + Send + Sync>,
    /// How other coordinators are reached; none for TCP.
    pub reach: Option<Reach>,
}

impl Surroundings {
    /// Those of this process: the machine's clock, the environment, random ids.
    pub fn of_this_process() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            store_options: StoreOptions::from_env(),
            state: None,
            new_id: Arc::new(|| uuid::Uuid::new_v4().simple().to_string()),
            reach: None,
        }
    }
}

/// A coordinator that is ready to serve.
pub struct Coordinator {
    media: MediaApi,
    work: WorkApi,
    trust_api: TrustApi,
    authorizer: Authorizer,
    trust: Option<Arc<Trust>>,
    leading: tokio::task::JoinHandle<()>,
    /// The object store that workers of this process share.
    pub objects: Objects,
    shutdown: CancellationToken,
    _lock: std::fs::File,
}

impl Coordinator {
    /// Opens state and store, and takes running builds up again unless another coordinator is
    /// active. It works until `shutdown`.
    pub async fn open(
        settings: &CoordinatorSettings,
        shutdown: CancellationToken,
    ) -> Result<Self, CoordinatorError> {
        Self::open_in(Surroundings::of_this_process(), settings, shutdown).await
    }

    /// The same in other surroundings than this process's.
    pub async fn open_in(
        around: Surroundings,
        settings: &CoordinatorSettings,
        shutdown: CancellationToken,
    ) -> Result<Self, CoordinatorError> {
        let Surroundings { clock, store_options, state, new_id, reach } = around;
        let data_dir = std::path::absolute(&settings.data_dir)
            .and_then(|path| make_private(&path).map(|()| path))
            .map_err(|problem| CoordinatorError::DataDir {
                path: settings.data_dir.clone(),
                problem,
            })?;
        let lock = lock(&data_dir)?;
        let trust = settings.trust.as_deref().map(Trust::open).transpose()?.map(Arc::new);
        let url = match settings.objects.as_str() {
            "" => ObjectUrl::Local(data_dir.join("objects")),
            url => ObjectUrl::parse(url)?,
        };
        let objects = Objects::open_with(&url, &store_options).await?;
        let lending = lending(settings, &store_options, &objects)?.map(Arc::new);
        objects.scrub(clock.now().into()).await?;
        let keys = Arc::new(KeyRing::open(&seal_keys(&settings.seal_keys, &data_dir)).await?);
        for (place, (id, source)) in keys.keys().enumerate() {
            tracing::debug!(key = %id, %source, current = place == 0, "seal key");
        }
        let is_shared = state.is_some() || settings.state.is_shared();
        let store: Arc<dyn StateStore> = match state {
            Some(state) => state,
            None => Arc::new(settings.state.open(&data_dir).await?),
        };
        let (key, audit) = (keys.clone(), Audit::new(store.clone(), clock.clone()));
        let pipeline = MediaPipeline::new(
            objects.clone(),
            store_options.clone(),
            key,
            audit.clone(),
            settings.shares_files,
        );
        let pipeline =
            Arc::new(pipeline.collecting(settings.garbage).verifying(settings.verify_percent));
        let planner = Arc::new(MediaPlanner::new(
            objects.clone(),
            keys.clone(),
            clock.clone(),
            settings.access.clone(),
            settings.run_bytes,
            settings.zone.clone(),
        ));
        let candidacy = Candidacy {
            candidate: candidate(settings, is_shared.then(&*new_id)),
            terms: if is_shared { Terms::SHARED } else { Terms::ALONE },
            store: store.clone(),
            pipeline: pipeline.clone(),
            clock: clock.clone(),
            policy: settings.policy,
            shutdown: shutdown.clone(),
        };
        let (role, leading) = candidacy.begin().await?;
        if let Some(trust) = &trust {
            trust.read_revocations(&*store).await?;
            tokio::spawn(trust.clone().keep_up(store.clone(), shutdown.clone()));
        }
        let leaders = Leaders::new(role, trust.clone(), reach);
        let authorizer = Authorizer::new(trust.clone(), clock.clone(), audit.clone());
        let trust_api = TrustApi {
            leaders: leaders.clone(),
            trust: trust.clone(),
            store: store.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
            zone: settings.zone.clone(),
        };
        let work = WorkApi::new(
            leaders.clone(),
            settings.policy,
            settings.zone.clone(),
            lending.clone(),
            clock.clone(),
        );
        let registrar = Registrar::new(settings.access.clone(), keys, audit.clone());
        let media = MediaApi {
            leaders,
            planner,
            planning: Planning::default(),
            room: Room::default(),
            pipeline,
            registrar,
            store,
            audit,
            clock,
            new_id,
            authorizer: authorizer.clone(),
            lending,
            zone: settings.zone.clone(),
        };
        Ok(Self {
            media,
            work,
            trust_api,
            authorizer,
            trust,
            leading,
            objects,
            shutdown,
            _lock: lock,
        })
    }

    /// Serves what comes to a listener, over TLS if there is a trust file.
    pub async fn listen(self, listener: TcpListener) -> Result<(), CoordinatorError> {
        let connections = connections(listener, self.trust.clone());
        self.serve(connections).await
    }

    /// Serves connections until the shutdown, then ends what was begun.
    pub async fn serve<S, I>(self, connections: S) -> Result<(), CoordinatorError>
    where
        S: Stream<Item = std::io::Result<I>> + Send + 'static,
        I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let store = self.media.store.clone();
        let media = MediaServiceServer::new(self.media)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let work = WorkerServiceServer::new(self.work)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let keep_alive = Some(std::time::Duration::from_secs(20));
        let mut server = Server::builder()
            .http2_keepalive_interval(keep_alive)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX);
        if let Some(trust) = &self.trust {
            // Whoever was let in shows now and then that they still may come.
            server = server.max_connection_age(trust.connection_age());
        }
        let server = server.layer(AuthorizeLayer(self.authorizer)).add_service(media);
        let audit = AuditServiceServer::new(AuditApi::new(store.clone()));
        let server = server.add_service(work).add_service(audit);
        let server = server.add_service(TrustServiceServer::new(self.trust_api));
        let router = with_introspection(server, store, self.shutdown.clone());
        let serving = router.await.serve_with_incoming(connections);
        // Watchers and waiting workers would hold a graceful end up: they are cut off, and find
        // the same state when they call again.
        tokio::select! {
            served = serving => served?,
            () = self.shutdown.cancelled() => {}
        }
        // A server that ended by itself takes the engine with it.
        self.shutdown.cancel();
        if let Err(error) = self.leading.await {
            tracing::error!(%error, "the engine ended badly");
        }
        Ok(())
    }
}

/// What lends workers their access, if that is wanted: in the clouds of the packs and of any output that the
/// coordinator has settings for.
fn lending(
    settings: &CoordinatorSettings,
    options: &StoreOptions,
    objects: &Objects,
) -> Result<Option<Lending>, CoordinatorError> {
    let mut lender = Lender::default();
    if let Some(role) = &settings.worker_role {
        lender.s3 = Some(RoleLender::new(role, LENT_FOR, options)?);
    }
    let packs_in =
        |wanted| matches!(objects.root(), ObjectUrl::Bucket { cloud, .. } if *cloud == wanted);
    let lends_in = |cloud| settings.lend && (packs_in(cloud) || options.names(cloud));
    if lends_in(Cloud::Azure) {
        lender.azure = Some(SasLender::new(LENT_FOR, options)?);
    }
    if lends_in(Cloud::Google) {
        lender.google = Some(TokenLender::new(options)?);
    }
    if settings.lend && lender.azure.is_none() && lender.google.is_none() {
        return Err(CoordinatorError::NothingToLend);
    }
    if lender.is_empty() {
        return Ok(None);
    }
    // A worker is silent while its call waits, and while it is lent access.
    let within = settings.policy.lease_ttl / 3;
    Ok(Some(Lending::new(lender, options.shown(), objects.clone(), within)))
}

/// The keys that a setting names, or the one in the data folder.
pub fn seal_keys(named: &[KeySource], data_dir: &Path) -> Vec<KeySource> {
    match named {
        [] => vec![KeySource::File(data_dir.join("seal.key"))],
        named => named.to_vec(),
    }
}

/// One of several is told by an id.
fn candidate(settings: &CoordinatorSettings, id: Option<String>) -> Candidate {
    // Whoever holds the lock of a data folder follows at once on the process that held it before.
    let name = id.unwrap_or_else(|| "the data folder".to_owned());
    Candidate { name, address: settings.advertise.clone() }
}

fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// One coordinator a data folder; the lock ends with the process, however it ends.
fn lock(data_dir: &std::path::Path) -> Result<std::fs::File, CoordinatorError> {
    let path = data_dir.join("lock");
    let failed = |problem| CoordinatorError::DataDir { path: data_dir.into(), problem };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(CoordinatorError::InUse(data_dir.into())),
        Err(std::fs::TryLockError::Error(problem)) => Err(failed(problem)),
    }
}

/// Serves a coordinator inside this process. The channel speaks the same gRPC as over a network,
/// through pipes: nothing listens anywhere.
pub fn in_process(
    coordinator: Coordinator,
) -> (Channel, tokio::task::JoinHandle<Result<(), CoordinatorError>>) {
    let (sender, pipes) = mpsc::channel::<std::io::Result<DuplexStream>>(8);
    let serving = tokio::spawn(coordinator.serve(ReceiverStream::new(pipes)));
    let connect = tower::service_fn(move |_: http::Uri| {
        let sender = sender.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let gone = |_| std::io::Error::other("the coordinator has ended");
            sender.send(Ok(theirs)).await.map_err(gone)?;
            Ok::<_, std::io::Error>(TokioIo::new(ours))
        }
    });
    let channel = Endpoint::from_static("http://in-process")
        .http2_max_header_list_size(STATUS_BYTES_MAX)
        .connect_with_connector_lazy(connect);
    (channel, serving)
}
