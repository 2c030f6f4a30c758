//! `prestage coordinator` and `prestage worker`.

use std::net::SocketAddr;

use prestage_coordinator::{Coordinator, CoordinatorSettings};
use prestage_worker::Worker;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{CoordinatorArgs, WorkerArgs},
    connect::remote,
    error::CliError,
    settings,
};

/// Serves until it is told to end.
pub async fn coordinator(args: CoordinatorArgs) -> Result<(), CliError> {
    let (listen, mut settings) = settings::coordinator(args)?;
    let listener = TcpListener::bind(&listen).await.map_err(|error| {
        CliError::failed(format!("can't listen on {listen}: {error}"), "name another with --listen")
    })?;
    let address = listener.local_addr().map_err(|e| CliError::failed(e.to_string(), ""))?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "anybody who reaches this address can build and work: \
            there is no TLS and no authorization yet");
    }
    if settings.advertise.is_empty() {
        settings.advertise = advertised(&settings, address)?;
    }
    let shutdown = CancellationToken::new();
    cancel_on_signal(&shutdown)?;
    let coordinator = Coordinator::open(&settings, shutdown).await?;
    tracing::info!(%address, data_dir = %settings.data_dir.display(), state = %settings.state, "coordinator is ready");
    coordinator.serve(TcpListenerStream::new(listener)).await?;
    Ok(())
}

/// Where others reach a coordinator that listens there.
fn advertised(settings: &CoordinatorSettings, address: SocketAddr) -> Result<String, CliError> {
    if address.ip().is_unspecified() && settings.state.is_shared() {
        let what = format!("other coordinators can't reach this one at {address}");
        return Err(CliError::wrong(what, "name its URL with --advertise http://HOST:PORT"));
    }
    Ok(format!("http://{address}"))
}

/// Works until it is told to end; then it finishes what it has begun.
pub async fn worker(args: WorkerArgs) -> Result<(), CliError> {
    let (coordinator, settings) = settings::worker(args)?;
    let worker = Worker::new(remote(&coordinator)?, settings.clone())?;
    let drain = CancellationToken::new();
    let stop = CancellationToken::new();
    cancel_on_signal(&drain)?;
    stop_on_second_signal(drain.clone(), stop.clone())?;
    tracing::info!(coordinator, name = settings.name, "worker is ready");
    worker.run(drain, stop).await;
    tracing::info!("worker has ended");
    Ok(())
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
