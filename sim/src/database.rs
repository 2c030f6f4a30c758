//! The state database, and the line to it: the product's own store in memory, which the same tests hold to
//! what PostgreSQL does, with outages, lost answers and delays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use prestage_coordinator::{
    audit::{AuditEntry, AuditRecord},
    events::{BuildEvent, Happening},
    records::{BuildRecord, NewTask},
    schedule::TaskRef,
    state::{
        Applicant, BuildWithTasks, Candidate, Created, Enrolled, Enrolment, Epoch, IdentityStore,
        KnownIdentity, Leadership, MemoryState, Revocation, StateError, StateStore,
    },
};
use prestage_proto::v1;
use prost::Message;
use time::OffsetDateTime;

use crate::{
    broken,
    world::{HostClock, World},
};

/// How bad things are: of a hundred transactions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Nothing is answered.
    pub down: bool,
    /// So many fail.
    pub failing: f64,
    /// So many are done, and nobody hears of it.
    pub lost_answers: f64,
    /// One takes so many milliseconds at most.
    pub slow: u64,
}

/// The database of a simulation.
#[derive(Clone)]
pub struct Database {
    kept: MemoryState,
    trouble: Arc<Mutex<Trouble>>,
    seen: Arc<Mutex<Seen>>,
    world: World,
}

/// What the promises are judged by.
#[derive(Default)]
struct Seen {
    /// The newest generation of each task that was given out.
    generations: BTreeMap<(String, String), u32>,
    /// The first result of each task.
    results: BTreeMap<(String, String), Vec<u8>>,
}

impl Database {
    /// An empty one, which keeps time by itself.
    pub fn new(world: &World) -> Self {
        Self {
            kept: MemoryState::new(Arc::new(HostClock::new(world))),
            trouble: Arc::default(),
            seen: Arc::default(),
            world: world.clone(),
        }
    }

    /// Changes how bad things are.
    pub fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// How `host` reaches it.
    pub fn seen_by(&self, host: &str) -> Arc<dyn StateStore> {
        let store: Arc<dyn StateStore> = Arc::new(self.kept.clone());
        Arc::new(Line { store, database: self.clone(), host: host.to_owned() })
    }

    /// What is in it, whatever the trouble.
    pub fn kept(&self) -> &MemoryState {
        &self.kept
    }

    fn trouble(&self) -> Trouble {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No generation is given out twice.
    fn see_events(&self, events: &[BuildEvent]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let Happening::Leased { task_id, generation, worker } = &event.what else {
                continue;
            };
            let task = (event.build_id.clone(), task_id.clone());
            let before = seen.generations.insert(task, *generation);
            if before.is_some_and(|before| before >= *generation) {
                let build = &event.build_id;
                broken!(
                    self.world,
                    "P5: generation {generation} of {build}/{task_id} was given out twice, now to {worker}"
                );
            }
        }
    }

    /// The first result of a task stays as it is.
    fn see_result(&self, task: &TaskRef, result: &v1::TaskResult) {
        let name = (task.build_id.clone(), task.task_id.clone());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.results.entry(name).or_insert_with(|| result.encode_to_vec());
    }

    /// Whether the durable result of each task is still the first one.
    pub fn check_results(&self, builds: &[BuildWithTasks]) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (build, tasks) in builds {
            for task in tasks {
                let name = (build.build_id.clone(), task.task_id.clone());
                let kept = task.result.as_ref().map(Message::encode_to_vec);
                let first = seen.results.get(&name);
                if first.is_some() && kept.as_ref() != first {
                    broken!(self.world, "P5: the result of {}/{} was changed", name.0, name.1);
                }
            }
        }
    }
}

/// The line of one host.
struct Line {
    store: Arc<dyn StateStore>,
    database: Database,
    host: String,
}

