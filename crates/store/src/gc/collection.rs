//! One run of the collector.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

use futures::TryStreamExt;

use super::pin::{self, PIN_MAX};
use super::policy::{GarbagePolicy, Item, Why, choose};
use super::{COLLECTING_MAX, mark};
use crate::error::StoreError;
use crate::keys::{ObjectKey, PackKey, StoredObject};
use crate::objects::Objects;

/// Without an age to keep by, uses are remembered for so long: the order in which a size budget is
/// kept hardly depends on older ones.
const USES_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// A run that has set its mark and knows what goes. It must be ended with [`Collection::end`].
pub struct Collection {
    objects: Objects,
    collector: String,
    begun: Instant,
    pub(super) items: Vec<Item>,
    pub(super) chosen: Vec<(usize, Why)>,
}

/// Something that went, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The object that names it.
    pub key: ObjectKey,
    /// Bytes of it and what belongs to it.
    pub bytes: u64,
    /// When a build last used it.
    pub last_use: SystemTime,
    /// Why.
    pub why: Why,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// What went, or would.
    pub removed: Vec<Removed>,
    /// Packs and listings that stay.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Those of them that builds may be using.
    pub pinned: u64,
    /// Chosen, but left for the next run: the time was over.
    pub left: u64,
}

impl Collection {
    /// Sets the mark, looks what is there and what is pinned, and chooses what goes. `collector` is a
    /// name that no other run has.
    ///
    /// # Errors
    /// When the store fails; no mark is left then if it can be helped.
    pub async fn begin(
        objects: &Objects,
        collector: &str,
        policy: &GarbagePolicy,
        now: SystemTime,
    ) -> Result<Self, StoreError> {
        mark::set(objects, collector).await?;
        let begun = Instant::now();
        let found = match look(objects, policy, now).await {
            Ok(items) => items,
            Err(error) => {
                mark::clear(objects, collector).await?;
                return Err(error);
            }
        };
        let chosen = choose(&found, policy, now);
        let (objects, collector) = (objects.clone(), collector.to_owned());
        Ok(Self { objects, collector, begun, items: found, chosen })
    }

    /// What would go, without a mark and without removing anything.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn rehearse(
        objects: &Objects,
        policy: &GarbagePolicy,
        now: SystemTime,
    ) -> Result<Collected, StoreError> {
        let items = look(objects, policy, now).await?;
        let chosen = choose(&items, policy, now);
        Ok(collected(&items, &chosen, chosen.len()))
    }

    /// Removes what goes, clears the mark, and tells what went.
    ///
    /// # Errors
    /// When the store fails; the mark is cleared if it can be.
    pub async fn end(self) -> Result<Collected, StoreError> {
        let mut done = 0;
        let mut failed = None;
        for (number, _) in &self.chosen {
            // Builds that wait for us go on when the time is over, done or not.
            if self.begun.elapsed() >= COLLECTING_MAX {
                break;
            }
            if let Err(error) = self.remove(*number).await {
                failed = Some(error);
                break;
            }
            done += 1;
        }
        mark::clear(&self.objects, &self.collector).await?;
        match failed {
            Some(error) => Err(error),
            None => Ok(collected(&self.items, &self.chosen, done)),
        }
    }

    pub(super) async fn remove(&self, number: usize) -> Result<(), StoreError> {
        for key in &self.items[number].keys {
            self.objects.delete(key).await?;
        }
        Ok(())
    }
}

fn collected(items: &[Item], chosen: &[(usize, Why)], done: usize) -> Collected {
    let removed: Vec<Removed> = chosen
        .iter()
        .take(done)
        .filter_map(|(number, why)| {
            let Item { keys, bytes, last_use, .. } = &items[*number];
            let key = keys.last().cloned();
            key.map(|key| Removed { key, bytes: *bytes, last_use: *last_use, why: *why })
        })
        .collect();
    let bytes = |items: &mut dyn Iterator<Item = u64>| items.sum::<u64>();
    let gone = bytes(&mut removed.iter().map(|removed| removed.bytes));
    Collected {
        kept: (items.len() - removed.len()) as u64,
        kept_bytes: bytes(&mut items.iter().map(|item| item.bytes)) - gone,
        pinned: items.iter().filter(|item| item.pinned).count() as u64,
        left: (chosen.len() - removed.len()) as u64,
        removed,
    }
}

