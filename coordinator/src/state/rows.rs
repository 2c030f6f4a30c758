//! Records as rows of a database: the same for every kind of database.

use prestage_proto::v1;
use prost::Message;
use sqlx::{Row, any::AnyRow};
use time::OffsetDateTime;

use super::StateError;
use crate::{
    events::BuildEvent,
    records::{BuildRecord, BuildState, TaskRecord},
};

/// A query for builds. Columns are named: with `*`, one that a newer release has added would fail the
/// prepared statements of coordinators that are running, and any that can't be read would fail the row.
macro_rules! select_builds {
    ($which:literal) => {
        concat!(
            "SELECT build_id, request_id, name, requester, priority, deadline, plan_json, output, \
             state, failure, created, ended, report_json, traceparent FROM builds ",
            $which
        )
    };
}
pub(super) use select_builds;

pub(super) fn read_event(build_id: &str, row: &AnyRow) -> Result<BuildEvent, StateError> {
    let what: String = row.try_get("event")?;
    let what = serde_json::from_str(&what).map_err(damaged("an event"))?;
    Ok(BuildEvent { build_id: build_id.to_owned(), at: from_millis(row.try_get("at")?), what })
}

pub(super) fn read_build(row: &AnyRow) -> Result<BuildRecord, StateError> {
    let state: String = row.try_get("state")?;
    let unknown = || StateError::Damaged { what: "a build's state", problem: state.clone() };
    let failure: Option<Vec<u8>> = row.try_get("failure")?;
    let failure = failure.map(|bytes| v1::Failure::decode(&bytes[..])).transpose();
    let (ended, deadline): (Option<i64>, Option<i64>) =
        (row.try_get("ended")?, row.try_get("deadline")?);
    Ok(BuildRecord {
        build_id: row.try_get("build_id")?,
        request_id: row.try_get("request_id")?,
        name: row.try_get("name")?,
        requester: row.try_get("requester")?,
        priority: row.try_get("priority")?,
        deadline: deadline.map(from_millis),
        plan_json: row.try_get("plan_json")?,
        output: row.try_get("output")?,
        state: BuildState::parse(&state).ok_or_else(unknown)?,
        failure: failure.map_err(damaged("a build's failure"))?,
        created: from_millis(row.try_get("created")?),
        ended: ended.map(from_millis),
        report_json: row.try_get("report_json")?,
        traceparent: row.try_get("traceparent")?,
    })
}

pub(super) fn read_task(row: &AnyRow) -> Result<TaskRecord, StateError> {
    let payload: Vec<u8> = row.try_get("payload")?;
    let deps: String = row.try_get("deps")?;
    let bytes_total: i64 = row.try_get("bytes_total")?;
    let generation: i64 = row.try_get("generation")?;
    Ok(TaskRecord {
        task_id: row.try_get("task_id")?,
        kind: row.try_get("kind")?,
        label: row.try_get("label")?,
        work_key: row.try_get("work_key")?,
        payload: v1::Task::decode(&payload[..]).map_err(damaged("a task"))?,
        deps: serde_json::from_str(&deps).map_err(damaged("a task's dependencies"))?,
        bytes_total: u64::try_from(bytes_total).unwrap_or(0),
        result: read_result(row)?,
        generation: u32::try_from(generation).map_err(damaged("a task's generation"))?,
    })
}

pub(super) fn read_result(row: &AnyRow) -> Result<Option<v1::TaskResult>, StateError> {
    let result: Option<Vec<u8>> = row.try_get("result")?;
    let result = result.map(|bytes| v1::TaskResult::decode(&bytes[..])).transpose();
    result.map_err(damaged("a task's result"))
}

pub(super) fn damaged<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> StateError {
    move |error| StateError::Damaged { what, problem: error.to_string() }
}

pub(super) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

pub(super) fn from_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
