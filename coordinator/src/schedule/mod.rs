//! Who does what: a pure function of events and of the time that is passed in.
//!
//! Nothing here waits, writes or asks the clock. The engine carries out what is answered: it makes
//! new generations durable before it hands leases out, and results durable before they count.

mod choose;
mod flight;
mod lease;
mod order;
mod pace;
mod reach;
mod ready;
mod setback;
mod task;
#[cfg(test)]
mod tests;
mod wait;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use prestage_proto::v1;

use crate::{events::Happening, records::TaskRecord};

use flight::{Flights, suffices};
pub use order::BuildOrder;
use order::Shares;
use pace::Paces;
use ready::Ready;
pub use task::{Lease, TaskEntry, TaskPhase};
pub use wait::{QueueDepth, Wait, Waiting, task_statuses};
use worker::WorkerEntry;

/// Names a task in the whole fleet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskRef {
    /// The build.
    pub build_id: String,
    /// The task in it.
    pub task_id: String,
}

impl TaskRef {
    fn new(build_id: &str, task_id: &str) -> Self {
        Self { build_id: build_id.to_owned(), task_id: task_id.to_owned() }
    }

    /// As it goes over the wire.
    pub fn to_wire(&self) -> String {
        format!("{}/{}", self.build_id, self.task_id)
    }

    /// From how it goes over the wire.
    pub fn from_wire(text: &str) -> Option<Self> {
        let (build_id, task_id) = text.split_once('/')?;
        Some(Self::new(build_id, task_id))
    }
}

/// How the scheduler treats time and faults.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a lease lives without a word from its worker.
    pub lease_ttl: Duration,
    /// So long tasks are kept for the workers that had them when the coordinator ended: they go on.
    /// Zero where workers end with their coordinator.
    pub return_grace: Duration,
    /// After so many failed or lost leases a task is given up, whatever the reasons.
    pub attempts_max: u32,
    /// After so many distinct workers that failed it or were lost with it, a task is given up.
    pub workers_max: usize,
    /// So long a task waits for a worker that is nearer to its content than the one that is free.
    pub hold_out: Duration,
    /// A build is served before others of its priority when its deadline is nearer than this.
    pub deadline_horizon: Duration,
    /// A worker that fails so many tasks in a row, while others do well, is put aside.
    pub faults_max: usize,
    /// For how long, at first.
    pub rest: Duration,
    /// No lease younger than this is taken for a straggler.
    pub straggler_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            return_grace: Duration::from_secs(15),
            attempts_max: 6,
            workers_max: 3,
            hold_out: Duration::from_secs(5),
            deadline_horizon: Duration::from_secs(3600),
            faults_max: 3,
            rest: Duration::from_secs(60),
            straggler_after: Duration::from_secs(30),
        }
    }
}

/// A build's tasks.
#[cfg_attr(test, derive(Clone))]
struct BuildEntry {
    order: BuildOrder,
    tasks: BTreeMap<String, TaskEntry>,
    /// Tasks by one that they wait for.
    dependents: HashMap<String, Vec<String>>,
    ready: Ready,
    /// Bytes that were given to workers.
    served: u64,
}

/// What a worker's call leads to.
#[derive(Debug, Default)]
pub struct Synchronized {
    /// Results under live leases: durable before they count (see [`Scheduler::finish`]).
    pub finished: Vec<(TaskRef, v1::TaskResult)>,
    /// Tasks that failed for good, and why.
    pub failed: Vec<(TaskRef, v1::Failure)>,
    /// Every attempt that came to nothing.
    pub setbacks: Vec<(TaskRef, Happening)>,
}

/// What silence leads to.
#[derive(Debug, Default)]
pub struct Expired {
    /// Tasks that were lost too often, with the reason; whether any waits anew is seen from the state.
    pub failed: Vec<(TaskRef, v1::Failure)>,
    /// Every lease that was lost.
    pub setbacks: Vec<(TaskRef, Happening)>,
}

/// The state of the fleet.
#[cfg_attr(test, derive(Clone))]
pub struct Scheduler {
    policy: Policy,
    builds: BTreeMap<String, BuildEntry>,
    workers: BTreeMap<String, WorkerEntry>,
    shares: Shares,
    flights: Flights,
    paces: Paces,
    /// Tasks that are kept for their workers, and until when.
    kept: BTreeSet<(Duration, TaskRef)>,
    /// Builds that have ready tasks.
    ready_builds: BTreeSet<String>,
}