#[derive(Default)]
struct Halves {
    index: Option<(u64, SystemTime)>,
    pack: Option<(u64, SystemTime)>,
}

/// All packs and listings, with what is known of their use. What is pinned is looked at last: the
/// mark is set by then.
async fn look(
    objects: &Objects,
    policy: &GarbagePolicy,
    now: SystemTime,
) -> Result<Vec<Item>, StoreError> {
    let mut packs: HashMap<PackKey, Halves> = HashMap::new();
    let mut found = objects.list("packs");
    while let Some(object) = found.try_next().await? {
        let facts = Some((object.bytes, object.modified));
        match StoredObject::parse(&object.key) {
            Ok(StoredObject::Index(pack)) => packs.entry(pack).or_default().index = facts,
            Ok(StoredObject::Pack(pack)) => packs.entry(pack).or_default().pack = facts,
            // Not ours to remove.
            _ => tracing::warn!(object = %object.key, "an object among packs that is none"),
        }
    }
    let mut items: Vec<Item> =
        packs.into_iter().filter_map(|(key, halves)| pack(key, &halves)).collect();
    let mut found = objects.list("listings");
    while let Some(object) = found.try_next().await? {
        items.push(Item {
            name: object.key.clone(),
            keys: vec![object.key],
            bytes: object.bytes,
            written: object.modified,
            last_use: object.modified,
            pinned: false,
            whole: true,
        });
    }
    items.extend(leftovers(objects, now).await?);
    let uses = pin::uses(objects, policy.keep.unwrap_or(USES_KEPT), now).await?;
    let pinned = pin::pinned(objects, now).await?;
    items.iter_mut().for_each(|item| note_uses(item, &uses, &pinned));
    Ok(items)
}

/// What builds left that ended without anybody's noticing, long ago.
async fn leftovers(objects: &Objects, now: SystemTime) -> Result<Vec<Item>, StoreError> {
    let mut builds: HashMap<String, Item> = HashMap::new();
    let mut found = objects.list("builds");
    while let Some(object) = found.try_next().await? {
        let build = object.key.as_str().split('/').nth(1).unwrap_or_default().to_owned();
        let item = builds.entry(build).or_insert_with(|| Item {
            name: object.key.clone(),
            keys: Vec::new(),
            bytes: 0,
            written: object.modified,
            last_use: object.modified,
            pinned: false,
            whole: false,
        });
        item.keys.push(object.key);
        item.bytes += object.bytes;
        item.written = item.written.max(object.modified);
        item.last_use = item.written;
    }
    let is_old = |item: &Item| now.duration_since(item.written).unwrap_or_default() > PIN_MAX;
    Ok(builds.into_values().filter(is_old).collect())
}

fn note_uses(item: &mut Item, uses: &HashMap<ObjectKey, SystemTime>, pinned: &BTreeSet<ObjectKey>) {
    item.pinned = pinned.contains(&item.name);
    let used = uses.get(&item.name).copied().unwrap_or(item.last_use);
    item.last_use = item.last_use.max(used);
}

/// The index goes first: a pack without one is taken for a killed worker's, and made anew.
fn pack(key: PackKey, halves: &Halves) -> Option<Item> {
    let written = halves.index.iter().chain(&halves.pack).map(|(_, time)| *time).max()?;
    let mut keys = Vec::new();
    keys.extend(halves.index.map(|_| key.index()));
    keys.extend(halves.pack.map(|_| key.pack()));
    let bytes = halves.index.iter().chain(&halves.pack).map(|(bytes, _)| bytes).sum();
    let whole = halves.index.is_some() && halves.pack.is_some();
    let name = key.index();
    Some(Item { name, keys, bytes, written, last_use: written, pinned: false, whole })
}
