//! The audit log: who asked for what, and who opened or read which secret or artefact.
//!
//! Records are only ever added. Each is chained to the one before it by its hash ([`chain`]), so
//! that nobody can change, remove or insert one without that being seen in an export.
//! `docs/audit.md` says what is recorded and how others verify it.

mod chain;
mod line;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    clock::Clock,
    state::{StateError, StateStore},
};

pub use chain::{AuditEntry, ChainHash, ChainHashError, Misfit};
pub use line::{AuditLine, LineError};

/// The outcome of what has only been asked for yet.
pub const ASKED: &str = "asked";
/// The outcome of what was done.
pub const DONE: &str = "done";
/// The outcome of what was tried in vain.
pub const FAILED: &str = "failed";

/// Something that somebody asked for, or how it ended. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// When; whole milliseconds are kept.
    pub at: OffsetDateTime,
    /// Who.
    pub principal: String,
    /// The address that the caller called from; may be empty.
    pub from: String,
    /// What: `SubmitBuild`, `unseal Variables.dat`.
    pub action: String,
    /// On what: `build 6f0c…`; may be empty.
    pub target: String,
    /// [`ASKED`], [`DONE`], or why not: `refused: PERMISSION_DENIED`.
    pub outcome: String,
    /// What else is to be known of it; may be empty.
    pub detail: String,
}

/// Who asks for something, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Who: `user/alice`, or `local` where nobody has to prove anything.
    pub principal: String,
    /// The address; empty for a caller in this process.
    pub from: String,
}

/// Writes the audit log.
#[derive(Clone)]
pub struct Audit {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
}

impl Audit {
    /// An audit log in the state.
    pub fn new(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Adds a record. It is durable when this returns.
    pub async fn record(&self, record: AuditRecord) -> Result<(), StateError> {
        self.store.append_audit(&record).await.map(drop)
    }

    /// Records something by somebody, at this moment.
    async fn note(
        &self,
        who: &Who,
        action: &str,
        target: &str,
        outcome: &str,
        detail: &str,
    ) -> Result<AuditRecord, StateError> {
        let record = AuditRecord {
            at: self.clock.now(),
            principal: who.principal.clone(),
            from: who.from.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            outcome: outcome.to_owned(),
            detail: detail.to_owned(),
        };
        self.record(record.clone()).await?;
        Ok(record)
    }

    /// Records that somebody was refused before anything was asked of anybody.
    pub async fn denied(&self, who: &Who, action: &str, outcome: &str) -> Result<(), StateError> {
        self.note(who, action, "", outcome, "").await.map(drop)
    }

    /// Records that somebody asks for something. Whoever can't record that does not do it.
    pub async fn asked(
        &self,
        who: &Who,
        action: &str,
        target: &str,
        detail: &str,
    ) -> Result<Deed, StateError> {
        let record = self.note(who, action, target, ASKED, detail).await?;
        Ok(Deed { audit: self.clone(), record })
    }
}

/// Something that was asked for and has not ended yet.
#[must_use = "how it ended belongs into the audit log"]
pub struct Deed {
    audit: Audit,
    record: AuditRecord,
}

impl Deed {
    /// The same, on what is known by now to be its target.
    pub fn on(mut self, target: &str) -> Self {
        target.clone_into(&mut self.record.target);
        self
    }

    /// Records how it ended: whether it was done.
    pub async fn gave<T, E>(self, result: &Result<T, E>) {
        self.ended(if result.is_ok() { DONE } else { FAILED }).await;
    }

    /// Records how it ended, as an outcome. What is done is done: where that can't be recorded, the log of this
    /// process says so, and the audit log says that it was asked for.
    pub async fn ended(self, outcome: &str) {
        let at = self.audit.clock.now();
        let record = AuditRecord { at, outcome: outcome.to_owned(), ..self.record };
        let (action, target) = (record.action.clone(), record.target.clone());
        if let Err(error) = self.audit.record(record).await {
            tracing::error!(action, target, outcome, %error, "the audit log lacks an outcome");
        }
    }
}