impl Scheduler {
    /// An empty fleet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            builds: BTreeMap::new(),
            workers: BTreeMap::new(),
            shares: Shares::default(),
            flights: Flights::default(),
            paces: Paces::default(),
            kept: BTreeSet::new(),
            ready_builds: BTreeSet::new(),
        }
    }

    /// Adds a build: a new one, or one from before the coordinator's restart.
    pub fn add_build(
        &mut self,
        build_id: &str,
        order: BuildOrder,
        tasks: Vec<TaskRecord>,
        now: Duration,
    ) {
        if !self.builds.contains_key(build_id) {
            // Among a requester's builds, too, a new one begins where the least served one stands.
            let of_requester = |build: &&BuildEntry| build.order.requester == order.requester;
            let served = self.builds.values().filter(of_requester).map(|build| build.served).min();
            self.shares.join(&order.requester);
            let build = BuildEntry {
                order,
                tasks: BTreeMap::new(),
                dependents: HashMap::new(),
                ready: Ready::default(),
                served: served.unwrap_or(0),
            };
            self.builds.insert(build_id.to_owned(), build);
        }
        self.add_tasks(build_id, tasks, now);
    }

    /// Adds tasks to a build; those that it has already stay as they are.
    pub fn add_tasks(&mut self, build_id: &str, tasks: Vec<TaskRecord>, now: Duration) {
        let Some(build) = self.builds.get_mut(build_id) else {
            return;
        };
        let mut changed = BTreeSet::new();
        for record in tasks {
            if build.tasks.contains_key(&record.task_id) {
                continue;
            }
            let task = TaskRef::new(build_id, &record.task_id);
            for dep in &record.deps {
                build.dependents.entry(dep.clone()).or_default().push(record.task_id.clone());
            }
            let mut entry = TaskEntry::new(record, now);
            if entry.phase == TaskPhase::Waiting {
                self.flights.add(&entry.record.work_key, &task);
                if entry.record.generation > 0 && !self.policy.return_grace.is_zero() {
                    let until = now + self.policy.return_grace;
                    entry.kept_until = Some(until);
                    self.kept.insert((until, task.clone()));
                }
            }
            changed.insert(task.task_id.clone());
            changed.extend(build.dependents.get(&task.task_id).into_iter().flatten().cloned());
            build.tasks.insert(task.task_id.clone(), entry);
        }
        for task_id in &changed {
            build.count_missing(task_id);
        }
        for task_id in changed {
            self.refresh(&TaskRef::new(build_id, &task_id), now);
        }
    }

    /// Forgets a build. Workers give its leases up at their next call.
    pub fn remove_build(&mut self, build_id: &str, now: Duration) {
        let Some(build) = self.builds.remove(build_id) else {
            return;
        };
        self.ready_builds.remove(build_id);
        self.shares.leave(&build.order.requester);
        self.kept.retain(|(_, task)| task.build_id != build_id);
        for worker in self.workers.values_mut() {
            let of_build = |task: &TaskRef, _: &mut _| task.build_id == build_id;
            let taken = worker.leases.extract_if(.., of_build);
            worker.stopping.extend(taken.map(|(task, held)| (task, held.generation)));
        }
        let keys: BTreeSet<String> =
            build.tasks.values().map(|t| t.record.work_key.clone()).collect();
        for (task_id, entry) in &build.tasks {
            self.flights.remove(&entry.record.work_key, &TaskRef::new(build_id, task_id));
        }
        for key in keys {
            self.refresh_work(&key, now);
        }
    }

    /// Names of workers that have not confirmed yet that they stopped working for a build.
    pub fn stopping(&self, build_id: &str) -> Vec<String> {
        let works = |worker: &&WorkerEntry| {
            worker.stopping.iter().any(|(task, _)| task.build_id == build_id)
        };
        self.workers.values().filter(works).map(|worker| worker.name.clone()).collect()
    }

    /// A build's tasks, in the order of their ids.
    pub fn tasks(&self, build_id: &str) -> impl Iterator<Item = &TaskEntry> {
        self.builds.get(build_id).into_iter().flat_map(|build| build.tasks.values())
    }

    /// Whether all tasks of a build are done.
    pub fn is_complete(&self, build_id: &str) -> bool {
        self.tasks(build_id).all(|task| task.record.result.is_some())
    }

    /// Notes a durable result. Also gives every other waiting task of the same work: the same
    /// result is theirs.
    pub fn finish(
        &mut self,
        task: &TaskRef,
        result: &v1::TaskResult,
        now: Duration,
    ) -> Vec<TaskRef> {
        let Some(entry) = self.task_mut(task) else {
            return Vec::new();
        };
        let leases = std::mem::take(&mut entry.leases);
        entry.kept_until = None;
        entry.record.result = Some(result.clone());
        entry.enter(TaskPhase::Done, now);
        let (kind, bytes) = (entry.record.kind.clone(), entry.record.bytes_total);
        let key = entry.record.work_key.clone();
        for lease in &leases {
            if !result.reused && leases.len() == 1 {
                self.paces.note(&kind, bytes, now.saturating_sub(lease.since));
            }
            if let Some(worker) = self.workers.get_mut(&lease.worker) {
                worker.leases.remove(task);
            }
        }
        self.note_made(task, result);
        self.refresh(task, now);
        self.flights.remove(&key, task);
        // The others of this work want a worker again, should their result not become durable.
        self.refresh_work(&key, now);
        self.count_dependents(task, now);
        let same = self.flights.open(&key).into_iter();
        let is_theirs = |task: &TaskEntry| {
            task.phase == TaskPhase::Waiting && suffices(&task.record.payload, result)
        };
        same.filter(|task| self.task(task).is_some_and(is_theirs)).collect()
    }

    fn count_dependents(&mut self, task: &TaskRef, now: Duration) {
        let Some(build) = self.builds.get_mut(&task.build_id) else {
            return;
        };
        let dependents = build.dependents.get(&task.task_id).cloned().unwrap_or_default();
        for dependent in &dependents {
            build.count_missing(dependent);
        }
        for dependent in dependents {
            self.refresh(&TaskRef::new(&task.build_id, &dependent), now);
        }
    }

    fn task_mut(&mut self, task: &TaskRef) -> Option<&mut TaskEntry> {
        self.builds.get_mut(&task.build_id)?.tasks.get_mut(&task.task_id)
    }

    /// A task, if it is there.
    pub fn task(&self, task: &TaskRef) -> Option<&TaskEntry> {
        self.builds.get(&task.build_id)?.tasks.get(&task.task_id)
    }

    /// Brings a task into the queue of those that only want a worker, or out of it.
    fn refresh(&mut self, task: &TaskRef, now: Duration) {
        let Some(build) = self.builds.get_mut(&task.build_id) else {
            return;
        };
        let Some(entry) = build.tasks.get_mut(&task.task_id) else {
            return;
        };
        let busy = self.flights.doing(&entry.record.work_key).is_some();
        let is_ready = entry.phase == TaskPhase::Waiting
            && entry.missing == 0
            && entry.kept_until.is_none()
            && !busy;
        let (class, bytes) = (&entry.class, entry.record.bytes_total);
        match (is_ready, entry.ready_since) {
            (true, None) => {
                build.ready.insert(class, bytes, &task.task_id);
                entry.ready_since = Some(now);
            }
            (false, Some(_)) => {
                build.ready.remove(class, bytes, &task.task_id);
                entry.ready_since = None;
            }
            _ => {}
        }
        if build.ready.is_empty() {
            self.ready_builds.remove(&task.build_id);
        } else if !self.ready_builds.contains(&task.build_id) {
            self.ready_builds.insert(task.build_id.clone());
        }
    }

    /// The same for all tasks of a work.
    fn refresh_work(&mut self, key: &str, now: Duration) {
        for task in self.flights.open(key) {
            self.refresh(&task, now);
        }
    }

    /// Tasks whose workers did not come back are anybody's.
    fn release_kept(&mut self, now: Duration) {
        while let Some((until, task)) = self.kept.first().cloned()
            && until <= now
        {
            self.kept.remove(&(until, task.clone()));
            self.release(&task, now);
        }
    }

    fn release(&mut self, task: &TaskRef, now: Duration) {
        if let Some(entry) = self.task_mut(task)
            && let Some(until) = entry.kept_until.take()
        {
            self.kept.remove(&(until, task.clone()));
            self.refresh(task, now);
        }
    }
}

impl BuildEntry {
    /// Counts what a task still waits for.
    fn count_missing(&mut self, task_id: &str) {
        let Some(entry) = self.tasks.get(task_id) else {
            return;
        };
        let is_open = |dep: &&String| {
            self.tasks.get(dep.as_str()).is_none_or(|dep| dep.record.result.is_none())
        };
        let missing = entry.record.deps.iter().filter(is_open).count();
        if let Some(entry) = self.tasks.get_mut(task_id) {
            entry.missing = missing;
        }
    }
}
