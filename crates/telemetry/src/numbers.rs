//! Numbers for Prometheus: what there is, and where it is served.

use std::{net::SocketAddr, time::Duration};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use tokio::net::TcpListener;

use crate::{TelemetryError, metrics_listener};

/// Bounds of task times, seconds: from a small package to an OS image on a slow line.
const TASK_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0];

/// The exporter's own default.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Names of metrics. Those who look at them rely on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Tasks that wait, by `reason`.
    QueueTasks,
    /// Age of the oldest of them, by `reason`.
    QueueAge,
    /// Workers, by `state`.
    Workers,
    /// Slots of workers, by `state`.
    WorkerSlots,
    /// Builds that are running.
    Builds,
    /// Builds that ended, by `outcome`.
    BuildsEnded,
    /// Tasks that ended, by `kind` and `outcome`.
    Tasks,
    /// How long tasks took, by `kind`.
    TaskSeconds,
    /// Tasks that ended on this worker, by `kind` and `outcome`.
    WorkerTasks,
    /// How long they took there, by `kind`.
    WorkerTaskSeconds,
    /// Bytes that went one `way` or another.
    Bytes,
    /// Whether this coordinator is the active one.
    Leader,
    /// Packs of which two workers made different ones.
    PoisonedPacks,
    /// Times that a lease was not lent access to the object store.
    NotLent,
    /// Connections that are open, by `who`.
    Connections,
    /// Connections that found no room, by `who`.
    ConnectionsRefused,
}

impl Number {
    const ALL: [Self; 16] = [
        Self::QueueTasks,
        Self::QueueAge,
        Self::Workers,
        Self::WorkerSlots,
        Self::Builds,
        Self::BuildsEnded,
        Self::Tasks,
        Self::TaskSeconds,
        Self::WorkerTasks,
        Self::WorkerTaskSeconds,
        Self::Bytes,
        Self::Leader,
        Self::PoisonedPacks,
        Self::NotLent,
        Self::Connections,
        Self::ConnectionsRefused,
    ];

    /// The metric's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueTasks => "prestage_queue_tasks",
            Self::QueueAge => "prestage_queue_age_seconds",
            Self::Workers => "prestage_workers",
            Self::WorkerSlots => "prestage_worker_slots",
            Self::Builds => "prestage_builds",
            Self::BuildsEnded => "prestage_builds_total",
            Self::Tasks => "prestage_tasks_total",
            Self::TaskSeconds => "prestage_task_seconds",
            Self::WorkerTasks => "prestage_worker_tasks_total",
            Self::WorkerTaskSeconds => "prestage_worker_task_seconds",
            Self::Bytes => "prestage_bytes_total",
            Self::Leader => "prestage_leader",
            Self::PoisonedPacks => "prestage_poisoned_packs_total",
            Self::NotLent => "prestage_not_lent_total",
            Self::Connections => "prestage_connections",
            Self::ConnectionsRefused => "prestage_connections_refused_total",
        }
    }

    fn describe(self) {
        let name = self.name();
        match self {
            Self::QueueTasks => describe_gauge!(name, "Tasks that wait, by what they wait for"),
            Self::QueueAge => describe_gauge!(
                name,
                Unit::Seconds,
                "Age of the oldest waiting task, by what it waits for; scale workers by 'slot'"
            ),
            Self::Workers => describe_gauge!(name, "Workers: taking tasks, draining, resting"),
            Self::WorkerSlots => describe_gauge!(name, "Slots of workers, free and busy"),
            Self::Builds => describe_gauge!(name, "Builds, by state"),
            Self::BuildsEnded => describe_counter!(name, "Builds that ended, by outcome"),
            Self::Tasks => describe_counter!(name, "Tasks that ended, by kind and outcome"),
            Self::TaskSeconds => describe_histogram!(name, Unit::Seconds, "How long tasks took"),
            Self::WorkerTasks => describe_counter!(name, "Tasks that ended on this worker"),
            Self::WorkerTaskSeconds => {
                describe_histogram!(name, Unit::Seconds, "How long tasks took on this worker")
            }
            Self::Bytes => describe_counter!(
                name,
                Unit::Bytes,
                "Bytes of content read, and of packs and media written, by way"
            ),
            Self::Leader => describe_gauge!(name, "1 on the active coordinator, 0 on others"),
            Self::PoisonedPacks => {
                describe_counter!(name, "packs of which two workers made different ones");
            }
            Self::NotLent => {
                describe_counter!(name, "Times that a lease was not lent access to the store");
            }
            Self::Connections => {
                describe_gauge!(name, "Open connections: of known callers, of strangers");
            }
            Self::ConnectionsRefused => {
                describe_counter!(name, "Connections that were refused, since too many were open");
            }
        }
    }
}

/// Serves this process's metrics at `/metrics` of an address. Must be called inside a tokio runtime,
/// once; without it metrics cost next to nothing and go nowhere.
///
/// # Errors
/// [`TelemetryError::Metrics`] when the address can't be used.
pub fn serve_metrics(address: SocketAddr) -> Result<(), TelemetryError> {
    let wrong = |error: BuildError| TelemetryError::Metrics {
        address: address.to_string(),
        problem: error.to_string(),
    };
    let taken = |error: std::io::Error| TelemetryError::Metrics {
        address: address.to_string(),
        problem: error.to_string(),
    };
    let listener = std::net::TcpListener::bind(address).map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    let listener = TcpListener::from_std(listener).map_err(taken)?;
    let builder = PrometheusBuilder::new().set_buckets(&TASK_SECONDS).map_err(wrong)?;
    let numbers = builder.install_recorder().map_err(wrong)?;
    tokio::spawn(metrics_listener::serve(listener, numbers.clone()));
    tokio::spawn(async move {
        // What was measured is summed up now and then, or it would grow until somebody asks.
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            numbers.run_upkeep();
        }
    });
    Number::ALL.into_iter().for_each(Number::describe);
    Ok(())
}
