//! A scheduler as `docs/fleet.md` tells it: plain lists that are looked through from one end to the other.
//! It decides nothing; it says what must not be given to a worker, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prestage_proto::v1;

use super::super::{Policy, TaskRef};
use crate::{pipeline::opinion_key, records::TaskRecord};

/// What must not be done, and why.
pub type Objection = &'static str;

pub struct Reference {
    pub policy: Policy,
    pub now: Duration,
    pub tasks: Vec<Task>,
    pub workers: BTreeMap<String, Worker>,
    /// Kinds of tasks that were done and took a measured time.
    pub measured: Vec<String>,
}

/// A task of a build that has not ended.
pub struct Task {
    pub id: TaskRef,
    pub priority: i32,
    pub sources: &'static [&'static str],
    /// As it is in the coordinator; `generation` is the newest that was ever given out.
    pub record: TaskRecord,
    pub holders: Vec<Holder>,
    pub attempts: u32,
    pub failed_by: BTreeSet<String>,
    /// Who may have made what it is a second opinion on.
    pub makers: BTreeSet<String>,
    pub kept_until: Option<Duration>,
    pub ready_since: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Holder {
    pub worker: String,
    pub generation: u32,
    pub since: Duration,
}

#[derive(Default)]
pub struct Worker {
    pub said: v1::SynchronizeRequest,
    pub last_seen: Duration,
    /// Leases that were taken from it, and that it has not said to have ended.
    pub stopping: BTreeSet<(String, u32)>,
    /// So many more it still does.
    pub strays: usize,
    pub faults: BTreeSet<TaskRef>,
    pub rests: u32,
    pub resting_until: Option<Duration>,
}

impl Task {
    pub fn is_done(&self) -> bool {
        self.record.result.is_some()
    }

    pub fn is_held_by(&self, worker: &str) -> bool {
        self.holders.iter().any(|holder| holder.worker == worker)
    }
}

impl Reference {
    pub fn new(policy: Policy, now: Duration) -> Self {
        let (tasks, workers, measured) = Default::default();
        Self { policy, now, tasks, workers, measured }
    }

    pub fn find(&self, id: &TaskRef) -> Option<usize> {
        self.tasks.iter().position(|task| task.id == *id)
    }

    /// Why a worker must not be given a task now.
    pub fn forbids(&self, worker: &str, id: &TaskRef) -> Option<Objection> {
        let Some(task) = self.find(id).map(|at| &self.tasks[at]) else {
            return Some("its build has ended");
        };
        let Some(cost) = self.cost(worker, task) else {
            return Some("the worker doesn't know its kind or doesn't reach its content");
        };
        if task.is_done() {
            Some("it is done")
        } else if !self.are_deps_done(task) {
            Some("tasks before it are not done")
        } else if task.kept_until.is_some() {
            Some("it is kept for the worker that had it")
        } else if self.free_slots(worker) == 0 {
            Some("the worker has no free slot")
        } else if task.makers.contains(worker) {
            Some("the worker may have made what this is a second opinion on")
        } else if !task.holders.is_empty() {
            self.forbids_second(worker, task)
        } else if task.failed_by.contains(worker) && self.others_may(task) {
            Some("the worker failed it, and others may do it")
        } else if self.is_work_held(task) {
            Some("another task does this work now")
        } else if self.is_nearer_waited_for(task, cost) {
            Some("a nearer worker is waited for")
        } else {
            None
        }
    }

    fn forbids_second(&self, worker: &str, task: &Task) -> Option<Objection> {
        let kind = &task.record.kind;
        let [holder] = &task.holders[..] else {
            return Some("two workers have it");
        };
        if !["encode", "run", "splice", "boot"].contains(&kind.as_str()) {
            Some("two of its kind at once would harm each other")
        } else if holder.worker == worker || task.failed_by.contains(worker) {
            Some("the worker has it or has failed it")
        } else if self.now < holder.since + self.policy.straggler_after {
            Some("the worker that has it has only begun")
        } else if self.measured.iter().filter(|measured| *measured == kind).count() < 5 {
            Some("nobody knows how long it takes")
        } else {
            None
        }
    }

    pub fn are_deps_done(&self, task: &Task) -> bool {
        task.record.deps.iter().all(|dep| {
            let dep = TaskRef::new(&task.id.build_id, dep);
            self.find(&dep).is_some_and(|at| self.tasks[at].is_done())
        })
    }

    pub fn is_work_held(&self, task: &Task) -> bool {
        let key = &task.record.work_key;
        !key.is_empty()
            && self.tasks.iter().any(|other| {
                other.record.work_key == *key && !other.is_done() && !other.holders.is_empty()
            })
    }

