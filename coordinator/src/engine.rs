//! Carries out what the scheduler decides: one task that owns the state of the fleet.
//!
//! Everything that changes comes here as a command and is done one after the other, so nothing is
//! locked and the database has one writer. What takes long (listing contents, composing) is done
//! elsewhere.

mod adding;
mod ending;
mod quarantine;
mod reap;
mod results;
mod running;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use prestage_proto::v1;
use prestage_store::quarantine::Doubt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use ending::{Cancelling, ended_with_objects};
use quarantine::Deciding;
pub(crate) use running::Running;

use crate::{
    CoordinatorError,
    clock::Clock,
    events::{BuildEvent, Happening},
    numbers,
    pipeline::{MediaPipeline, opinion_on},
    records::{BuildRecord, NewTask},
    rewrap::rewrap_running,
    schedule::{BuildOrder, Policy, Scheduler, TaskRef, Wait, task_statuses},
    service::build_message,
    state::{Created, StateError, StateStore},
};

/// Commands that may wait; more of them hold their senders back.
const COMMANDS_WAITING_MAX: usize = 1024;
/// Progress is shown this often at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Waits that end by themselves are looked at this often.
const TICK_MAX: Duration = Duration::from_secs(1);

/// Packs whose makers the state is asked for at once: a build may have hundreds, and everybody waits.
const MAKERS_AT_ONCE: usize = 8;

/// What the engine is asked to do.
pub(crate) enum Command {
    Add {
        build: Box<BuildRecord>,
        tasks: Vec<NewTask>,
        span: Span,
        reply: Reply<Created>,
    },
    Synchronize {
        request: v1::SynchronizeRequest,
        reply: Reply<Vec<v1::Lease>>,
    },
    /// Answered when the build's workers have stopped, or too late: with those that have not.
    Cancel {
        build_id: String,
        reply: Reply<Cancelled>,
    },
    /// What of new tasks no worker that is there can do.
    Check {
        tasks: Vec<NewTask>,
        reply: Reply<Vec<(String, Wait)>>,
    },
    Watch {
        build_id: String,
        reply: Reply<Option<watch::Receiver<v1::Build>>>,
    },
    /// How many builds are running.
    CountRunning {
        requester: String,
        request_id: String,
        reply: Reply<Running>,
    },
}

/// What became of a cancellation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// No such build is running.
    NotRunning,
    /// It has ended; these workers have not confirmed that they stopped.
    Ended { stopping: Vec<String> },
}

/// Names of workers that may have made what a task is a second opinion on, by its id.
type Makers = BTreeMap<String, BTreeSet<String>>;

type Reply<T> = oneshot::Sender<Result<T, StateError>>;

/// How the services reach the engine.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    commands: mpsc::Sender<Command>,
    /// Changes whenever there may be other work for workers.
    pub work: watch::Receiver<u64>,
    stop: CancellationToken,
}

/// The engine has ended: the coordinator is shutting down, or another one leads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("the coordinator is shutting down, or is not the active one any more")]
    Gone,
    #[error(transparent)]
    State(#[from] StateError),
}

impl EngineHandle {
    pub async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| EngineError::Gone)?;
        let answer = answer.await.map_err(|_| EngineError::Gone)?;
        if matches!(answer, Err(StateError::Deposed)) {
            // Whatever this engine believes of its builds may be wrong by now.
            self.stop.cancel();
        }
        Ok(answer?)
    }
}

struct Live {
    record: BuildRecord,
    shown: watch::Sender<v1::Build>,
    shown_at: Duration,
    /// The build's span: it ends with the build.
    _span: Span,
}

