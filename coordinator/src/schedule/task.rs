//! A task in the scheduler.

use std::{collections::BTreeSet, time::Duration};

use prestage_proto::v1;

use super::reach::sources;
use crate::records::TaskRecord;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// For other tasks, or for a worker.
    Waiting,
    /// A worker has it, or two when the first one is slow.
    Leased,
    /// Its result is there.
    Done,
}

/// A lease that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who has it.
    pub worker: String,
    /// Its number; none is given out twice.
    pub generation: u32,
    /// Since when.
    pub since: Duration,
    /// Content bytes done, as the worker says.
    pub bytes_done: u64,
}

/// Tasks that are alike for workers: of the same kind, from the same sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class {
    pub kind: String,
    pub sources: Vec<String>,
}

/// A task, its leases and its history.
#[derive(Clone, Debug)]
pub struct TaskEntry {
    /// What is kept of it.
    pub record: TaskRecord,
    /// Where it stands.
    pub phase: TaskPhase,
    /// Since when, on the clock that never jumps.
    pub since: Duration,
    /// Leases that count now.
    pub leases: Vec<Lease>,
    /// Leases that failed or were lost.
    pub attempts: u32,
    /// Workers that failed it, to be avoided while there are others.
    pub avoided: BTreeSet<String>,
    /// Names of workers that may have made what this is a second opinion on: theirs would be worth nothing.
    pub makers: BTreeSet<String>,
    /// The newest failure.
    pub last_failure: Option<v1::Failure>,
    pub(super) class: Class,
    /// Tasks before it that are not done.
    pub(super) missing: usize,
    /// Kept until then for the worker that had it when the coordinator ended.
    pub(super) kept_until: Option<Duration>,
    /// Since when only a worker is wanting.
    pub(super) ready_since: Option<Duration>,
}

impl TaskEntry {
    /// A task that has just been added.
    pub(super) fn new(record: TaskRecord, now: Duration) -> Self {
        let phase = if record.result.is_some() { TaskPhase::Done } else { TaskPhase::Waiting };
        let class = Class { kind: record.kind.clone(), sources: sources(&record.payload) };
        Self {
            record,
            phase,
            since: now,
            leases: Vec::new(),
            attempts: 0,
            avoided: BTreeSet::new(),
            makers: BTreeSet::new(),
            last_failure: None,
            class,
            missing: 0,
            kept_until: None,
            ready_since: None,
        }
    }

    /// Content bytes done, by the lease that is furthest.
    pub fn bytes_done(&self) -> u64 {
        match self.phase {
            TaskPhase::Done => self.record.bytes_total,
            _ => self.leases.iter().map(|lease| lease.bytes_done).max().unwrap_or(0),
        }
    }

    pub(super) fn enter(&mut self, phase: TaskPhase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }

    /// The lease that `worker` holds under `generation`, if it counts.
    pub(super) fn lease_mut(&mut self, worker: &str, generation: u32) -> Option<&mut Lease> {
        let mut leases = self.leases.iter_mut();
        leases.find(|lease| lease.worker == worker && lease.generation == generation)
    }
}
