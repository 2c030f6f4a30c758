//! Durable facts, behind a trait that speaks in transitions.

pub mod conformance;
mod identities;
mod lead;
mod memory;
mod memory_identities;
mod place;
mod postgres;
mod rows;
mod schema;
mod sql;
mod sql_audit;
mod sql_identities;
mod sqlite;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use prestage_proto::v1;
use time::OffsetDateTime;

use crate::{
    audit::{AuditEntry, AuditRecord},
    events::BuildEvent,
    records::{BuildRecord, BuildState, NewTask, TaskRecord},
    schedule::TaskRef,
};

pub use identities::{Applicant, Enrolled, Enrolment, IdentityStore, KnownIdentity, Revocation};
pub use lead::{Candidate, Epoch, Leadership};
pub use memory::MemoryState;
pub use place::StatePlace;
pub use postgres::{PostgresState, PostgresUrl, PostgresUrlError};
pub use sql::SqlState;
pub use sqlite::SqliteState;

/// What became of a request to create a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// The request was made before: this is its build.
    Existing(String),
}

/// A build with its tasks.
pub type BuildWithTasks = (BuildRecord, Vec<TaskRecord>);

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database failed.
    #[error("the state database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The database can't be reached at all.
    #[error("the state database {place} can't be used: {problem}")]
    Unreachable {
        /// Where it is, without any password.
        place: String,
        /// Why not.
        problem: sqlx::Error,
    },
    /// Its tables can't be made or changed.
    #[error("the state database can't be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A newer release has taken away what this one needs.
    #[error(
        "the state database is of a newer release, which this one can't work beside: its schema is \
         {ours}, and {floor} is the oldest that may use it; start the newer release, or restore the \
         backup that was made before it"
    )]
    TooOld {
        /// The last migration that this release knows.
        ours: i64,
        /// The oldest that may use the database.
        floor: i64,
    },
    /// Another coordinator leads by now: nothing was changed.
    #[error("this coordinator is not the active one any more: nothing was changed")]
    Deposed,
    /// Something in it can't be read.
    #[error("{what} in the state database can't be read: {problem}")]
    Damaged {
        /// What.
        what: &'static str,
        /// Why.
        problem: String,
    },
}

/// Durable facts. Every method is one transaction, durable when it returns.
///
/// Any coordinator may read, and append to the audit log. Only the leader writes the rest, through
/// what [`StateStore::led`] gives for its epoch: a write in any other epoch is [`StateError::Deposed`] and changes nothing.
#[async_trait]
pub trait StateStore: IdentityStore {
    /// The same facts, with every write fenced by `epoch`.
    fn led(&self, epoch: Epoch) -> Arc<dyn StateStore>;

    /// Takes the lead for `ttl`, in a new epoch, if nobody else has it.
    async fn take_lead(
        &self,
        candidate: &Candidate,
        ttl: Duration,
    ) -> Result<Leadership, StateError>;

    /// Keeps the lead for another `ttl` from now on.
    async fn keep_lead(&self, epoch: Epoch, ttl: Duration) -> Result<(), StateError>;

    /// Gives the lead up: whoever asks next has it at once. What does not lead stays as it is.
    async fn resign(&self, epoch: Epoch) -> Result<(), StateError>;

    /// Where the leader is reached, if there is one.
    async fn leader(&self) -> Result<Option<String>, StateError>;

    /// Adds a build with its first tasks (none, if it has ended already), or finds the build that the same request made before.
    async fn create_build(
        &self,
        build: &BuildRecord,
        tasks: &[NewTask],
    ) -> Result<Created, StateError>;

    /// Remembers that leases were given out, each an event [`Happening::Leased`]; others are only
    /// noted.
    ///
    /// [`Happening::Leased`]: crate::events::Happening::Leased
    async fn note(&self, events: &[BuildEvent]) -> Result<(), StateError>;

    /// The names of all workers that were ever given the encode task of this work, for any build, whatever
    /// became of it: each of them may have made the pack.
    async fn makers(&self, work_key: &str) -> Result<BTreeSet<String>, StateError>;

    /// Keeps a task's result and adds the tasks that follow from it. When another result is kept already it
    /// stays, nothing changes, and it is given back: an earlier write was done and seemed to have failed.
    async fn finish_task(
        &self,
        task: &TaskRef,
        at: OffsetDateTime,
        result: &v1::TaskResult,
        follow_up: &[NewTask],
    ) -> Result<Option<v1::TaskResult>, StateError>;

    /// What happened to a build, in order.
    async fn events(&self, build_id: &str) -> Result<Vec<BuildEvent>, StateError>;

    /// Ends a build that is running; one that has ended stays as it is.
    async fn end_build(&self, build: &BuildRecord) -> Result<(), StateError>;

    /// Keeps the plan of a running build under another key; one that has ended stays as it is.
    async fn rewrap_plan(&self, build_id: &str, plan_json: &[u8]) -> Result<(), StateError>;

    /// All builds that are running, with their tasks: what a coordinator starts from.
    async fn running(&self) -> Result<Vec<BuildWithTasks>, StateError>;

    /// One build.
    async fn build(&self, build_id: &str) -> Result<Option<BuildWithTasks>, StateError>;

    /// Builds, newest first, `limit` at most, older than the build named `after`.
    async fn list(&self, after: &str, limit: u32) -> Result<Vec<BuildRecord>, StateError>;

    /// Adds a record at the end of the audit log, and gives its number. Whoever appends at the same
    /// time, here or on another coordinator: it is one chain.
    async fn append_audit(&self, record: &AuditRecord) -> Result<u64, StateError>;

    /// Entries of the audit log in order, `limit` at most, from the one after number `after` on.
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StateError>;
}

/// Whether a build may still change.
pub(crate) fn may_end(state: BuildState) -> bool {
    !state.is_ended()
}
