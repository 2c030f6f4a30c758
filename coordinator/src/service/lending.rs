//! Lends each lease the access that its task takes, and no more, for as long as it lasts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prestage_proto::v1::{self, Retry, finished::Outcome, task::Work};
use prestage_store::{
    Objects, StoreError,
    gc::Pin,
    lent::{LendError, Lender, LentAccess},
};
use prost::Message;
use time::OffsetDateTime;

use super::convert::timestamp;
use crate::{
    numbers,
    pipeline::{Borrower, packs_wanted, scope_of},
};

/// A task's id and the generation of its lease.
pub(super) type LeaseId = (String, u32);

pub(super) fn lease_id(lease: &v1::Lease) -> LeaseId {
    (lease.task_id.clone(), lease.generation)
}

/// A failure that goes on is said again after this time.
const SAID_AGAIN: Duration = Duration::from_secs(3600);

/// Lends access to the object store.
#[derive(Debug)]
pub(crate) struct Lending {
    lender: Lender,
    /// How stores are reached: nothing secret.
    settings: BTreeMap<String, String>,
    /// Where builds have written down which packs are theirs.
    objects: Objects,
    /// A lease that takes longer to lend to is left for the next call, or others would be lost meanwhile.
    within: Duration,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// What was lent to leases that are held.
    lent: HashMap<LeaseId, Lent>,
    /// Those that could not be lent to, and when that was said.
    failing: HashMap<LeaseId, OffsetDateTime>,
}

/// When what was lent is exchanged, and when it ends.
#[derive(Debug)]
struct Lent {
    exchange: OffsetDateTime,
    until: OffsetDateTime,
}

/// Leases as they go out.
#[derive(Debug, Default)]
pub(crate) struct HandedOut {
    pub leases: Vec<v1::Lease>,
    /// The ends of those that can never be lent to.
    pub hopeless: Vec<v1::Finished>,
}