/// The engine.
pub(crate) struct Engine {
    scheduler: Scheduler,
    policy: Policy,
    store: Arc<dyn StateStore>,
    pipeline: Arc<MediaPipeline>,
    clock: Arc<dyn Clock>,
    builds: HashMap<String, Live>,
    work: watch::Sender<u64>,
    clean_up: tokio::task::JoinSet<()>,
    /// Packs that are being put into quarantine.
    deciding: Deciding,
    /// Ends of builds that the database did not take: tried again at the next tick.
    owed: BTreeMap<String, BuildRecord>,
    /// Builds whose writing seemed to fail, and may have been done: until when they are looked for.
    doubtful: BTreeMap<String, Duration>,
    /// Cancellations that wait for workers to stop.
    cancelling: Vec<Cancelling>,
    /// Builds that have ended while workers were still at their tasks.
    written_still: BTreeSet<String>,
    /// When abandoned compositions are looked for next: at once, at first.
    reap_at: Option<Duration>,
}

/// Loads the running builds and starts the engine. It ends at `shutdown`, or when the state says that
/// another coordinator leads; builds go on at the next start, here or there.
pub(crate) async fn start(
    store: Arc<dyn StateStore>,
    pipeline: Arc<MediaPipeline>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    shutdown: CancellationToken,
) -> Result<(EngineHandle, tokio::task::JoinHandle<()>), CoordinatorError> {
    let engine = load(store, pipeline, clock, policy).await?;
    let (commands, received) = mpsc::channel(COMMANDS_WAITING_MAX);
    let work = engine.work.subscribe();
    spawn_rewrapping(engine.store.clone(), engine.pipeline.clone(), shutdown.clone());
    let running = tokio::spawn(engine.run(received, shutdown.clone()));
    Ok((EngineHandle { commands, work, stop: shutdown }, running))
}

async fn load(
    store: Arc<dyn StateStore>,
    pipeline: Arc<MediaPipeline>,
    clock: Arc<dyn Clock>,
    policy: Policy,
) -> Result<Engine, CoordinatorError> {
    let mut engine = Engine {
        scheduler: Scheduler::new(policy),
        policy,
        store,
        pipeline,
        clock,
        builds: HashMap::new(),
        work: watch::channel(0).0,
        clean_up: tokio::task::JoinSet::new(),
        deciding: Deciding::default(),
        owed: BTreeMap::new(),
        doubtful: BTreeMap::new(),
        cancelling: Vec::new(),
        written_still: BTreeSet::new(),
        reap_at: None,
    };
    for (record, tasks) in engine.store.running().await? {
        let span = adding::resumed(&record);
        let makers = engine.makers(&tasks).await?;
        engine.take_up(record, tasks, makers, span);
    }
    engine.clean_ended().await?;
    engine.resume().await?;
    Ok(engine)
}

