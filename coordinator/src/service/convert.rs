//! Records as messages, and failures as gRPC status: the one place that maps them.

use prestage_media::build_log::{LogEntry, Severity};
use prestage_proto::v1;
use prost_types::Timestamp;
use time::OffsetDateTime;
use tonic::Status;

use crate::{
    engine::EngineError,
    records::{BuildRecord, BuildState, TaskRecord},
    state::StateError,
};

/// A point in time as a message.
pub fn timestamp(time: OffsetDateTime) -> Timestamp {
    let nanos = i32::try_from(time.nanosecond()).unwrap_or(0);
    Timestamp { seconds: time.unix_timestamp(), nanos }
}

/// A deadline in a message.
pub(super) fn point_in_time(stamp: prost_types::Timestamp) -> Result<OffsetDateTime, Status> {
    let nanos = i128::from(stamp.seconds) * 1_000_000_000 + i128::from(stamp.nanos);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .map_err(|_| Status::invalid_argument("the deadline is no point in time"))
}

/// A build as clients see it.
pub fn build_message(record: &BuildRecord, tasks: Vec<v1::TaskStatus>) -> v1::Build {
    let state = match record.state {
        BuildState::Running => v1::BuildState::Running,
        BuildState::Done => v1::BuildState::Done,
        BuildState::Failed => v1::BuildState::Failed,
        BuildState::Cancelled => v1::BuildState::Cancelled,
    };
    v1::Build {
        build_id: record.build_id.clone(),
        name: record.name.clone(),
        state: state.into(),
        created: Some(timestamp(record.created)),
        ended: record.ended.map(timestamp),
        tasks,
        failure: record.failure.clone(),
        output: record.output.clone(),
        report_json: record.report_json.clone().into(),
        requester: record.requester.clone(),
        priority: record.priority,
        deadline: record.deadline.map(timestamp),
    }
}

/// An entry of a build's log as clients see it.
pub(super) fn log_entry(entry: LogEntry) -> v1::LogEntry {
    let severity = match entry.severity {
        Severity::Info => v1::Severity::Info,
        Severity::Warning => v1::Severity::Warning,
        Severity::Error => v1::Severity::Error,
    };
    v1::LogEntry { at: Some(timestamp(entry.at)), severity: severity.into(), text: entry.text }
}

/// The tasks of a build as far as they are written down: all of one that has ended; of a running one
/// a standby doesn't know who does them.
pub(super) fn stored_tasks(record: &BuildRecord, tasks: &[TaskRecord]) -> Vec<v1::TaskStatus> {
    let status = |task: &TaskRecord| {
        let state = match (&task.result, record.state) {
            (Some(_), _) => v1::TaskState::Done,
            (None, BuildState::Failed) => v1::TaskState::Failed,
            (None, BuildState::Running) if is_blocked(task, tasks) => v1::TaskState::Blocked,
            (None, BuildState::Running) => v1::TaskState::Ready,
            (None, _) => v1::TaskState::Cancelled,
        };
        v1::TaskStatus {
            task_id: task.task_id.clone(),
            kind: task.kind.clone(),
            label: task.label.clone(),
            state: state.into(),
            bytes_done: if task.result.is_some() { task.bytes_total } else { 0 },
            bytes_total: task.bytes_total,
            generation: task.generation,
            reused: task.result.as_ref().is_some_and(|result| result.reused),
            waiting_for: match state {
                v1::TaskState::Blocked => "tasks before it".into(),
                v1::TaskState::Ready => "a worker, or has one: the active coordinator knows".into(),
                _ => String::new(),
            },
            since: record.ended.map(timestamp),
            ..Default::default()
        }
    };
    tasks.iter().map(status).collect()
}

fn is_blocked(task: &TaskRecord, tasks: &[TaskRecord]) -> bool {
    let is_open = |id: &String| tasks.iter().any(|dep| dep.task_id == *id && dep.result.is_none());
    task.deps.iter().any(is_open)
}

/// The answer about a build that there is not.
pub(super) fn not_found(build_id: &str) -> Status {
    Status::not_found(format!("there is no build '{build_id}': see 'prestage list'"))
}

impl From<EngineError> for Status {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Gone => Self::unavailable(error.to_string()),
            EngineError::State(error) => error.into(),
        }
    }
}

impl From<StateError> for Status {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Database(_) | StateError::Unreachable { .. } | StateError::Deposed => {
                Self::unavailable(error.to_string())
            }
            StateError::Migration(_) | StateError::TooOld { .. } | StateError::Damaged { .. } => {
                Self::internal(error.to_string())
            }
        }
    }
}