impl Line {
    async fn ask<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        let world = &self.database.world;
        self.takes_time().await;
        let trouble = self.database.trouble();
        if trouble.down || world.happens(trouble.failing) {
            world.note(&self.host, format_args!("database: {what} fails"));
            return Err(unreachable());
        }
        let done = work.await;
        let said = if done.is_ok() { "done" } else { "refused" };
        world.note(&self.host, format_args!("database: {what} {said}"));
        self.takes_time().await;
        let trouble = self.database.trouble();
        if done.is_ok() && (trouble.down || world.happens(trouble.lost_answers)) {
            world.note(&self.host, format_args!("database: {what} has its answer lost"));
            return Err(unreachable());
        }
        done
    }

    async fn takes_time(&self) {
        let slow = self.database.trouble().slow;
        if slow > 0 {
            let millis = self.database.world.draw(0..slow);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

fn unreachable() -> StateError {
    StateError::Database(sqlx::Error::PoolTimedOut)
}

#[async_trait]
impl StateStore for Line {
    fn led(&self, epoch: Epoch) -> Arc<dyn StateStore> {
        let (database, host) = (self.database.clone(), self.host.clone());
        Arc::new(Self { store: self.store.led(epoch), database, host })
    }

    async fn take_lead(
        &self,
        candidate: &Candidate,
        ttl: Duration,
    ) -> Result<Leadership, StateError> {
        self.ask("take_lead", self.store.take_lead(candidate, ttl)).await
    }

    async fn keep_lead(&self, epoch: Epoch, ttl: Duration) -> Result<(), StateError> {
        self.ask("keep_lead", self.store.keep_lead(epoch, ttl)).await
    }

    async fn resign(&self, epoch: Epoch) -> Result<(), StateError> {
        self.ask("resign", self.store.resign(epoch)).await
    }

    async fn leader(&self) -> Result<Option<String>, StateError> {
        self.ask("leader", self.store.leader()).await
    }

    async fn create_build(
        &self,
        build: &BuildRecord,
        tasks: &[NewTask],
    ) -> Result<Created, StateError> {
        self.ask("create_build", self.store.create_build(build, tasks)).await
    }

    async fn note(&self, events: &[BuildEvent]) -> Result<(), StateError> {
        let noted = async {
            self.store.note(events).await?;
            self.database.see_events(events);
            Ok(())
        };
        self.ask("note", noted).await
    }

    async fn makers(&self, work_key: &str) -> Result<BTreeSet<String>, StateError> {
        self.ask("makers", self.store.makers(work_key)).await
    }

    async fn finish_task(
        &self,
        task: &TaskRef,
        at: OffsetDateTime,
        result: &v1::TaskResult,
        follow_up: &[NewTask],
    ) -> Result<Option<v1::TaskResult>, StateError> {
        let what = format!("finish_task {}", task.to_wire());
        let finished = async {
            let earlier = self.store.finish_task(task, at, result, follow_up).await?;
            self.database.see_result(task, earlier.as_ref().unwrap_or(result));
            Ok(earlier)
        };
        self.ask(&what, finished).await
    }

    async fn events(&self, build_id: &str) -> Result<Vec<BuildEvent>, StateError> {
        self.ask("events", self.store.events(build_id)).await
    }

    async fn end_build(&self, build: &BuildRecord) -> Result<(), StateError> {
        let what = format!("end_build {} {:?}", build.build_id, build.state);
        self.ask(&what, self.store.end_build(build)).await
    }

    async fn rewrap_plan(&self, build_id: &str, plan_json: &[u8]) -> Result<(), StateError> {
        self.ask("rewrap_plan", self.store.rewrap_plan(build_id, plan_json)).await
    }

    async fn running(&self) -> Result<Vec<BuildWithTasks>, StateError> {
        self.ask("running", self.store.running()).await
    }

    async fn build(&self, build_id: &str) -> Result<Option<BuildWithTasks>, StateError> {
        self.ask("build", self.store.build(build_id)).await
    }

    async fn list(&self, after: &str, limit: u32) -> Result<Vec<BuildRecord>, StateError> {
        self.ask("list", self.store.list(after, limit)).await
    }

    async fn append_audit(&self, record: &AuditRecord) -> Result<u64, StateError> {
        self.ask("append_audit", self.store.append_audit(record)).await
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StateError> {
        self.ask("audit", self.store.audit(after, limit)).await
    }
}

/// Nobody proves who they are in a simulation, so these are only passed on.
#[async_trait]
impl IdentityStore for Line {
    async fn add_enrolment(&self, enrolment: &Enrolment) -> Result<(), StateError> {
        self.store.add_enrolment(enrolment).await
    }

    async fn enrol(
        &self,
        applicant: Applicant<'_>,
        now: OffsetDateTime,
    ) -> Result<Enrolled, StateError> {
        self.store.enrol(applicant, now).await
    }

    async fn note_identity(&self, identity: &KnownIdentity) -> Result<(), StateError> {
        self.store.note_identity(identity).await
    }

    async fn identity(&self, identity: &str) -> Result<Option<KnownIdentity>, StateError> {
        self.store.identity(identity).await
    }

    async fn identities(&self) -> Result<Vec<KnownIdentity>, StateError> {
        self.store.identities().await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<(), StateError> {
        self.store.revoke(revocation).await
    }

    async fn restore(&self, identity: &str) -> Result<(), StateError> {
        self.store.restore(identity).await
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, StateError> {
        self.store.revocations().await
    }
}
