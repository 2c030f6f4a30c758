//! `prestage coordinator` and `prestage worker`.

use std::{net::SocketAddr, time::Duration};

use prestage_connect::Coordinators;
use prestage_coordinator::{Coordinator, CoordinatorSettings};
use prestage_media::SecretSource;
use prestage_worker::{Worker, identity};
use time::OffsetDateTime;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{CoordinatorArgs, WorkerArgs},
    connect::remote,
    error::CliError,
    settings::{self, CoordinatorService, WorkerService},
};

/// A coordinator may be taking over while a worker is enrolled.
const ENROL_WITHIN: Duration = Duration::from_secs(30);

/// Serves until it is told to end.
pub async fn coordinator(args: CoordinatorArgs) -> Result<(), CliError> {
    let CoordinatorService { listen, insecure, mut settings } = settings::coordinator(args)?;
    let listener = TcpListener::bind(&listen).await.map_err(|error| {
        CliError::failed(format!("can't listen on {listen}: {error}"), "name another with --listen")
    })?;
    let address = listener.local_addr().map_err(|e| CliError::failed(e.to_string(), ""))?;
    if settings.trust.is_none() && !address.ip().is_loopback() {
        if !insecure {
            let what = format!("there is no TLS, and {address} is not on this machine alone");
            let advice = "name a trust file with --trust (see 'prestage trust init'), listen on \
                          127.0.0.1, or choose --insecure in a network where you trust everybody";
            return Err(CliError::wrong(what, advice));
        }
        tracing::warn!(%address, "--insecure: whoever reaches this address may do everything, and \
            whoever is on the way can read and change everything");
    }
    if settings.advertise.is_empty() {
        settings.advertise = advertised(&settings, address)?;
    }
    let shutdown = CancellationToken::new();
    cancel_on_signal(&shutdown)?;
    let coordinator = Coordinator::open(&settings, shutdown).await?;
    tracing::info!(%address, data_dir = %settings.data_dir.display(), state = %settings.state, "coordinator is ready");
    coordinator.listen(listener).await?;
    Ok(())
}

/// Where others reach a coordinator that listens there.
fn advertised(settings: &CoordinatorSettings, address: SocketAddr) -> Result<String, CliError> {
    if address.ip().is_unspecified() && settings.state.is_shared() {
        let what = format!("other coordinators can't reach this one at {address}");
        return Err(CliError::wrong(what, "name its URL with --advertise https://HOST:PORT"));
    }
    let scheme = if settings.trust.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{address}"))
}

/// Works until it is told to end; then it finishes what it has begun.
pub async fn worker(args: WorkerArgs) -> Result<(), CliError> {
    let service = settings::worker(args)?;
    let drain = CancellationToken::new();
    let stop = CancellationToken::new();
    cancel_on_signal(&drain)?;
    stop_on_second_signal(drain.clone(), stop.clone())?;
    let coordinators = proved(&service, &stop).await?;
    let worker = Worker::new(coordinators, service.settings.clone())?;
    let (coordinators, name) = (&service.coordinators, &service.settings.name);
    tracing::info!(coordinators, name, "worker is ready");
    worker.run(drain, stop.clone()).await;
    stop.cancel();
    tracing::info!("worker has ended");
    Ok(())
}

/// The coordinators, as a worker reaches them that shows its certificate: the one that was named, or one
/// of its own, which it gets by a token and renews.
async fn proved(
    service: &WorkerService,
    stop: &CancellationToken,
) -> Result<Coordinators, CliError> {
    let (urls, folder) = (&service.coordinators, &service.identity);
    let mut trust = settings::client_trust(&service.proof, None)?;
    if trust.credentials.is_some() || !urls.contains("https://") {
        return remote(urls, trust);
    }
    let now = OffsetDateTime::now_utc();
    let counts = folder.validity()?.is_some_and(|(_, until)| until > now);
    if !counts {
        let Some(token) = &service.enrolment_token else {
            let what =
                format!("there is no certificate that counts in {}", folder.path().display());
            let advice = "get a token with 'prestage trust token --save FILE', and name it here with \
                          --enrolment-token FILE";
            return Err(CliError::wrong(what, advice));
        };
        let token = SecretSource::File(token.clone()).read();
        let token = token.map_err(|error| CliError::wrong(error.to_string(), ""))?;
        let nobody_yet = remote(urls, trust.clone())?.patient(ENROL_WITHIN);
        identity::enrol(nobody_yet, folder, &service.settings.name, token.expose()).await?;
        tracing::info!(folder = %folder.path().display(), "enrolled");
    }
    trust.credentials = Some(folder.files());
    let coordinators = remote(urls, trust)?;
    let renewed = identity::keep_renewed(coordinators.clone(), folder.clone(), stop.clone());
    tokio::spawn(renewed);
    Ok(coordinators)
}

/// SIGTERM and Ctrl-C end a service gracefully.
fn cancel_on_signal(token: &CancellationToken) -> Result<(), CliError> {
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let token = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(())
}

/// A second one ends it now; half-made things are still removed.
fn stop_on_second_signal(
    first: CancellationToken,
    stop: CancellationToken,
) -> Result<(), CliError> {
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    tokio::spawn(async move {
        first.cancelled().await;
        // The one that began the drain was seen here too.
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        stop.cancel();
    });
    Ok(())
}

fn signals(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CliError> {
    signal(kind).map_err(|error| CliError::failed(format!("signals can't be heard: {error}"), ""))
}
