//! Packs that must not be used: written down beside the packs, where every coordinator looks that shares
//! the store, before anybody is told.
//!
//! `quarantine/<key>` says that the pack is to be removed. It goes when that is done, so whoever died in
//! between leaves it to the next one. `suspects/<key>` says that workers did not agree on the pack: it is
//! never taken as it is there, but made twice again, until that was long ago.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use crate::error::StoreError;
use crate::keys::{ObjectKey, PackKey};
use crate::objects::{Objects, PutRule};

const QUARANTINE: &str = "quarantine";
const SUSPECTS: &str = "suspects";
/// A pack is made twice for so long after workers did not agree on it: by then somebody has looked.
const SUSPECTED_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Why a pack must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is not what was seen of it before.
    Replaced,
    /// Workers that made it did not agree.
    Disputed,
}

impl Objects {
    /// Puts a pack into quarantine; `why` is for people who look. It is removed by
    /// [`Objects::carry_out_quarantine`].
    pub async fn quarantine(
        &self,
        key: &PackKey,
        doubt: Doubt,
        why: &str,
    ) -> Result<(), StoreError> {
        let folders = match doubt {
            Doubt::Replaced => &[QUARANTINE][..],
            // It must be suspected before it can have been removed.
            Doubt::Disputed => &[SUSPECTS, QUARANTINE],
        };
        for folder in folders {
            let body = why.to_owned().into();
            self.put_small(&marker(folder, key)?, body, PutRule::Overwrite).await?;
        }
        Ok(())
    }

    /// The packs that are to be removed.
    pub async fn quarantined(&self) -> Result<BTreeSet<PackKey>, StoreError> {
        self.marked(QUARANTINE).await
    }

    /// Whether a pack is to be removed: for those who may see no list.
    pub async fn is_quarantined(&self, key: &PackKey) -> Result<bool, StoreError> {
        Ok(self.head(&marker(QUARANTINE, key)?).await?.is_some())
    }

    /// The packs that are made twice.
    pub async fn suspects(&self) -> Result<BTreeSet<PackKey>, StoreError> {
        self.marked(SUSPECTS).await
    }

    /// Removes the packs that are in quarantine, and gives how many. It may be repeated at any time, and by
    /// several at once.
    pub async fn carry_out_quarantine(&self) -> Result<usize, StoreError> {
        let quarantined = self.quarantined().await?;
        for key in &quarantined {
            // Without its index it is no pack.
            for object in [key.index(), key.pack(), marker(QUARANTINE, key)?] {
                self.delete(&object).await?;
            }
        }
        Ok(quarantined.len())
    }

    /// Forgets suspects of long ago.
    pub async fn forget_old_suspects(&self, now: SystemTime) -> Result<(), StoreError> {
        let mut suspects = self.list(SUSPECTS);
        while let Some(found) = suspects.try_next().await? {
            if now.duration_since(found.modified).unwrap_or_default() > SUSPECTED_FOR {
                self.delete(&found.key).await?;
            }
        }
        Ok(())
    }

    async fn marked(&self, folder: &str) -> Result<BTreeSet<PackKey>, StoreError> {
        let mut marked = BTreeSet::new();
        let mut found = self.list(folder);
        while let Some(facts) = found.try_next().await? {
            let name = facts.key.as_str().rsplit('/').next().unwrap_or_default();
            match name.parse() {
                Ok(key) => drop(marked.insert(key)),
                Err(error) => {
                    tracing::warn!(object = %facts.key, %error, "what is this doing here?")
                }
            }
        }
        Ok(marked)
    }
}

fn marker(folder: &str, key: &PackKey) -> Result<ObjectKey, StoreError> {
    Ok(ObjectKey::new(format!("{folder}/{key}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::ObjectUrl;
    use crate::pack::tests::pack_of;

    #[tokio::test]
    async fn what_is_in_quarantine_goes_and_stays_suspected_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let url = ObjectUrl::Local(folder.path().to_path_buf());
        let objects = Objects::open(&url).await.unwrap();
        let keys = ["disputed", "replaced", "innocent"].map(|name| PackKey::of(name.as_bytes()));
        let [disputed, replaced, innocent] = keys;
        for key in keys {
            let (pack, index) = pack_of(&objects, folder.path(), b"content");
            objects.publish_pack(&key, pack, &index).await.unwrap();
        }
        objects.quarantine(&disputed, Doubt::Disputed, "a and b").await.unwrap();
        objects.quarantine(&replaced, Doubt::Replaced, "by c").await.unwrap();
        assert_eq!(objects.quarantined().await.unwrap(), [disputed, replaced].into());
        assert!(objects.is_quarantined(&disputed).await.unwrap());
        assert!(objects.open_pack(&disputed).await.unwrap().is_some(), "nothing is removed yet");

        assert_eq!(objects.carry_out_quarantine().await.unwrap(), 2);
        assert!(objects.open_pack(&disputed).await.unwrap().is_none());
        assert!(objects.open_pack(&replaced).await.unwrap().is_none());
        assert!(objects.open_pack(&innocent).await.unwrap().is_some());
        assert!(objects.quarantined().await.unwrap().is_empty());
        assert_eq!(objects.carry_out_quarantine().await.unwrap(), 0);

        let now = SystemTime::now();
        objects.forget_old_suspects(now).await.unwrap();
        assert_eq!(objects.suspects().await.unwrap(), [disputed].into());
        objects.forget_old_suspects(now + SUSPECTED_FOR * 2).await.unwrap();
        assert!(objects.suspects().await.unwrap().is_empty());
    }
}
