//! Keeping in step with the coordinator.
//!
//! One call is out at a time. The coordinator holds it back until there is something to say, or
//! progress is due; when a task ends, the call is dropped and made anew with the news. A lost call or
//! answer heals at the next one, for each carries the whole state.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use prestage_connect::Coordinators;
use prestage_proto::v1::{self, worker_service_client::WorkerServiceClient};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::{
    Shared, WorkerSettings,
    health::{Health, Sign},
    leases::Leases,
    tasks,
};

/// How long the coordinator may hold a call back.
const WAIT: Duration = Duration::from_secs(10);
/// Progress is told this often while tasks run.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Until the coordinator says how long leases live.
const LEASE_TTL_DEFAULT: Duration = Duration::from_secs(15);
/// Largest message either side takes; the same as the coordinator's.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A worker.
pub struct Worker {
    client: WorkerServiceClient<Coordinators>,
    settings: WorkerSettings,
    shared: Shared,
    leases: Leases,
    health: Health,
    lease_ttl: Duration,
    heard: Instant,
}

enum Event {
    Answer(Result<v1::SynchronizeResponse, Status>),
    TaskEnded(Sign),
    /// It was not fit to work, and is now.
    Recovered,
    ShuttingDown,
}

impl Worker {
    pub(crate) fn with(
        coordinators: Coordinators,
        settings: WorkerSettings,
        shared: Shared,
        health: Health,
    ) -> Self {
        let client = WorkerServiceClient::new(coordinators)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let heard = Instant::now();
        let leases = Leases::default();
        Self { client, settings, shared, leases, health, lease_ttl: LEASE_TTL_DEFAULT, heard }
    }

    /// Works until `drain` asks to finish what is begun and take nothing new, or `stop` to give
    /// everything up; either way no half-made thing is left.
    pub async fn run(mut self, drain: CancellationToken, stop: CancellationToken) {
        let mut retries = backoff();
        loop {
            let draining = drain.is_cancelled();
            if stop.is_cancelled() {
                break;
            }
            if draining && self.leases.is_idle() {
                return;
            }
            match self.next_event(&drain, &stop).await {
                Event::Answer(Ok(answer)) => {
                    self.heard = Instant::now();
                    self.lease_ttl = Duration::from_millis(u64::from(answer.lease_ttl_ms.max(100)));
                    self.leases.follow(answer.desired, &self.shared);
                    retries = backoff();
                }
                Event::Answer(Err(status)) => {
                    self.note_silence(&status);
                    let pause = retries.next().unwrap_or(PROGRESS_INTERVAL);
                    self.pause(pause, &stop).await;
                }
                Event::TaskEnded(sign) => self.health.note(sign),
                Event::Recovered | Event::ShuttingDown => {}
            }
        }
        self.leases.give_up();
        while self.leases.is_busy() {
            self.leases.ended(&self.shared.machine).await;
        }
    }

    async fn next_event(&mut self, drain: &CancellationToken, stop: &CancellationToken) -> Event {
        let draining = drain.is_cancelled();
        let call = self.client.synchronize(self.call(draining));
        tokio::select! {
            biased;
            () = stop.cancelled() => Event::ShuttingDown,
            () = drain.cancelled(), if !draining => Event::ShuttingDown,
            sign = self.leases.ended(&self.shared.machine) => Event::TaskEnded(sign),
            () = self.health.recovered() => Event::Recovered,
            answer = call => Event::Answer(answer.map(tonic::Response::into_inner)),
        }
    }

    /// A coordinator, or something on the way to it, that holds a call back for longer than it was asked to and
    /// leases live besides does not answer: the next one is asked.
    fn call(&self, draining: bool) -> Request<v1::SynchronizeRequest> {
        let mut call = Request::new(self.request(draining));
        call.set_timeout(WAIT + self.lease_ttl);
        call
    }

    fn request(&self, draining: bool) -> v1::SynchronizeRequest {
        // While tasks run, calls are answered soon and made again with the progress.
        let wait = if self.leases.is_busy() { PROGRESS_INTERVAL } else { WAIT };
        v1::SynchronizeRequest {
            worker_id: self.settings.id.clone(),
            worker_name: self.settings.name.clone(),
            slots: self.slots(),
            running: self.leases.running(),
            stopping: self.leases.stopping(),
            finished: self.leases.finished(),
            wait_ms: wait.as_millis().try_into().unwrap_or(u32::MAX),
            draining: draining || !self.health.is_fit(),
            reach: self.settings.reach.clone(),
            kinds: tasks::KINDS.iter().map(|kind| (*kind).to_owned()).collect(),
            release: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// While a task waits for room on the disk, another one would wait as well: it is better off with
    /// another worker.
    fn slots(&self) -> u32 {
        let busy = u32::try_from(self.leases.count()).unwrap_or(u32::MAX);
        match self.shared.disk.is_waited_for() {
            true => self.settings.slots.min(busy),
            false => self.settings.slots,
        }
    }

    /// A coordinator that is silent for longer than leases live has given them to others.
    fn note_silence(&mut self, status: &Status) {
        tracing::warn!(code = ?status.code(), message = status.message(), "no coordinator");
        if self.heard.elapsed() > self.lease_ttl {
            self.leases.give_up();
        }
    }

    /// Waits before the next call, without losing the end of a task.
    async fn pause(&mut self, pause: Duration, stop: &CancellationToken) {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(until) => return,
                sign = self.leases.ended(&self.shared.machine) => self.health.note(sign),
            }
        }
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build()
}