    /// Whether it only wants a worker.
    pub fn is_ready(&self, task: &Task) -> bool {
        !task.is_done()
            && task.holders.is_empty()
            && task.kept_until.is_none()
            && self.are_deps_done(task)
            && !self.is_work_held(task)
    }

    /// What the content of a task costs a worker; `None` if it can't do it.
    pub fn cost(&self, worker: &str, task: &Task) -> Option<u32> {
        let said = &self.workers.get(worker)?.said;
        let kind = &task.record.kind;
        let knows = match &said.kinds[..] {
            [] => kind != "verify",
            kinds => kinds.contains(kind),
        };
        let of = |source: &&str| {
            let named = said.reach.iter().find(|reach| reach.distribution_point == *source);
            let others = || said.reach.iter().find(|reach| reach.distribution_point == "*");
            named.or_else(others).map(|reach| reach.cost)
        };
        match (knows, task.sources, &said.reach[..]) {
            (false, ..) => None,
            (true, [], _) | (true, _, []) => Some(0),
            (true, sources, _) => sources.iter().filter_map(of).min(),
        }
    }

    pub fn is_resting(&self, worker: &Worker) -> bool {
        worker.resting_until.is_some_and(|until| self.now < until)
    }

    pub fn free_slots(&self, name: &str) -> usize {
        let Some(worker) = self.workers.get(name) else {
            return 0;
        };
        if worker.said.draining || self.is_resting(worker) {
            return 0;
        }
        let held = self.tasks.iter().filter(|task| task.is_held_by(name)).count();
        let slots = worker.said.slots as usize;
        let slots = if worker.rests > 0 { slots.min(1) } else { slots };
        slots.saturating_sub(held + worker.stopping.len() + worker.strays)
    }

    /// Whether a worker that has not failed it could do it, now or after a rest.
    pub fn others_may(&self, task: &Task) -> bool {
        self.workers.iter().any(|(name, worker)| {
            !worker.said.draining
                && !task.failed_by.contains(name)
                && !task.makers.contains(name)
                && self.cost(name, task).is_some()
        })
    }

    fn is_nearer_waited_for(&self, task: &Task, cost: u32) -> bool {
        let Some(since) = task.ready_since.filter(|since| self.now < *since + self.policy.hold_out)
        else {
            return false;
        };
        since <= self.now
            && self.workers.iter().any(|(name, worker)| {
                !worker.said.draining
                    && !self.is_resting(worker)
                    && !task.failed_by.contains(name)
                    && !task.makers.contains(name)
                    && self.cost(name, task).is_some_and(|nearer| nearer < cost)
            })
    }

    /// Tasks that a worker must get now, if it has a free slot.
    pub fn due(&self, worker: &str) -> impl Iterator<Item = &Task> {
        let due =
            move |task: &&Task| self.is_ready(task) && self.forbids(worker, &task.id).is_none();
        self.tasks.iter().filter(due)
    }

    /// Why a worker should have been given another task than this one.
    pub fn prefers(&self, worker: &str, id: &TaskRef) -> Option<Objection> {
        let task = &self.tasks[self.find(id)?];
        let twice = !task.holders.is_empty();
        self.due(worker).find_map(|other| {
            if twice {
                Some("a task that nobody has goes before one that somebody has")
            } else if other.priority > task.priority {
                Some("a build of a higher priority has one for it")
            } else if other.id.build_id == task.id.build_id
                && other.record.bytes_total > task.record.bytes_total
            {
                Some("its build has a larger one for it")
            } else {
                None
            }
        })
    }

    /// Notes since when tasks have only wanted a worker.
    pub fn settle(&mut self) {
        for at in 0..self.tasks.len() {
            let (is_ready, since) = (self.is_ready(&self.tasks[at]), self.tasks[at].ready_since);
            self.tasks[at].ready_since = is_ready.then_some(since.unwrap_or(self.now));
        }
    }

    /// A worker may make a pack from now on: its second opinion on it is worth nothing.
    pub fn note_maker(&mut self, at: usize, worker: &str) {
        let TaskRecord { kind, work_key, .. } = &self.tasks[at].record;
        if kind != "encode" {
            return;
        }
        let opinion = opinion_key(work_key);
        let open =
            |task: &&mut Task| task.record.work_key == opinion && task.record.result.is_none();
        for task in self.tasks.iter_mut().filter(open) {
            task.makers.insert(worker.to_owned());
        }
    }
}
