//! State in a database that speaks SQL. SQLite and PostgreSQL take the same statements; what they
//! don't share is in their [`Dialect`].

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use prestage_proto::v1;
use prost::Message;
use sqlx::{Any, AnyPool, Row, Transaction, any::AnyRow};
use time::OffsetDateTime;

use super::{
    BuildWithTasks, Candidate, Created, Epoch, Leadership, StateError, StateStore,
    rows::{damaged, millis, read_build, read_event, read_result, read_task, select_builds},
};
use crate::{
    audit::{AuditEntry, AuditRecord},
    events::{BuildEvent, Happening},
    records::{BuildRecord, NewTask, TaskRecord},
    schedule::TaskRef,
};

/// What a kind of database does in its own way.
pub(super) struct Dialect {
    /// Begins a transaction that writes.
    pub begin: &'static str,
    /// Gives a row if `$1` is the epoch of the lead, which then stays so until the transaction ends.
    pub fence: &'static str,
    /// Gives number and hash of the audit log's end, which nobody else moves until the transaction
    /// ends.
    pub audit_end: &'static str,
}

/// The state in a database.
#[derive(Clone)]
pub struct SqlState {
    pub(super) writer: AnyPool,
    pub(super) readers: AnyPool,
    pub(super) dialect: &'static Dialect,
    /// Which everything is written in.
    pub(super) epoch: Epoch,
}

