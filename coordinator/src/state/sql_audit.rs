//! The audit log in a database that speaks SQL.

use sqlx::{Row, any::AnyRow};

use super::{
    StateError,
    rows::{damaged, from_millis, millis},
    sql::SqlState,
};
use crate::audit::{AuditEntry, AuditRecord, ChainHash};

/// Columns are named, as in `select_builds`.
const PAGE: &str = "SELECT number, at, principal, caller, action, target, outcome, detail, previous, \
                    hash FROM audit WHERE number > $1 ORDER BY number LIMIT $2";

impl SqlState {
    /// Adds an entry at the log's end, which nobody else moves meanwhile. Any coordinator may:
    /// that one has lost the lead is no reason not to say what was asked of it.
    pub(super) async fn append_to_audit(&self, record: &AuditRecord) -> Result<u64, StateError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        let end = sqlx::query(self.dialect.audit_end).fetch_one(&mut *transaction).await?;
        let (number, previous) = (read_number(&end)?, read_hash(&end, "hash")?);
        let AuditEntry { number, record, previous, hash } =
            AuditEntry::following(number, previous, record);
        let stored = i64::try_from(number).map_err(damaged("the end of the audit log"))?;
        sqlx::query(
            "INSERT INTO audit (number, at, principal, caller, action, target, outcome, detail, \
             previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(stored)
        .bind(millis(record.at))
        .bind(&record.principal)
        .bind(&record.from)
        .bind(&record.action)
        .bind(&record.target)
        .bind(&record.outcome)
        .bind(&record.detail)
        .bind(previous.0.to_vec())
        .bind(hash.0.to_vec())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE audit_end SET number = $1, hash = $2")
            .bind(stored)
            .bind(hash.0.to_vec())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(number)
    }

    /// The entries after one, in order.
    pub(super) async fn read_audit(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StateError> {
        let rows = sqlx::query(PAGE)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(read_entry).collect()
    }
}

fn read_entry(row: &AnyRow) -> Result<AuditEntry, StateError> {
    Ok(AuditEntry {
        number: read_number(row)?,
        record: AuditRecord {
            at: from_millis(row.try_get("at")?),
            principal: row.try_get("principal")?,
            from: row.try_get("caller")?,
            action: row.try_get("action")?,
            target: row.try_get("target")?,
            outcome: row.try_get("outcome")?,
            detail: row.try_get("detail")?,
        },
        previous: read_hash(row, "previous")?,
        hash: read_hash(row, "hash")?,
    })
}

fn read_number(row: &AnyRow) -> Result<u64, StateError> {
    u64::try_from(row.try_get::<i64, _>("number")?)
        .map_err(damaged("the number of an audit record"))
}

fn read_hash(row: &AnyRow, column: &str) -> Result<ChainHash, StateError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    let length = bytes.len();
    let hash = bytes.try_into().map_err(|_| format!("it has {length} bytes"));
    hash.map(ChainHash).map_err(damaged("the hash of an audit record"))
}
