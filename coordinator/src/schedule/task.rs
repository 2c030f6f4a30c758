//! A task in the scheduler.

use std::{collections::BTreeSet, time::Duration};

use prestage_proto::v1;

use crate::records::TaskRecord;

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// For other tasks, or for a worker.
    Waiting,
    /// A worker has it.
    Leased {
        /// Which.
        worker: String,
    },
    /// Its result is there.
    Done,
}

/// A task, its lease and its history.
#[derive(Clone, Debug)]
pub struct TaskEntry {
    /// What is kept of it.
    pub record: TaskRecord,
    /// Where it stands.
    pub phase: TaskPhase,
    /// Since when, on the clock that never jumps.
    pub since: Duration,
    /// Content bytes done, as the worker says.
    pub bytes_done: u64,
    /// Leases that failed or were lost.
    pub attempts: u32,
    /// Workers that failed it, to be avoided while there are others.
    pub avoided: BTreeSet<String>,
    /// The newest failure.
    pub last_failure: Option<v1::Failure>,
}

impl TaskEntry {
    /// A task that has just been added.
    pub fn new(record: TaskRecord, now: Duration) -> Self {
        let phase = if record.result.is_some() { TaskPhase::Done } else { TaskPhase::Waiting };
        let bytes_done = if record.result.is_some() { record.bytes_total } else { 0 };
        Self {
            record,
            phase,
            since: now,
            bytes_done,
            attempts: 0,
            avoided: BTreeSet::new(),
            last_failure: None,
        }
    }

    pub(super) fn finish(&mut self, result: v1::TaskResult, now: Duration) {
        self.record.result = Some(result);
        self.bytes_done = self.record.bytes_total;
        self.enter(TaskPhase::Done, now);
    }

    pub(super) fn enter(&mut self, phase: TaskPhase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }

    /// The lease is over without a result: back to waiting.
    pub(super) fn give_back(&mut self, now: Duration) {
        self.bytes_done = 0;
        self.enter(TaskPhase::Waiting, now);
    }

    /// Whether `worker` holds the task under `generation`.
    pub(super) fn is_held_by(&self, worker: &str, generation: u32) -> bool {
        self.record.generation == generation
            && matches!(&self.phase, TaskPhase::Leased { worker: holder } if holder == worker)
    }
}
