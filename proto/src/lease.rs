//! What a lease is called.

use crate::v1::Lease;

impl Lease {
    /// A name that no other lease has: its task and its generation.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.task_id, self.generation)
    }
}
