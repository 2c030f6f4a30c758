//! What each task waits for, for people.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use prestage_proto::v1;
use time::OffsetDateTime;

use super::{Scheduler, TaskEntry, TaskPhase};

/// The tasks of a build as clients see them. `now` is the present on both clocks.
pub fn task_statuses(
    scheduler: &Scheduler,
    build_id: &str,
    now: (Duration, OffsetDateTime),
) -> Vec<v1::TaskStatus> {
    let tasks: BTreeMap<&str, &TaskEntry> =
        scheduler.tasks(build_id).map(|task| (task.record.task_id.as_str(), task)).collect();
    let busy = scheduler.busy_work();
    tasks.values().map(|task| status(scheduler, &tasks, &busy, task, now)).collect()
}

fn status(
    scheduler: &Scheduler,
    tasks: &BTreeMap<&str, &TaskEntry>,
    busy: &HashSet<&str>,
    task: &TaskEntry,
    now: (Duration, OffsetDateTime),
) -> v1::TaskStatus {
    let record = &task.record;
    let missing = record
        .deps
        .iter()
        .filter(|dep| tasks.get(dep.as_str()).is_none_or(|dep| dep.record.result.is_none()));
    let missing = missing.count();
    let (state, worker, waiting_for) = match &task.phase {
        TaskPhase::Done => (v1::TaskState::Done, String::new(), String::new()),
        TaskPhase::Leased { worker } => {
            let name = scheduler.workers.get(worker).map(|worker| worker.name.clone());
            (v1::TaskState::Leased, name.unwrap_or_default(), String::new())
        }
        TaskPhase::Waiting if missing > 0 => {
            let reason = format!("{missing} of {} tasks before it", record.deps.len());
            (v1::TaskState::Blocked, String::new(), reason)
        }
        TaskPhase::Waiting => {
            (v1::TaskState::Ready, String::new(), why_ready(scheduler, busy, task))
        }
    };
    let since = now.1 - now.0.saturating_sub(task.since);
    v1::TaskStatus {
        task_id: record.task_id.clone(),
        kind: record.kind.clone(),
        label: record.label.clone(),
        state: state.into(),
        bytes_done: task.bytes_done,
        bytes_total: record.bytes_total,
        worker,
        generation: record.generation,
        reused: record.result.as_ref().is_some_and(|result| result.reused),
        waiting_for,
        since: Some(crate::service::timestamp(since)),
        until: None,
    }
}

fn why_ready(scheduler: &Scheduler, busy: &HashSet<&str>, task: &TaskEntry) -> String {
    if busy.contains(task.record.work_key.as_str()) {
        return "another build that is doing the same work".into();
    }
    if scheduler.workers.is_empty() {
        return "a worker: none has reported".into();
    }
    match &task.last_failure {
        Some(failure) => format!("another try: {}", failure.what),
        None => "a worker with a free slot".into(),
    }
}
