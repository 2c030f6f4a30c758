//! Who does what: a pure function of events and of the time that is passed in.
//!
//! Nothing here waits, writes or asks the clock. The engine carries out what is answered: it makes
//! new generations durable before it hands leases out, and results durable before they count.

mod explain;
mod lease;
mod task;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use prestage_proto::v1;

use crate::{events::Happening, records::TaskRecord};

pub use explain::task_statuses;
pub use task::{TaskEntry, TaskPhase};
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
    /// As it goes over the wire.
    pub fn to_wire(&self) -> String {
        format!("{}/{}", self.build_id, self.task_id)
    }

    /// From how it goes over the wire.
    pub fn from_wire(text: &str) -> Option<Self> {
        let (build_id, task_id) = text.split_once('/')?;
        Some(Self { build_id: build_id.into(), task_id: task_id.into() })
    }
}

/// How the scheduler treats time and faults.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a lease lives without a word from its worker.
    pub lease_ttl: Duration,
    /// After so many failed or lost leases a task is given up.
    pub attempts_max: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { lease_ttl: Duration::from_secs(15), attempts_max: 3 }
    }
}

/// A build's tasks.
pub struct BuildEntry {
    tasks: BTreeMap<String, TaskEntry>,
    /// Turns of the build: the one with the fewest is served first.
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
pub struct Scheduler {
    policy: Policy,
    builds: BTreeMap<String, BuildEntry>,
    workers: HashMap<String, WorkerEntry>,
}

impl Scheduler {
    /// An empty fleet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, builds: BTreeMap::new(), workers: HashMap::new() }
    }

    /// Adds a build, or tasks to a build.
    pub fn add_tasks(&mut self, build_id: &str, tasks: Vec<TaskRecord>, now: Duration) {
        // A new build begins where the least served one stands, or it would be served alone.
        let served = self.builds.values().map(|build| build.served).min().unwrap_or(0);
        let build = self.builds.entry(build_id.to_owned());
        let build = build.or_insert_with(|| BuildEntry { tasks: BTreeMap::new(), served });
        for task in tasks {
            build.tasks.entry(task.task_id.clone()).or_insert_with(|| TaskEntry::new(task, now));
        }
    }

    /// Forgets a build. Workers give its leases up at their next call.
    pub fn remove_build(&mut self, build_id: &str) {
        self.builds.remove(build_id);
        for worker in self.workers.values_mut() {
            worker.leases.retain(|task| task.build_id != build_id);
        }
    }

    /// A build's tasks, in the order of their ids.
    pub fn tasks(&self, build_id: &str) -> impl Iterator<Item = &TaskEntry> {
        self.builds.get(build_id).into_iter().flat_map(|build| build.tasks.values())
    }

    /// Whether all tasks of a build are done.
    pub fn is_complete(&self, build_id: &str) -> bool {
        self.tasks(build_id).all(|task| task.record.result.is_some())
    }

    fn task_mut(&mut self, task: &TaskRef) -> Option<&mut TaskEntry> {
        self.builds.get_mut(&task.build_id)?.tasks.get_mut(&task.task_id)
    }

    fn task(&self, task: &TaskRef) -> Option<&TaskEntry> {
        self.builds.get(&task.build_id)?.tasks.get(&task.task_id)
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
        let holder = match &entry.phase {
            TaskPhase::Leased { worker } => Some(worker.clone()),
            TaskPhase::Waiting | TaskPhase::Done => None,
        };
        entry.finish(result.clone(), now);
        let work_key = entry.record.work_key.clone();
        if let Some(worker) = holder {
            self.forget_lease(&worker, task);
        }
        if work_key.is_empty() {
            return Vec::new();
        }
        let same = |entry: &TaskEntry| {
            entry.record.work_key == work_key && matches!(entry.phase, TaskPhase::Waiting)
        };
        self.all_tasks().filter(|(_, entry)| same(entry)).map(|(task, _)| task).collect()
    }

    fn all_tasks(&self) -> impl Iterator<Item = (TaskRef, &TaskEntry)> {
        self.builds.iter().flat_map(|(build_id, build)| {
            build.tasks.iter().map(|(task_id, entry)| {
                let task = TaskRef { build_id: build_id.clone(), task_id: task_id.clone() };
                (task, entry)
            })
        })
    }

    fn is_ready(&self, build: &BuildEntry, entry: &TaskEntry, busy: &HashSet<&str>) -> bool {
        matches!(entry.phase, TaskPhase::Waiting)
            && !busy.contains(entry.record.work_key.as_str())
            && entry
                .record
                .deps
                .iter()
                .all(|dep| build.tasks.get(dep).is_some_and(|dep| dep.record.result.is_some()))
    }

    /// Work that is being done now: nobody does it a second time meanwhile.
    fn busy_work(&self) -> HashSet<&str> {
        let tasks = self.builds.values().flat_map(|build| build.tasks.values());
        tasks
            .filter(|entry| matches!(entry.phase, TaskPhase::Leased { .. }))
            .map(|entry| entry.record.work_key.as_str())
            .filter(|key| !key.is_empty())
            .collect()
    }

    /// The task that `worker` should do next: of the build served least, its largest ready task.
    fn next_for(&self, worker: &str) -> Option<TaskRef> {
        let busy = self.busy_work();
        let others_live = |entry: &TaskEntry| {
            self.workers.iter().any(|(id, other)| !other.draining && !entry.avoided.contains(id))
        };
        let suits = |entry: &TaskEntry| !entry.avoided.contains(worker) || !others_live(entry);
        let mut builds: Vec<(&String, &BuildEntry)> = self.builds.iter().collect();
        builds.sort_by_key(|(build_id, build)| (build.served, *build_id));
        builds.into_iter().find_map(|(build_id, build)| {
            let ready = build
                .tasks
                .values()
                .filter(|entry| self.is_ready(build, entry, &busy) && suits(entry));
            let largest = ready.max_by(|a, b| {
                let size = a.record.bytes_total.cmp(&b.record.bytes_total);
                size.then_with(|| b.record.task_id.cmp(&a.record.task_id))
            });
            largest.map(|entry| TaskRef {
                build_id: build_id.clone(),
                task_id: entry.record.task_id.clone(),
            })
        })
    }
}
