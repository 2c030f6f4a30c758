//! The tasks that a worker is doing, and those it has done but nobody has taken note of yet.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use metrics::{counter, histogram};
use prestage_proto::v1::{self, finished::Outcome, task_result};
use prestage_store::{
    Compose, Composer, StoreOptions, UploadToken,
    lent::{LentCredentials, LentSecrets, TemporaryKey},
};
use prestage_telemetry::Number;
use prestage_threads::AsyncSide;
use prestage_wim::codec::Progress;
use prost::Message;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument;

use crate::{
    Shared,
    blame::Machine,
    health::Sign,
    tasks::{self, TaskError, Tools},
};

/// A lease as both sides name it: a task and the generation of its lease.
type LeaseId = (String, u32);

/// All leases of a worker.
#[derive(Default)]
pub(crate) struct Leases {
    running: BTreeMap<LeaseId, Running>,
    finished: BTreeMap<LeaseId, Outcome>,
    tasks: JoinSet<Result<v1::TaskResult, TaskError>>,
    ids: BTreeMap<Id, LeaseId>,
}

struct Running {
    progress: Arc<Progress>,
    kind: &'static str,
    since: Instant,
    /// Credentials that were lent to it.
    lent: Option<LentCredentials>,
    composer: Arc<Composer>,
}

impl Leases {
    /// Brings what runs in line with what is desired: starts, gives up, forgets.
    pub fn follow(&mut self, desired: Vec<v1::Lease>, shared: &Shared) {
        let wanted: BTreeMap<LeaseId, v1::Lease> = desired
            .into_iter()
            .map(|lease| ((lease.task_id.clone(), lease.generation), lease))
            .collect();
        self.finished.retain(|id, _| wanted.contains_key(id));
        for (id, running) in &self.running {
            if !wanted.contains_key(id) {
                running.progress.cancelled.store(true, Ordering::Relaxed);
            }
        }
        for (id, lease) in wanted {
            if let Some(running) = self.running.get(&id) {
                running.go_on_with(lease.access);
            } else if !self.finished.contains_key(&id) {
                self.start(id, lease, shared);
            }
        }
    }

    fn start(&mut self, id: LeaseId, lease: v1::Lease, shared: &Shared) {
        let task = match v1::Task::decode(lease.task.clone()) {
            Ok(task) => task,
            Err(error) => {
                let failure = v1::Failure::from(TaskError::BadTask(error.to_string()));
                self.finished.insert(id, Outcome::Failure(failure));
                return;
            }
        };
        let progress =
            Arc::new(Progress { bytes_done: AtomicU64::new(0), cancelled: AtomicBool::new(false) });
        let (kind, since) = (tasks::kind(&task), Instant::now());
        let stores = Stores::of(&lease, shared);
        let (lent, composer) = (stores.lent.clone(), stores.composer.clone());
        let running = Running { progress: progress.clone(), kind, since, lent, composer };
        self.running.insert(id.clone(), running);
        let span = tracing::info_span!("task", task = id.0, generation = id.1, kind);
        let span = prestage_telemetry::span_under(span, &lease.traceparent);
        let work = run(task, shared.clone(), stores, progress);
        let handle = self.tasks.spawn(work.instrument(span));
        self.ids.insert(handle.id(), id);
    }

    /// Waits for a task to end, if any runs, and tells what that says of the worker; its outcome is kept
    /// until the coordinator has it.
    pub async fn ended(&mut self, machine: &Machine) -> Sign {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let handle = match &ended {
            Ok((handle, _)) => *handle,
            Err(error) => error.id(),
        };
        let Some(id) = self.ids.remove(&handle) else {
            return Sign::None;
        };
        let Some(running) = self.running.remove(&id) else {
            return Sign::None;
        };
        if running.is_cancelled() {
            running.count("given_up");
            if let Ok((_, Ok(result))) = ended {
                running.give_up_compositions(&result);
            }
            return Sign::None;
        }
        let (outcome, sign) = outcome_of(ended.map(|(_, done)| done), &id.0, machine);
        running.count(if matches!(outcome, Outcome::Result(_)) { "done" } else { "failed" });
        self.finished.insert(id, outcome);
        sign
    }

    /// How many tasks are running, given up or not.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// What is running, for the coordinator. Tasks that were given up but have not ended yet are
    /// told apart: see [`Leases::stopping`].
    pub fn running(&self) -> Vec<v1::Running> {
        let alive = self.running.iter().filter(|(_, running)| !running.is_cancelled());
        alive.map(message).collect()
    }

    /// Tasks that were given up and have not ended yet.
    pub fn stopping(&self) -> Vec<v1::Running> {
        self.running.iter().filter(|(_, running)| running.is_cancelled()).map(message).collect()
    }

