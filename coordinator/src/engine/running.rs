//! How many builds are running, for whoever decides whether one more may.

use super::Engine;

/// Builds that are running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    /// Of the requester that was asked about.
    pub of_requester: usize,
    /// Of everybody.
    pub all: usize,
    /// Whether the request that was asked about is one of them.
    pub is_asked_again: bool,
}

impl Engine {
    pub(super) fn running(&self, requester: &str, request_id: &str) -> Running {
        let records = || self.builds.values().map(|live| &live.record);
        Running {
            of_requester: records().filter(|record| record.requester == requester).count(),
            all: self.builds.len(),
            is_asked_again: records().any(|record| record.request_id == request_id),
        }
    }
}
