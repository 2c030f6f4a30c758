//! What a task does within the worker's budgets of memory and disk.
//!
//! The order is always the same: room on the disk first, then memory; and whoever has memory waits for
//! nothing but the disk and the line. So some task can always go on: `docs/decisions/worker-budgets.md`.

use std::{future::Future, sync::PoisonError, time::Duration};

use prestage_store::{
    ObjectKey, PackKey, StagingFile,
    pack::{FinishedPack, PackIndex, PackWriter, Published, UPLOAD_BYTES},
    staging::Staged,
};
use prestage_wim::codec::{Codec, Encoder, WINDOW_MEMORY, WINDOWS};

use super::{TaskError, Tools};
use crate::memory::Grant;

/// How often a task that waits looks whether it was given up.
const LOOK: Duration = Duration::from_millis(250);
/// A pack of so much content may have a byte more than that in chunk tables: eight bytes for a chunk of
/// 4 KiB, the smallest of all formats.
const TABLES: u64 = 512;
/// What else a staging file may have.
const ROUNDING: u64 = 1 << 20;

/// How many windows of content fit into so much memory.
pub fn windows_in(bytes: u64) -> usize {
    (bytes / WINDOW_MEMORY).clamp(1, WINDOWS as u64) as usize
}

impl Tools {
    /// A new pack, of `content` bytes before they are compressed. Blocking.
    pub fn pack_writer(&self, content: u64) -> Result<PackWriter, TaskError> {
        self.make_room(content)?;
        Ok(self.objects.pack_writer(&self.staging)?)
    }

    /// A new file of about so many bytes for an object that is no pack. Blocking.
    pub fn staging_file(&self, bytes: u64) -> Result<StagingFile, TaskError> {
        self.make_room(bytes)?;
        Ok(self.objects.staging_file(&self.staging)?)
    }

    /// An encoder with as many windows as there is memory for, and that memory. Blocking.
    pub fn encoder(&self, codec: Codec) -> Result<(Encoder, Grant), TaskError> {
        let memory = self.memory(WINDOWS as u64 * WINDOW_MEMORY)?;
        let encoder = Encoder::new(codec, self.pool.clone());
        Ok((encoder.with_windows(windows_in(memory.bytes())), memory))
    }

    /// Memory for content, `wanted` bytes or a slot's share. Blocking.
    pub fn memory(&self, wanted: u64) -> Result<Grant, TaskError> {
        self.runtime.block_on(self.granted(wanted))
    }

    /// Memory for content, `wanted` bytes or a slot's share.
    pub async fn granted(&self, wanted: u64) -> Result<Grant, TaskError> {
        let granted = self.unless_given_up(self.memory.grant(wanted)).await?;
        granted.map_err(|_| TaskError::Cancelled)
    }

    /// Publishes a pack within the memory budget.
    pub async fn publish(
        &self,
        key: &PackKey,
        pack: FinishedPack,
        index: &PackIndex,
    ) -> Result<Published, TaskError> {
        let (objects, _memory) = self.uploading(pack.bytes()).await?;
        Ok(objects.publish_pack(key, pack, index).await?)
    }

    /// Publishes any staged file within the memory budget.
    pub async fn put_staged(&self, key: &ObjectKey, staged: Staged) -> Result<(), TaskError> {
        let (objects, _memory) = self.uploading(staged.bytes()).await?;
        Ok(objects.put_staged(key, staged).await?)
    }

    /// The store with the memory to upload so many bytes; into a folder, files are renamed.
    async fn uploading(
        &self,
        bytes: u64,
    ) -> Result<(prestage_store::Objects, Option<Grant>), TaskError> {
        if !self.objects.stages_elsewhere() {
            return Ok((self.objects.clone(), None));
        }
        let memory = self.granted(bytes.min(UPLOAD_BYTES)).await?;
        Ok((self.objects.clone().with_upload_bytes(memory.bytes()), Some(memory)))
    }

    /// Room in the staging folder for what is written next. What the task had before is given back
    /// first: its file is published or removed by now.
    fn make_room(&self, content: u64) -> Result<(), TaskError> {
        if !self.objects.stages_elsewhere() {
            return Ok(());
        }
        let mut mine = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        drop(mine.take());
        let needed = content + content / TABLES + ROUNDING;
        let room = self.runtime.block_on(self.unless_given_up(self.disk.reserve(needed)))??;
        *mine = Some(room);
        Ok(())
    }

    /// Waits for others, but not when nobody wants the task any more.
    async fn unless_given_up<T>(&self, waiting: impl Future<Output = T>) -> Result<T, TaskError> {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            match tokio::time::timeout(LOOK, &mut waiting).await {
                Ok(done) => return Ok(done),
                Err(_) if self.is_cancelled() => return Err(TaskError::Cancelled),
                Err(_) => {}
            }
        }
    }
}
