//! Lends each lease the access that its task takes, and no more, for as long as it lasts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prestage_proto::v1;
use prestage_store::lent::{Lender, LentAccess};
use prost::Message;
use time::OffsetDateTime;
use tonic::Status;

use super::convert::timestamp;
use crate::pipeline::scope_of;

/// A task's id and the generation of its lease.
pub(super) type LeaseId = (String, u32);

pub(super) fn lease_id(lease: &v1::Lease) -> LeaseId {
    (lease.task_id.clone(), lease.generation)
}

/// Lends access to the object store.
#[derive(Debug)]
pub(crate) struct Lending {
    lender: Lender,
    /// How the store is reached: nothing secret.
    settings: BTreeMap<String, String>,
    life: Duration,
    /// Until when what was lent to a lease counts.
    lent: Mutex<HashMap<LeaseId, OffsetDateTime>>,
}

impl Lending {
    pub fn new(lender: Lender, settings: BTreeMap<String, String>, life: Duration) -> Self {
        Self { lender, settings, life, lent: Mutex::default() }
    }

    /// Adds access to those leases that have none, or none for long any more.
    pub async fn lend(&self, leases: &mut [v1::Lease], now: OffsetDateTime) -> Result<(), Status> {
        self.lent().retain(|_, until| *until > now);
        let due = leases.iter_mut().filter(|lease| self.is_due(lease, now));
        let lending = due.map(|lease| self.lend_one(lease));
        futures::future::try_join_all(lending).await?;
        Ok(())
    }

    fn is_due(&self, lease: &v1::Lease, now: OffsetDateTime) -> bool {
        let until = self.lent().get(&lease_id(lease)).copied();
        until.is_none_or(|until| until - now < self.life / 2)
    }

    async fn lend_one(&self, lease: &mut v1::Lease) -> Result<(), Status> {
        let task = v1::Task::decode(lease.task.clone());
        let task = task.map_err(|error| Status::internal(error.to_string()))?;
        let scope = scope_of(&task);
        if scope.is_empty() {
            return Ok(());
        }
        let lent = self.lender.lend(&scope, &session_of(lease)).await.map_err(|error| {
            tracing::error!(%error, "a worker can't be lent access to the object store");
            Status::unavailable(error.to_string())
        })?;
        self.lent().insert(lease_id(lease), lent.until);
        lease.access = Some(self.access(lent));
        Ok(())
    }

    fn access(&self, lent: LentAccess) -> v1::StoreAccess {
        v1::StoreAccess {
            settings: self.settings.clone().into_iter().collect(),
            key_id: lent.key_id,
            secret_key: lent.secret_key,
            session_token: lent.token,
            until: Some(timestamp(lent.until)),
        }
    }

    fn lent(&self) -> MutexGuard<'_, HashMap<LeaseId, OffsetDateTime>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store's own log calls a lease: the end of its task's id, which tells tasks apart, and the
/// generation.
fn session_of(lease: &v1::Lease) -> String {
    let id = lease.task_id.replace('/', ".");
    let start = id.char_indices().rev().nth(47).map_or(0, |(start, _)| start);
    format!("{}.{}", &id[start..], lease.generation)
}
