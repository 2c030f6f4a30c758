//! The audit log as auditors read it. Any coordinator shows it.

use std::sync::Arc;

use prestage_proto::v1::{self, audit_service_server::AuditService};
use time::{Duration, OffsetDateTime};
use tonic::{Request, Response, Status};

use super::timestamp;
use crate::{
    audit::{AuditEntry, AuditRecord, ChainHash},
    state::StateStore,
};

const PAGE_SIZE_DEFAULT: u32 = 200;
const PAGE_SIZE_MAX: u32 = 1000;

/// The audit service.
pub struct AuditApi {
    store: Arc<dyn StateStore>,
}

impl AuditApi {
    pub(crate) fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_audit_records(
        &self,
        request: Request<v1::ListAuditRecordsRequest>,
    ) -> Result<Response<v1::ListAuditRecordsResponse>, Status> {
        let request = request.into_inner();
        let asked = u32::try_from(request.page_size).unwrap_or(0);
        let size = if asked == 0 { PAGE_SIZE_DEFAULT } else { asked.min(PAGE_SIZE_MAX) };
        let entries = self.store.audit(request.after, size).await?;
        let records = entries.into_iter().map(v1::AuditRecord::from).collect();
        Ok(Response::new(v1::ListAuditRecordsResponse { records }))
    }
}

impl From<AuditEntry> for v1::AuditRecord {
    fn from(AuditEntry { number, record, previous, hash }: AuditEntry) -> Self {
        Self {
            number,
            at: Some(timestamp(record.at)),
            principal: record.principal,
            from: record.from,
            action: record.action,
            target: record.target,
            outcome: record.outcome,
            detail: record.detail,
            previous: previous.0.to_vec().into(),
            hash: hash.0.to_vec().into(),
        }
    }
}

/// A message is no entry of an audit log: it has no time, or a hash that is none.
#[derive(Debug, thiserror::Error)]
#[error("record {0} of the audit log came without its time or with a hash that is none")]
pub struct NoAuditEntry(u64);

impl TryFrom<v1::AuditRecord> for AuditEntry {
    type Error = NoAuditEntry;

    fn try_from(message: v1::AuditRecord) -> Result<Self, NoAuditEntry> {
        let number = message.number;
        let hash = |bytes: &[u8]| bytes.try_into().map(ChainHash).map_err(|_| NoAuditEntry(number));
        let at = message.at.ok_or(NoAuditEntry(number))?;
        let since = Duration::new(at.seconds, at.nanos);
        let at = OffsetDateTime::UNIX_EPOCH.checked_add(since).ok_or(NoAuditEntry(number))?;
        Ok(Self {
            number,
            previous: hash(&message.previous)?,
            hash: hash(&message.hash)?,
            record: AuditRecord {
                at,
                principal: message.principal,
                from: message.from,
                action: message.action,
                target: message.target,
                outcome: message.outcome,
                detail: message.detail,
            },
        })
    }
}
