//! A worker in the scheduler.

use std::{collections::BTreeSet, time::Duration};

use super::TaskRef;

/// What is known of a worker, from its own calls only.
#[derive(Clone, Debug)]
pub(super) struct WorkerEntry {
    pub name: String,
    pub slots: usize,
    pub draining: bool,
    pub last_seen: Duration,
    pub leases: BTreeSet<TaskRef>,
}
