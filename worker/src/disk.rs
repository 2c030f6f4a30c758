//! The room that packs may take on a worker's disk on their way to a bucket.
//!
//! A task reserves what it may need at most before it writes, so that no task fills the disk under
//! another. It has one reservation at a time: see `docs/decisions/worker-budgets.md`.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// Free space that is never used: a machine whose disk is full to the last byte does nothing right. On
/// small disks it is a twentieth.
const KEPT_FREE: u64 = 1 << 30;
const KEPT_FREE_OF_SMALL: u64 = 20;

/// A worker's disk for staging. Clones share it.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Most bytes at once; none: as many as there are.
    limit: Option<u64>,
    reserved: Mutex<u64>,
    given_back: Notify,
    /// Who waits goes on in the order in which they came, or large packs would wait for ever.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

/// Room for one pack; dropped, it is free for others.
#[derive(Debug)]
#[must_use = "the room is free again when this is dropped"]
pub struct Room {
    disk: Disk,
    bytes: u64,
}

/// It would never fit.
#[derive(Debug, thiserror::Error)]
#[error("a pack may take {needed} bytes in {}, which has room for {room}", folder.display())]
pub struct NoRoom {
    /// Bytes at most.
    pub needed: u64,
    /// Bytes that may be used when nothing else is there.
    pub room: u64,
    /// The staging folder.
    pub folder: PathBuf,
}

impl Disk {
    /// The disk that `folder` lies on, of which at most `limit` bytes are used.
    #[must_use]
    pub fn new(folder: PathBuf, limit: Option<u64>) -> Self {
        Self(Arc::new(Inner {
            folder,
            limit,
            reserved: Mutex::new(0),
            given_back: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Waits for room for `bytes`.
    ///
    /// # Errors
    /// [`NoRoom`] when there would be too little if nobody else had any.
    pub async fn reserve(&self, bytes: u64) -> Result<Room, NoRoom> {
        let _waiting = Waiting::new(&self.0.waiting);
        let _turn = self.0.turn.lock().await;
        loop {
            let given_back = self.0.given_back.notified();
            if let Some(room) = self.try_reserve(bytes)? {
                return Ok(room);
            }
            given_back.await;
        }
    }

    /// Whether a task waits for room: then it is no use to take on another.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) > 0
    }

    fn try_reserve(&self, bytes: u64) -> Result<Option<Room>, NoRoom> {
        let mut reserved = self.reserved();
        // What others reserved may not be written yet, so none of it counts as there.
        let of_limit = self.0.limit.unwrap_or(u64::MAX);
        let of_disk = usable(&self.0.folder).unwrap_or(u64::MAX);
        if bytes <= of_limit.min(of_disk).saturating_sub(*reserved) {
            *reserved += bytes;
            return Ok(Some(Room { disk: self.clone(), bytes }));
        }
        if *reserved > 0 && bytes <= of_limit {
            return Ok(None);
        }
        let room = of_limit.min(of_disk);
        Err(NoRoom { needed: bytes, room, folder: self.0.folder.clone() })
    }

    fn reserved(&self) -> MutexGuard<'_, u64> {
        self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *self.disk.reserved() -= self.bytes;
        self.disk.0.given_back.notify_waiters();
    }
}

/// Counts somebody who waits, for as long as they do.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Free bytes on the disk of `folder`, which may not be there yet, but for those that are kept free.
fn usable(folder: &Path) -> io::Result<u64> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let disk = rustix::fs::statvfs(there)?;
    let (free, total) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    Ok(free.saturating_sub(KEPT_FREE.min(total / KEPT_FREE_OF_SMALL)))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn disk(limit: Option<u64>) -> Disk {
        Disk::new(std::env::temp_dir().join("not/there/yet"), limit)
    }

    #[tokio::test]
    async fn rooms_are_waited_for_in_order_and_what_never_fits_is_refused() {
        let disk = disk(Some(100));
        let refused = disk.reserve(101).await.unwrap_err();
        assert_eq!((refused.needed, refused.room), (101, 100));
        let first = disk.reserve(60).await.unwrap();
        assert!(!disk.is_waited_for());
        let (large, small) = (disk.reserve(80), disk.reserve(10));
        tokio::pin!(large, small);
        assert!(large.as_mut().now_or_never().is_none());
        assert!(small.as_mut().now_or_never().is_none(), "it would fit, but it came later");
        assert!(disk.is_waited_for());
        drop(first);
        let large = large.await.unwrap();
        let small = small.await.unwrap();
        assert!(!disk.is_waited_for());
        assert_eq!(*disk.reserved(), 90);
        drop((large, small));
        assert_eq!(*disk.reserved(), 0);
    }

    #[tokio::test]
    async fn some_of_the_disk_is_kept_free() {
        let disk = disk(None);
        let usable = usable(&std::env::temp_dir()).unwrap();
        assert!(disk.reserve(usable.saturating_mul(2).max(1)).await.is_err());
        drop(disk.reserve(usable / 2).await.unwrap());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_nobody_up() {
        let disk = disk(Some(100));
        let first = disk.reserve(60).await.unwrap();
        let large = tokio::spawn({
            let disk = disk.clone();
            async move { disk.reserve(80).await }
        });
        while !disk.is_waited_for() {
            tokio::task::yield_now().await;
        }
        large.abort();
        assert!(large.await.is_err());
        drop(disk.reserve(40).await.unwrap());
        drop(first);
    }
}
