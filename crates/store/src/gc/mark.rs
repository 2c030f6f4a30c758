//! The mark of a collector at work.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use crate::error::StoreError;
use crate::keys::ObjectKey;
use crate::objects::{Objects, PutRule};

/// A collector stops removing so long after it has set its mark, whatever is left.
pub const COLLECTING_MAX: Duration = Duration::from_secs(600);
/// For clocks that differ, and for a request that was under way when the time was over.
pub(super) const MARGIN: Duration = Duration::from_secs(60);
const FOLDER: &str = "collectors";
/// How often builds look whether a collector is done.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The mark of one collector.
pub(super) fn key(collector: &str) -> Result<ObjectKey, StoreError> {
    Ok(ObjectKey::new(format!("{FOLDER}/{collector}"))?)
}

pub(super) async fn set(objects: &Objects, collector: &str) -> Result<(), StoreError> {
    objects.put_small(&key(collector)?, "collecting".into(), PutRule::Overwrite).await?;
    Ok(())
}

pub(super) async fn clear(objects: &Objects, collector: &str) -> Result<(), StoreError> {
    objects.delete(&key(collector)?).await
}

/// Whether a collector is at work. Marks of collectors that were killed count until their time is
/// over, and are removed then.
pub(super) async fn anybody(objects: &Objects, now: SystemTime) -> Result<bool, StoreError> {
    let mut marks = objects.list(FOLDER);
    let mut anybody = false;
    while let Some(mark) = marks.try_next().await? {
        let age = now.duration_since(mark.modified).unwrap_or_default();
        if age > COLLECTING_MAX + MARGIN {
            objects.delete(&mark.key).await?;
        } else {
            anybody = true;
        }
    }
    Ok(anybody)
}

/// Waits until no collector is at work. A build calls this after it has pinned what it may use, and
/// before it looks what of that is there.
///
/// # Errors
/// When the store can't be read.
pub async fn wait_for_collectors(objects: &Objects) -> Result<(), StoreError> {
    while anybody(objects, SystemTime::now()).await? {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}