    /// What has ended and is not acknowledged.
    pub fn finished(&self) -> Vec<v1::Finished> {
        let finished = self.finished.iter();
        finished
            .map(|((task_id, generation), outcome)| v1::Finished {
                task_id: task_id.clone(),
                generation: *generation,
                outcome: Some(outcome.clone()),
            })
            .collect()
    }

    /// Whether nothing runs and nothing is left to report.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.finished.is_empty()
    }

    /// Whether any task is running.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// Gives everything up: the leases are lost.
    pub fn give_up(&mut self) {
        self.finished.clear();
        for running in self.running.values() {
            running.progress.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl Running {
    /// For those who watch this worker.
    fn count(&self, outcome: &'static str) {
        counter!(Number::WorkerTasks.name(), "kind" => self.kind, "outcome" => outcome)
            .increment(1);
        if outcome == "done" {
            let took = self.since.elapsed().as_secs_f64();
            histogram!(Number::WorkerTaskSeconds.name(), "kind" => self.kind).record(took);
        }
    }

    /// Nobody will hear of what an assembly has opened that was given up meanwhile.
    fn give_up_compositions(&self, result: &v1::TaskResult) {
        let Some(task_result::Work::Assemble(assembled)) = &result.work else {
            return;
        };
        for volume in &assembled.volumes {
            let (composer, token) =
                (self.composer.clone(), UploadToken::from(volume.upload.clone()));
            tokio::spawn(async move {
                if let Err(error) = composer.abort(&token).await {
                    tracing::warn!(%error, "the composition could not be given up");
                }
            });
        }
    }

    /// Takes newer credentials, if there are any.
    fn go_on_with(&self, access: Option<v1::StoreAccess>) {
        if let (Some(lent), Some(access)) = (&self.lent, access) {
            lent.exchange(secrets(&access));
        }
    }

    fn is_cancelled(&self) -> bool {
        self.progress.cancelled.load(Ordering::Relaxed)
    }
}

fn message(((task_id, generation), running): (&LeaseId, &Running)) -> v1::Running {
    v1::Running {
        task_id: task_id.clone(),
        generation: *generation,
        bytes_done: running.progress.bytes_done.load(Ordering::Relaxed),
    }
}

async fn run(
    task: v1::Task,
    shared: Shared,
    stores: Stores,
    progress: Arc<Progress>,
) -> Result<v1::TaskResult, TaskError> {
    let objects = tasks::open_objects(&task.objects_url, &stores.options).await?;
    let tools = Tools {
        objects,
        composer: stores.composer,
        store_options: stores.options,
        staging: shared.machine.staging,
        disk: shared.disk,
        room: Arc::default(),
        memory: shared.memory,
        access: shared.access,
        shares: shared.shares,
        past_reads: shared.past_reads,
        remarks: Arc::default(),
        pool: shared.pool,
        progress,
        runtime: AsyncSide::current(),
    };
    tasks::run(task, tools).await
}

/// How a task reaches stores: as the worker does, or as it was lent access.
struct Stores {
    options: StoreOptions,
    composer: Arc<Composer>,
    lent: Option<LentCredentials>,
}

impl Stores {
    fn of(lease: &v1::Lease, shared: &Shared) -> Self {
        let Some(access) = &lease.access else {
            let (options, composer) = (shared.store_options.clone(), shared.composer.clone());
            return Self { options, composer, lent: None };
        };
        let lent = LentCredentials::new(secrets(access));
        let options = shared.store_options.clone().lent(access.settings.clone(), lent.clone());
        let composer = Arc::new(Composer::new(options.clone()).under(lease.name()));
        Self { options, composer, lent: Some(lent) }
    }
}

fn secrets(access: &v1::StoreAccess) -> LentSecrets {
    let v1::StoreAccess { key_id, secret_key, session_token, access_token, .. } = access.clone();
    let given = |text: &String| !text.is_empty();
    let key = TemporaryKey { id: key_id, secret: secret_key, token: session_token };
    LentSecrets {
        s3: Some(key).filter(|key| given(&key.id)),
        azure: access.signatures.clone().into_iter().collect(),
        google: Some(access_token).filter(given),
    }
}

/// What the coordinator is told of a task's end, and what it says of this worker.
fn outcome_of(
    ended: Result<Result<v1::TaskResult, TaskError>, JoinError>,
    task_id: &str,
    machine: &Machine,
) -> (Outcome, Sign) {
    let (failure, sign) = match ended {
        Ok(Ok(result)) => return (Outcome::Result(result.encode_to_vec().into()), Sign::Fit),
        Ok(Err(error)) => machine.blame(error, task_id),
        Err(error) => machine.stopped(panicked(&error), task_id),
    };
    (Outcome::Failure(failure), sign)
}

fn panicked(error: &JoinError) -> v1::Failure {
    v1::Failure {
        what: format!("the task stopped in the middle: {error}"),
        advice: "this is a fault of Prestage: please report it with the worker's log".into(),
        retry: v1::Retry::OtherWorker.into(),
        ..Default::default()
    }
}