/// Plans follow the current seal key while builds go on.
fn spawn_rewrapping(
    store: Arc<dyn StateStore>,
    pipeline: Arc<MediaPipeline>,
    shutdown: CancellationToken,
) {
    tokio::spawn(async move {
        let rewrapped = tokio::select! {
            rewrapped = rewrap_running(&*store, &pipeline) => rewrapped,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = rewrapped {
            tracing::warn!(%error, "plans of running builds may be under an old seal key");
        }
    });
}

impl Engine {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, shutdown: CancellationToken) {
        numbers::show_leader(true);
        let mut expiry = tokio::time::interval((self.policy.lease_ttl / 4).min(TICK_MAX));
        expiry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                _ = expiry.tick() => self.expire().await,
                decided = self.deciding.next() => self.condemned(decided).await,
                () = shutdown.cancelled() => break,
            }
        }
        numbers::show_leader(false);
        // The queue is somebody else's now.
        numbers::show_fleet(&Scheduler::new(self.policy), 0, Duration::ZERO);
        // Half-made things of builds that ended are not left behind.
        while self.clean_up.join_next().await.is_some() {}
    }

    async fn obey(&mut self, command: Command) {
        // A caller that has gone away does not want its answer any more.
        match command {
            Command::Add { build, tasks, span, reply } => {
                let _ = reply.send(self.add(*build, tasks, span).await);
            }
            Command::Synchronize { request, reply } => {
                let _ = reply.send(self.synchronize(&request).await);
            }
            Command::Cancel { build_id, reply } => self.cancel(build_id, reply).await,
            Command::Check { tasks, reply } => {
                let _ = reply.send(Ok(self.scheduler.unsatisfiable(&tasks)));
            }
            Command::Watch { build_id, reply } => {
                let live = self.builds.get(&build_id);
                let _ = reply.send(Ok(live.map(|live| live.shown.subscribe())));
            }
            Command::CountRunning { requester, request_id, reply } => {
                let _ = reply.send(Ok(self.running(&requester, &request_id)));
            }
        }
    }

    /// Who may have made what second opinions are to be given on, by the ids of these tasks.
    async fn makers(&self, tasks: &[NewTask]) -> Result<Makers, StateError> {
        let open = tasks.iter().filter(|task| task.result.is_none());
        let opinions: Vec<(String, String)> = open
            .filter_map(|task| Some((task.task_id.clone(), opinion_on(&task.payload)?.to_owned())))
            .collect();
        let asked = opinions.into_iter().map(|(task_id, pack_key)| {
            let store = self.store.clone();
            async move { Ok((task_id, store.makers(&pack_key).await?)) }
        });
        stream::iter(asked).buffered(MAKERS_AT_ONCE).try_collect().await
    }

    fn take_up(&mut self, record: BuildRecord, tasks: Vec<NewTask>, makers: Makers, span: Span) {
        let now = self.clock.monotonic();
        self.scheduler.add_build(&record.build_id, self.order_of(&record), tasks, now);
        for (task_id, makers) in makers {
            let opinion = TaskRef { build_id: record.build_id.clone(), task_id };
            self.scheduler.add_makers(&opinion, makers);
        }
        self.scheduler.note_all_made(&record.build_id);
        let build_id = record.build_id.clone();
        let (shown, _) = watch::channel(build_message(&record, Vec::new()));
        let live = Live { record, shown, shown_at: Duration::ZERO, _span: span };
        self.builds.insert(build_id.clone(), live);
        self.show(&build_id, true);
    }

    fn order_of(&self, record: &BuildRecord) -> BuildOrder {
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        let from_now = |deadline| Duration::try_from(deadline - wall).unwrap_or(Duration::ZERO);
        BuildOrder {
            requester: record.requester.clone(),
            priority: record.priority,
            deadline: record.deadline.map(|deadline| now + from_now(deadline)),
        }
    }

    /// A coordinator may have died between the end of a build and its cleaning up.
    async fn clean_ended(&mut self) -> Result<(), CoordinatorError> {
        for build_id in ended_with_objects(&*self.store, &self.pipeline).await? {
            self.give_up(build_id, Vec::new());
        }
        Ok(())
    }

    async fn synchronize(
        &mut self,
        request: &v1::SynchronizeRequest,
    ) -> Result<Vec<v1::Lease>, StateError> {
        let now = self.clock.monotonic();
        let outcome = self.scheduler.synchronize(request, now);
        self.confirm_cancelled();
        self.clean_after_stopped();
        self.note_setbacks(&outcome.setbacks).await;
        for (task, failure) in outcome.failed {
            match self.replaced_pack(&task, &failure) {
                Some(pack_key) => self.condemn(&task, pack_key, Doubt::Replaced, failure),
                None => self.fail(&task, failure).await?,
            }
        }
        for (task, result) in &outcome.finished {
            self.finish(task, result).await?;
        }
        let granted = self.scheduler.grant(&request.worker_id, now);
        if !granted.is_empty() {
            let leased = |(task, generation): &(TaskRef, u32)| {
                let (task_id, worker) = (task.task_id.clone(), request.worker_name.clone());
                let what = Happening::Leased { task_id, generation: *generation, worker };
                self.event(task, what)
            };
            let durable: Vec<BuildEvent> = granted.iter().map(leased).collect();
            if let Err(error) = self.store.note(&durable).await {
                self.scheduler.revoke(&request.worker_id, &granted, now);
                return Err(error);
            }
            for (task, _) in &granted {
                self.scheduler.note_maker(task, &request.worker_name);
            }
        }
        let touched =
            request.running.iter().filter_map(|running| TaskRef::from_wire(&running.task_id));
        let touched: Vec<String> = touched.map(|task| task.build_id).collect();
        for build_id in touched {
            self.show(&build_id, false);
        }
        for (task, _) in &granted {
            self.show(&task.build_id, true);
        }
        Ok(self.leases(request))
    }

    /// All that a worker should be doing.
    fn leases(&self, request: &v1::SynchronizeRequest) -> Vec<v1::Lease> {
        let desired = self.scheduler.desired(&request.worker_id).into_iter();
        let lease = |(task, generation, payload): (TaskRef, u32, bytes::Bytes)| {
            let task_id = task.to_wire();
            let live = self.builds.get(&task.build_id);
            let traceparent = live.map(|live| live.record.traceparent.clone()).unwrap_or_default();
            v1::Lease { task_id, generation, task: payload, traceparent, access: None }
        };
        desired.map(lease).collect()
    }

    fn event(&self, task: &TaskRef, what: Happening) -> BuildEvent {
        BuildEvent { build_id: task.build_id.clone(), at: self.clock.now(), what }
    }

    /// For the build log only: a build goes on without it.
    async fn note_setbacks(&self, setbacks: &[(TaskRef, Happening)]) {
        if setbacks.is_empty() {
            return;
        }
        for (task, what) in setbacks {
            let kind = self.scheduler.task(task).map_or("", |task| &task.record.kind);
            let lost = matches!(what, Happening::Lost { .. });
            numbers::count_setback(kind, if lost { "lost" } else { "failed" });
        }
        let events = setbacks.iter().map(|(task, what)| self.event(task, what.clone()));
        let events: Vec<BuildEvent> = events.collect();
        if let Err(error) = self.store.note(&events).await {
            tracing::error!(%error, "setbacks of a build could not be written down");
        }
    }

    async fn expire(&mut self) {
        let expired = self.scheduler.expire(self.clock.monotonic());
        self.note_setbacks(&expired.setbacks).await;
        for (task, failure) in expired.failed {
            if let Err(error) = self.fail(&task, failure).await {
                tracing::error!(%error, "a failed build could not be written down yet");
            }
        }
        self.pay_what_is_owed().await;
        self.look_for_doubtful().await;
        self.confirm_cancelled();
        self.clean_after_stopped();
        if let Err(error) = self.reap_when_due().await {
            tracing::error!(%error, "abandoned compositions can't be looked for");
        }
        while self.clean_up.try_join_next().is_some() {}
        let builds: Vec<String> = self.builds.keys().cloned().collect();
        for build_id in builds {
            self.show(&build_id, false);
        }
        numbers::show_fleet(&self.scheduler, self.builds.len(), self.clock.monotonic());
        self.wake_workers();
    }

    fn wake_workers(&self) {
        self.work.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Shows a build to its watchers: at once when something has changed, seldom for progress.
    fn show(&mut self, build_id: &str, changed: bool) {
        let now = self.clock.monotonic();
        let Some(live) = self.builds.get(build_id) else {
            return;
        };
        if !changed && now.saturating_sub(live.shown_at) < PROGRESS_INTERVAL {
            return;
        }
        let record = live.record.clone();
        self.show_record(build_id, record);
        if let Some(live) = self.builds.get_mut(build_id) {
            live.shown_at = now;
        }
    }

    fn show_record(&self, build_id: &str, record: BuildRecord) {
        let now = (self.clock.monotonic(), self.clock.now());
        let tasks = task_statuses(&self.scheduler, build_id, now);
        if let Some(live) = self.builds.get(build_id) {
            live.shown.send_replace(build_message(&record, tasks));
        }
    }
}