/// Why a lease was not lent access.
#[derive(Debug, thiserror::Error)]
enum NotLent {
    #[error(transparent)]
    Lend(#[from] LendError),
    #[error("the packs of its build can't be read: {0}")]
    Packs(#[from] StoreError),
    #[error("the task can't be read: {0}")]
    Task(#[from] prost::DecodeError),
    #[error("it took longer than {0:?}")]
    Slow(Duration),
}

impl Lending {
    pub fn new(
        lender: Lender,
        settings: BTreeMap<String, String>,
        objects: Objects,
        within: Duration,
    ) -> Self {
        Self { lender, settings, objects, within, notes: Mutex::default() }
    }

    /// Refuses a medium that no worker could be lent access to, before anything is made for it.
    pub fn check_output(&self, output: &str, split: bool) -> Result<(), LendError> {
        let assemble = v1::AssembleTask {
            // As long as any.
            build_id: uuid::Uuid::nil().simple().to_string(),
            output: output.to_owned(),
            split_bytes: u64::from(split),
            ..Default::default()
        };
        let objects_url = self.objects.root().to_string();
        let task = v1::Task { objects_url, work: Some(Work::Assemble(assemble)) };
        self.lender.check(&scope_of(&Borrower { task: &task, lease: "", packs: &[] }))
    }

    /// Adds access to those leases that have none, or none for long any more. One that can't be lent to now
    /// is left out, and so is tried again with the worker's next call; one that the worker has already goes on
    /// with what it has.
    pub async fn lend(
        &self,
        leases: Vec<v1::Lease>,
        known: &BTreeSet<LeaseId>,
        now: OffsetDateTime,
    ) -> HandedOut {
        self.notes().forget(now);
        let lending = leases.into_iter().map(async |mut lease| {
            let lent = match self.is_due(&lease, now) {
                true => self.lend_one(&mut lease, now).await,
                false => Ok(()),
            };
            (lease, lent)
        });
        let mut out = HandedOut::default();
        for (lease, lent) in futures::future::join_all(lending).await {
            let id = lease_id(&lease);
            let Err(error) = lent else {
                self.notes().failing.remove(&id);
                out.leases.push(lease);
                continue;
            };
            self.note_failure(&id, &error, now);
            if known.contains(&id) {
                out.leases.push(lease);
            } else if matches!(&error, NotLent::Lend(error) if error.is_final()) {
                out.hopeless.push(hopeless(id, &error));
            }
        }
        out
    }

    fn is_due(&self, lease: &v1::Lease, now: OffsetDateTime) -> bool {
        self.notes().lent.get(&lease_id(lease)).is_none_or(|lent| lent.exchange <= now)
    }

    async fn lend_one(&self, lease: &mut v1::Lease, now: OffsetDateTime) -> Result<(), NotLent> {
        let slow = |_| NotLent::Slow(self.within);
        let lent =
            tokio::time::timeout(self.within, self.access(lease, now)).await.map_err(slow)?;
        if let Some(access) = lent? {
            let until = access.until;
            let lent = Lent { exchange: now + (until - now) / 2, until };
            self.notes().lent.insert(lease_id(lease), lent);
            lease.access = Some(self.message(access));
        }
        Ok(())
    }

    async fn access(
        &self,
        lease: &v1::Lease,
        now: OffsetDateTime,
    ) -> Result<Option<LentAccess>, NotLent> {
        let task = v1::Task::decode(lease.task.clone())?;
        let packs = match packs_wanted(&task) {
            Some(build) => Pin::of(&self.objects, &build).await?.packs().collect(),
            None => Vec::new(),
        };
        let scope = scope_of(&Borrower { task: &task, lease: &lease.name(), packs: &packs });
        Ok(self.lender.lend(&scope, &session_of(lease), now).await?)
    }

    fn message(&self, access: LentAccess) -> v1::StoreAccess {
        let LentAccess { secrets, until } = access;
        let mut message = v1::StoreAccess {
            settings: self.settings.clone().into_iter().collect(),
            signatures: secrets.azure.into_iter().collect(),
            access_token: secrets.google.unwrap_or_default(),
            until: Some(timestamp(until)),
            ..Default::default()
        };
        if let Some(key) = secrets.s3 {
            (message.key_id, message.secret_key) = (key.id, key.secret);
            message.session_token = key.token;
        }
        message
    }

    /// Says so once an hour, however often it is tried.
    fn note_failure(&self, id: &LeaseId, error: &NotLent, now: OffsetDateTime) {
        numbers::count_not_lent();
        let mut notes = self.notes();
        if !notes.failing.contains_key(id) {
            notes.failing.insert(id.clone(), now);
            let (task, generation) = id;
            tracing::error!(task, generation, %error, "a lease can't be lent access to the object store");
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn forget(&mut self, now: OffsetDateTime) {
        self.lent.retain(|_, lent| lent.until > now);
        self.failing.retain(|_, said| now - *said < SAID_AGAIN);
    }
}

/// The end of a lease that nobody can be given.
fn hopeless(lease: LeaseId, error: &NotLent) -> v1::Finished {
    let failure = v1::Failure {
        what: format!("no worker can be lent access to the object store: {error}"),
        advice: "see docs/decisions/scoped-access.md".into(),
        retry: Retry::Never.into(),
        ..Default::default()
    };
    let (task_id, generation) = lease;
    v1::Finished { task_id, generation, outcome: Some(Outcome::Failure(failure)) }
}

/// What the store's own log calls a lease: the end of its task's id, which tells tasks apart, and the
/// generation.
fn session_of(lease: &v1::Lease) -> String {
    let id = lease.task_id.replace('/', ".");
    let start = id.char_indices().rev().nth(47).map_or(0, |(start, _)| start);
    format!("{}.{}", &id[start..], lease.generation)
}

#[cfg(test)]
#[path = "lending_tests.rs"]
mod tests;