impl SqlState {
    /// A transaction of the leader. Whoever would take the lead meanwhile waits for its end.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StateError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        let fence = sqlx::query(self.dialect.fence).bind(self.epoch.0);
        match fence.fetch_optional(&mut *transaction).await? {
            Some(_) => Ok(transaction),
            None => Err(StateError::Deposed),
        }
    }

    async fn tasks(&self, build_id: &str) -> Result<Vec<TaskRecord>, StateError> {
        let query = "SELECT task_id, kind, label, work_key, payload, deps, bytes_total, result, \
                     generation FROM tasks WHERE build_id = $1 ORDER BY task_id";
        let rows = sqlx::query(query).bind(build_id).fetch_all(&self.readers).await?;
        rows.iter().map(read_task).collect()
    }

    async fn with_tasks(&self, rows: Vec<AnyRow>) -> Result<Vec<BuildWithTasks>, StateError> {
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
impl StateStore for SqlState {
    fn led(&self, epoch: Epoch) -> Arc<dyn StateStore> {
        Arc::new(Self { epoch, ..self.clone() })
    }

    async fn take_lead(
        &self,
        candidate: &Candidate,
        ttl: Duration,
    ) -> Result<Leadership, StateError> {
        let taken = sqlx::query(
            "UPDATE lead SET epoch = epoch + 1, holder = $1, address = $2, \
             expires = (SELECT now FROM clock) + $3 \
             WHERE holder = $1 OR expires <= (SELECT now FROM clock) RETURNING epoch",
        )
        .bind(&candidate.name)
        .bind(&candidate.address)
        .bind(ttl_millis(ttl))
        // To the last row: the change is not there before the statement has ended.
        .fetch_all(&self.writer)
        .await?;
        if let Some(row) = taken.first() {
            return Ok(Leadership::Active { epoch: Epoch(row.try_get(0)?) });
        }
        Ok(Leadership::Standby { leader: self.leader().await?.unwrap_or_default() })
    }

    async fn keep_lead(&self, epoch: Epoch, ttl: Duration) -> Result<(), StateError> {
        let query = "UPDATE lead SET expires = (SELECT now FROM clock) + $1 WHERE epoch = $2";
        let kept =
            sqlx::query(query).bind(ttl_millis(ttl)).bind(epoch.0).execute(&self.writer).await?;
        if kept.rows_affected() == 0 { Err(StateError::Deposed) } else { Ok(()) }
    }

    async fn resign(&self, epoch: Epoch) -> Result<(), StateError> {
        // In an epoch that is nobody's, whatever of ours is still under way changes nothing.
        let query = "UPDATE lead SET epoch = epoch + 1, holder = '', address = '', expires = 0 \
                     WHERE epoch = $1";
        sqlx::query(query).bind(epoch.0).execute(&self.writer).await?;
        Ok(())
    }

    async fn leader(&self) -> Result<Option<String>, StateError> {
        let query = "SELECT address FROM lead \
                     WHERE holder <> '' AND expires > (SELECT now FROM clock)";
        let row = sqlx::query(query).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    async fn create_build(
        &self,
        build: &BuildRecord,
        tasks: &[NewTask],
    ) -> Result<Created, StateError> {
        let mut transaction = self.begin().await?;
        let inserted = sqlx::query(
            "INSERT INTO builds (build_id, request_id, name, requester, priority, deadline, \
             plan_json, output, state, created, ended, report_json, traceparent) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (request_id) DO NOTHING",
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
        if inserted.rows_affected() == 0 {
            let known = sqlx::query("SELECT build_id FROM builds WHERE request_id = $1")
                .bind(&build.request_id)
                .fetch_one(&mut *transaction)
                .await?;
            return Ok(Created::Existing(known.try_get(0)?));
        }
        insert_tasks(&mut transaction, &build.build_id, tasks).await?;
        transaction.commit().await?;
        Ok(Created::New)
    }

    async fn note(&self, events: &[BuildEvent]) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        for event in events {
            if let Happening::Leased { task_id, generation, worker } = &event.what {
                insert_maker(&mut transaction, &event.build_id, task_id, worker).await?;
                sqlx::query(
                    "UPDATE tasks SET generation = $1 WHERE build_id = $2 AND task_id = $3",
                )
                .bind(i64::from(*generation))
                .bind(&event.build_id)
                .bind(task_id)
                .execute(&mut *transaction)
                .await?;
            }
            insert_event(&mut transaction, event).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn makers(&self, work_key: &str) -> Result<BTreeSet<String>, StateError> {
        let query = sqlx::query("SELECT worker FROM makers WHERE work_key = $1").bind(work_key);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn finish_task(
        &self,
        task: &TaskRef,
        at: OffsetDateTime,
        result: &v1::TaskResult,
        follow_up: &[NewTask],
    ) -> Result<Option<v1::TaskResult>, StateError> {
        let mut transaction = self.begin().await?;
        let query =
            "UPDATE tasks SET result = $1 WHERE build_id = $2 AND task_id = $3 AND result IS NULL";
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
        } else if let Some(earlier) = result_of(&mut transaction, task).await?
            && earlier != *result
        {
            return Ok(Some(earlier));
        }
        insert_tasks(&mut transaction, &task.build_id, follow_up).await?;
        transaction.commit().await?;
        Ok(None)
    }

    async fn events(&self, build_id: &str) -> Result<Vec<BuildEvent>, StateError> {
        let rows = sqlx::query("SELECT at, event FROM events WHERE build_id = $1 ORDER BY number")
            .bind(build_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| read_event(build_id, row)).collect()
    }

    async fn end_build(&self, build: &BuildRecord) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE builds SET state = $1, failure = $2, ended = $3, report_json = $4 \
             WHERE build_id = $5 AND state = 'running'",
        )
        .bind(build.state.as_str())
        .bind(build.failure.as_ref().map(Message::encode_to_vec))
        .bind(build.ended.map(millis))
        .bind(&build.report_json)
        .bind(&build.build_id)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn rewrap_plan(&self, build_id: &str, plan_json: &[u8]) -> Result<(), StateError> {
        let mut transaction = self.begin().await?;
        let query = "UPDATE builds SET plan_json = $1 WHERE build_id = $2 AND state = 'running'";
        sqlx::query(query).bind(plan_json).bind(build_id).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn running(&self) -> Result<Vec<BuildWithTasks>, StateError> {
        let query = select_builds!("WHERE state = 'running' ORDER BY created, build_id");
        let rows = sqlx::query(query).fetch_all(&self.readers).await?;
        self.with_tasks(rows).await
    }

    async fn build(&self, build_id: &str) -> Result<Option<BuildWithTasks>, StateError> {
        let rows = sqlx::query(select_builds!("WHERE build_id = $1"))
            .bind(build_id)
            .fetch_all(&self.readers)
            .await?;
        Ok(self.with_tasks(rows).await?.pop())
    }

    async fn list(&self, after: &str, limit: u32) -> Result<Vec<BuildRecord>, StateError> {
        let rows = sqlx::query(select_builds!(
            "WHERE NOT EXISTS (SELECT 1 FROM builds WHERE build_id = $1) \
             OR (created, build_id) < (SELECT created, build_id FROM builds WHERE build_id = $1) \
             ORDER BY created DESC, build_id DESC LIMIT $2"
        ))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(read_build).collect()
    }

    async fn append_audit(&self, record: &AuditRecord) -> Result<u64, StateError> {
        self.append_to_audit(record).await
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StateError> {
        self.read_audit(after, limit).await
    }
}

/// The result that is kept of a task.
async fn result_of(
    transaction: &mut Transaction<'static, Any>,
    task: &TaskRef,
) -> Result<Option<v1::TaskResult>, StateError> {
    let query = sqlx::query("SELECT result FROM tasks WHERE build_id = $1 AND task_id = $2");
    let row =
        query.bind(&task.build_id).bind(&task.task_id).fetch_optional(&mut **transaction).await?;
    row.map_or(Ok(None), |row| read_result(&row))
}

async fn insert_tasks(
    transaction: &mut Transaction<'static, Any>,
    build_id: &str,
    tasks: &[NewTask],
) -> Result<(), StateError> {
    for task in tasks {
        let deps = serde_json::to_string(&task.deps).map_err(damaged("a task's dependencies"))?;
        // The same task again is the same task: a coordinator that died in between repeats itself.
        sqlx::query(
            "INSERT INTO tasks (build_id, task_id, kind, label, work_key, payload, deps, \
             bytes_total, result, generation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
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
        .bind(i64::from(task.generation))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Of encode tasks: only on what these make, second opinions are given.
async fn insert_maker(
    transaction: &mut Transaction<'static, Any>,
    build_id: &str,
    task_id: &str,
    worker: &str,
) -> Result<(), StateError> {
    let query = "INSERT INTO makers (work_key, worker) SELECT work_key, $1 FROM tasks \
                 WHERE build_id = $2 AND task_id = $3 AND kind = 'encode' ON CONFLICT DO NOTHING";
    sqlx::query(query)
        .bind(worker)
        .bind(build_id)
        .bind(task_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

async fn insert_event(
    transaction: &mut Transaction<'static, Any>,
    event: &BuildEvent,
) -> Result<(), StateError> {
    let what = serde_json::to_string(&event.what).map_err(damaged("an event"))?;
    let query = "INSERT INTO events (build_id, at, event) SELECT build_id, $1, $2 FROM builds WHERE build_id = $3";
    sqlx::query(query)
        .bind(millis(event.at))
        .bind(what)
        .bind(&event.build_id)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn ttl_millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}
