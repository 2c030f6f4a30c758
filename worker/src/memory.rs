//! The memory that a worker's tasks may fill with content, whatever the contents' size.
//!
//! A task takes a *grant* for a step of its work (encoding, uploading) before the step begins, works in
//! as many buffers as the grant has room for, and gives it back when the step is over. The buffers go
//! round, so a full grant stops reading from the source. A step never asks for a second grant, and no
//! grant is more than a slot's share: see `docs/decisions/worker-budgets.md`.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

const MIB: u64 = 1 << 20;
/// What a task needs at least: two windows of content with what becomes of them.
const LEAST_SHARE_MIB: u64 = 32;

/// A worker's memory for content. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    free: Arc<Semaphore>,
    share_mib: u32,
}

/// Memory that a step may use; dropped, it is free for others.
#[derive(Debug)]
#[must_use = "the memory is free again when this is dropped"]
pub struct Grant {
    bytes: u64,
    _permit: OwnedSemaphorePermit,
}

impl Memory {
    /// `bytes` for `slots` tasks at once; raised if that is too little for each to go on.
    #[must_use]
    pub fn new(bytes: u64, slots: u32) -> Self {
        let slots = u64::from(slots.max(1));
        let share = (bytes / MIB / slots).clamp(LEAST_SHARE_MIB, u64::from(u32::MAX));
        let mib = share * slots;
        if mib > bytes.div_ceil(MIB) {
            tracing::warn!(mib, slots, "the memory is raised to what the tasks need at least");
        }
        Self { free: Arc::new(Semaphore::new(mib as usize)), share_mib: share as u32 }
    }

    /// What is right where nothing is said: each task has as much as it can use.
    #[must_use]
    pub fn default_bytes(threads: usize) -> u64 {
        (256 + 64 * threads as u64) * MIB
    }

    /// Waits for `wanted` bytes, or for a slot's share if that is less.
    ///
    /// # Errors
    /// Never: nothing closes the budget.
    pub async fn grant(&self, wanted: u64) -> Result<Grant, AcquireError> {
        let mib = wanted.div_ceil(MIB).clamp(1, u64::from(self.share_mib)) as u32;
        let permit = self.free.clone().acquire_many_owned(mib).await?;
        Ok(Grant { bytes: u64::from(mib) * MIB, _permit: permit })
    }
}

impl Grant {
    /// How many bytes may be used.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_slot_has_its_share_and_no_more_is_given() {
        let memory = Memory::new(100 * MIB, 2);
        let first = memory.grant(64 * MIB).await.unwrap();
        assert_eq!(first.bytes(), 50 * MIB);
        let second = memory.grant(40 * MIB).await.unwrap();
        assert_eq!(second.bytes(), 40 * MIB, "the other slot's share was free");
        let waiting = memory.grant(11 * MIB);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(waiting.await.unwrap().bytes(), 11 * MIB);
    }

    #[tokio::test]
    async fn too_little_memory_is_raised() {
        let memory = Memory::new(1, 3);
        assert_eq!(memory.grant(u64::MAX).await.unwrap().bytes(), LEAST_SHARE_MIB * MIB);
        assert_eq!(memory.free.available_permits(), 96);
    }
}
