//! A worker in the scheduler.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use prestage_proto::v1;

use super::{Policy, TaskRef, reach::Reach};

/// What is known of a worker, from its own calls only.
#[derive(Clone, Debug)]
pub(super) struct WorkerEntry {
    pub name: String,
    pub slots: usize,
    pub draining: bool,
    pub last_seen: Duration,
    pub reach: Reach,
    /// Kinds of task that it knows; `None` for a release that doesn't say.
    kinds: Option<BTreeSet<String>>,
    pub leases: BTreeMap<TaskRef, HeldLease>,
    /// Leases that were taken from it, until it says that it has stopped.
    pub stopping: BTreeSet<(TaskRef, u32)>,
    /// So many other tasks it still does without a lease: after a silence, or a restart of the coordinator.
    strays: usize,
    /// Tasks that it failed one after the other, none done in between, and not for their own fault.
    faults: BTreeSet<TaskRef>,
    /// How often it was put aside since it last did a task.
    rests: u32,
    /// Put aside until then.
    pub resting_until: Option<Duration>,
}

/// A lease that a worker holds.
#[derive(Clone, Debug)]
pub(super) struct HeldLease {
    pub generation: u32,
    /// The task, encoded, as this worker is to do it.
    pub task: Bytes,
}

/// Kinds that workers of the release before kinds were said all know.
const KINDS_BEFORE: [&str; 8] =
    ["encode", "run", "join", "splice", "boot", "assemble", "merge", "publish"];

impl WorkerEntry {
    pub fn new(now: Duration) -> Self {
        Self {
            name: String::new(),
            slots: 0,
            draining: false,
            last_seen: now,
            reach: Reach::of(&[]),
            kinds: None,
            leases: BTreeMap::new(),
            stopping: BTreeSet::new(),
            strays: 0,
            faults: BTreeSet::new(),
            rests: 0,
            resting_until: None,
        }
    }

    /// Takes over what it says of itself.
    pub fn note(&mut self, said: &v1::SynchronizeRequest, now: Duration) {
        self.name.clone_from(&said.worker_name);
        self.slots = said.slots as usize;
        self.draining = said.draining;
        self.last_seen = now;
        self.reach = Reach::of(&said.reach);
        self.note_stopped(said);
        self.kinds = (!said.kinds.is_empty()).then(|| said.kinds.iter().cloned().collect());
    }

    /// What it no longer mentions has ended there.
    fn note_stopped(&mut self, said: &v1::SynchronizeRequest) {
        if self.stopping.is_empty() {
            return;
        }
        let mentioned = said.running.iter().chain(&said.stopping);
        let mentioned: BTreeSet<(&str, u32)> =
            mentioned.map(|task| (task.task_id.as_str(), task.generation)).collect();
        self.stopping.retain(|(task, generation)| {
            mentioned.contains(&(task.to_wire().as_str(), *generation))
        });
    }

    /// Counts what it does that nobody wants. It gives it up when it is answered, and until then its slots
    /// are taken.
    pub fn count_strays(&mut self, said: &v1::SynchronizeRequest) {
        let is_stray = |running: &&v1::Running| {
            TaskRef::from_wire(&running.task_id).is_some_and(|task| {
                let held = self.leases.get(&task).map(|held| held.generation);
                held != Some(running.generation)
                    && !self.stopping.contains(&(task, running.generation))
            })
        };
        self.strays = said.running.iter().chain(&said.stopping).filter(is_stray).count();
    }

    pub fn knows(&self, kind: &str) -> bool {
        match &self.kinds {
            Some(kinds) => kinds.contains(kind),
            None => KINDS_BEFORE.contains(&kind),
        }
    }

    /// Tasks that it may have now.
    pub fn free_slots(&self, now: Duration) -> usize {
        if self.draining || self.is_resting(now) {
            return 0;
        }
        // One that was put aside proves itself on a single task first.
        let slots = if self.rests > 0 { self.slots.min(1) } else { self.slots };
        slots.saturating_sub(self.leases.len() + self.stopping.len() + self.strays)
    }

    pub fn is_resting(&self, now: Duration) -> bool {
        self.resting_until.is_some_and(|until| now < until)
    }

    /// Whether tasks may be kept for it.
    pub fn is_available(&self, now: Duration) -> bool {
        !self.draining && !self.is_resting(now)
    }

    /// It failed a task that another might do. One that fails everything fast would eat the whole
    /// queue, so it is put aside after a few tasks, longer each time.
    pub fn note_fault(&mut self, task: &TaskRef, policy: &Policy, now: Duration) {
        self.faults.insert(task.clone());
        if self.faults.len() >= policy.faults_max || self.rests > 0 {
            let longer = 1u32.checked_shl(self.rests.min(4)).unwrap_or(16);
            self.resting_until = Some(now + policy.rest * longer);
            self.rests += 1;
            self.faults.clear();
            tracing::warn!(worker = self.name, rests = self.rests, "a worker fails everything");
        }
    }

    pub fn has_no_faults(&self) -> bool {
        self.faults.is_empty() && self.rests == 0
    }

    /// It did a task: it is trusted again.
    pub fn note_success(&mut self) {
        self.faults.clear();
        self.rests = 0;
        self.resting_until = None;
    }
}
