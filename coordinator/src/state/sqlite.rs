//! State in one SQLite file: no set-up, one coordinator.

use std::path::Path;

use async_trait::async_trait;
use prestage_proto::v1;
use prost::Message;
use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
    },
};
use time::OffsetDateTime;

use super::{BuildWithTasks, Created, StateError, StateStore};
use crate::{
    events::{BuildEvent, Happening},
    records::{BuildRecord, BuildState, NewTask, TaskRecord},
    schedule::TaskRef,
};

/// Readers beside the one writer.
const READERS: u32 = 4;

/// The state in an SQLite file.
pub struct SqliteState {
    /// One connection: SQLite has one writer, and waiting here is cheaper than SQLITE_BUSY there.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteState {
    /// Opens the file, makes it if it isn't there, and brings it up to date.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A result that was acknowledged must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let writer =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { writer, readers })
    }

    /// A transaction that may write: a deferred one would fail when it turns from reading.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StateError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn tasks(&self, build_id: &str) -> Result<Vec<TaskRecord>, StateError> {
        let rows = sqlx::query("SELECT * FROM tasks WHERE build_id = ? ORDER BY task_id")
            .bind(build_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read_task).collect()
    }

    async fn with_tasks(&self, rows: Vec<SqliteRow>) -> Result<Vec<BuildWithTasks>, StateError> {
        let mut builds = Vec::with_capacity(rows.len());
        for row in &rows {
            let build = read_build(row)?;
            let tasks = self.tasks(&build.build_id).await?;
            builds.push((build, tasks));
        }
        Ok(builds)
    }
}

#[async_trait]
impl StateStore for SqliteState {
    async fn create_build(
        &self,
        build: &BuildRecord,
        tasks: &[NewTask],
    ) -> Result<Created, StateError> {
        let mut transaction = self.begin().await?;
        let known = sqlx::query("SELECT build_id FROM builds WHERE request_id = ?")
            .bind(&build.request_id)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = known {
            return Ok(Created::Existing(row.try_get(0)?));
        }
        sqlx::query(
            "INSERT INTO builds (build_id, request_id, name, requester, priority, deadline, \
             plan_json, output, state, created, ended, report_json, traceparent) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&build.build_id)
        .bind(&build.request_id)
        .bind(&build.name)
        .bind(&build.requester)
        .bind(build.priority)
        .bind(build.deadline.map(millis))
        .bind(&build.plan_json)
        .bind(&build.output)
        .bind(build.state.as_str())
        .bind(millis(build.created))
        .bind(build.ended.map(millis))
        .bind(&build.report_json)
        .bind(&build.traceparent)
        .execute(&mut *transaction)
        .await?;
        insert_tasks(&mut transaction, &build.build_id, tasks).await?;
        transaction.commit().await?;
        Ok(Created::New)
    }

    async fn note(&self, events: &[BuildEvent]) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        for event in events {
            if let Happening::Leased { task_id, generation, .. } = &event.what {
                sqlx::query("UPDATE tasks SET generation = ? WHERE build_id = ? AND task_id = ?")
                    .bind(generation)
                    .bind(&event.build_id)
                    .bind(task_id)
                    .execute(&mut *transaction)
                    .await?;
            }
            insert_event(&mut transaction, event).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn finish_task(
        &self,
        task: &TaskRef,
        at: OffsetDateTime,
        result: &v1::TaskResult,
        follow_up: &[NewTask],
    ) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        let query =
            "UPDATE tasks SET result = ? WHERE build_id = ? AND task_id = ? AND result IS NULL";
        let kept = sqlx::query(query)
            .bind(result.encode_to_vec())
            .bind(&task.build_id)
            .bind(&task.task_id)
            .execute(&mut *transaction)
            .await?;
        // Told once, however often a coordinator that died repeats it.
        if kept.rows_affected() > 0 {
            let what = Happening::Done { task_id: task.task_id.clone() };
            let event = BuildEvent { build_id: task.build_id.clone(), at, what };
            insert_event(&mut transaction, &event).await?;
        }
        insert_tasks(&mut transaction, &task.build_id, follow_up).await?;
        Ok(transaction.commit().await?)
    }

    async fn events(&self, build_id: &str) -> Result<Vec<BuildEvent>, StateError> {
        let rows = sqlx::query("SELECT at, event FROM events WHERE build_id = ? ORDER BY number")
            .bind(build_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| read_event(build_id, row)).collect()
    }

    async fn end_build(&self, build: &BuildRecord) -> Result<(), StateError> {
        sqlx::query(
            "UPDATE builds SET state = ?, failure = ?, ended = ?, report_json = ? \
             WHERE build_id = ? AND state = 'running'",
        )
        .bind(build.state.as_str())
        .bind(build.failure.as_ref().map(Message::encode_to_vec))
        .bind(build.ended.map(millis))
        .bind(&build.report_json)
        .bind(&build.build_id)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn running(&self) -> Result<Vec<BuildWithTasks>, StateError> {
        let query = "SELECT * FROM builds WHERE state = 'running' ORDER BY created, build_id";
        let rows = sqlx::query(query).fetch_all(&self.readers).await?;
        self.with_tasks(rows).await
    }

    async fn build(&self, build_id: &str) -> Result<Option<BuildWithTasks>, StateError> {
        let rows = sqlx::query("SELECT * FROM builds WHERE build_id = ?")
            .bind(build_id)
            .fetch_all(&self.readers)
            .await?;
        Ok(self.with_tasks(rows).await?.pop())
    }

    async fn list(&self, after: &str, limit: u32) -> Result<Vec<BuildRecord>, StateError> {
        let rows = sqlx::query(
            "SELECT * FROM builds WHERE NOT EXISTS (SELECT 1 FROM builds WHERE build_id = ?1) \
             OR (created, build_id) < (SELECT created, build_id FROM builds WHERE build_id = ?1) \
             ORDER BY created DESC, build_id DESC LIMIT ?2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(read_build).collect()
    }
}

async fn insert_tasks(
    transaction: &mut Transaction<'static, Sqlite>,
    build_id: &str,
    tasks: &[NewTask],
) -> Result<(), StateError> {
    for task in tasks {
        let deps = serde_json::to_string(&task.deps).map_err(damaged("a task's dependencies"))?;
        // The same task again is the same task: a coordinator that died in between repeats itself.
        sqlx::query(
            "INSERT INTO tasks (build_id, task_id, kind, label, work_key, payload, deps, \
             bytes_total, result, generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )
        .bind(build_id)
        .bind(&task.task_id)
        .bind(&task.kind)
        .bind(&task.label)
        .bind(&task.work_key)
        .bind(task.payload.encode_to_vec())
        .bind(deps)
        .bind(i64::try_from(task.bytes_total).unwrap_or(i64::MAX))
        .bind(task.result.as_ref().map(Message::encode_to_vec))
        .bind(task.generation)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

async fn insert_event(
    transaction: &mut Transaction<'static, Sqlite>,
    event: &BuildEvent,
) -> Result<(), StateError> {
    let what = serde_json::to_string(&event.what).map_err(damaged("an event"))?;
    let query = "INSERT INTO events (build_id, at, event) SELECT build_id, ?, ? FROM builds WHERE build_id = ?";
    sqlx::query(query)
        .bind(millis(event.at))
        .bind(what)
        .bind(&event.build_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn read_event(build_id: &str, row: &SqliteRow) -> Result<BuildEvent, StateError> {
    let what: String = row.try_get("event")?;
    let what = serde_json::from_str(&what).map_err(damaged("an event"))?;
    Ok(BuildEvent { build_id: build_id.to_owned(), at: from_millis(row.try_get("at")?), what })
}

fn read_build(row: &SqliteRow) -> Result<BuildRecord, StateError> {
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

fn read_task(row: &SqliteRow) -> Result<TaskRecord, StateError> {
    let payload: Vec<u8> = row.try_get("payload")?;
    let deps: String = row.try_get("deps")?;
    let result: Option<Vec<u8>> = row.try_get("result")?;
    let result = result.map(|bytes| v1::TaskResult::decode(&bytes[..])).transpose();
    let bytes_total: i64 = row.try_get("bytes_total")?;
    Ok(TaskRecord {
        task_id: row.try_get("task_id")?,
        kind: row.try_get("kind")?,
        label: row.try_get("label")?,
        work_key: row.try_get("work_key")?,
        payload: v1::Task::decode(&payload[..]).map_err(damaged("a task"))?,
        deps: serde_json::from_str(&deps).map_err(damaged("a task's dependencies"))?,
        bytes_total: u64::try_from(bytes_total).unwrap_or(0),
        result: result.map_err(damaged("a task's result"))?,
        generation: row.try_get("generation")?,
    })
}

fn damaged<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> StateError {
    move |error| StateError::Damaged { what, problem: error.to_string() }
}

fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
