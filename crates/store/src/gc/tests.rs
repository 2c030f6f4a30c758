//! Builders and collectors in every order, on a real folder.

use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::error::StoreError;
use crate::keys::{BuildId, ObjectKey, PackKey};
use crate::location::ObjectUrl;
use crate::objects::{Objects, PutRule};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

struct Store {
    objects: Objects,
    _folder: TempDir,
}

async fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let url = ObjectUrl::Local(folder.path().to_path_buf());
    Store { objects: Objects::open(&url).await.unwrap(), _folder: folder }
}

pub(super) async fn add_pack(objects: &Objects, name: &str) -> PackKey {
    let key = PackKey::of(name.as_bytes());
    for object in [key.pack(), key.index()] {
        objects.put_small(&object, "bytes".into(), PutRule::Overwrite).await.unwrap();
    }
    key
}

/// Everything is as old as one likes.
fn in_days(days: u32) -> SystemTime {
    SystemTime::now() + DAY * days
}

pub(super) fn keep_a_day() -> GarbagePolicy {
    GarbagePolicy { keep: Some(DAY), ..GarbagePolicy::default() }
}

/// As if an object had been written at another time.
pub(super) fn set_modified(objects: &Objects, key: &ObjectKey, modified: SystemTime) {
    let path = objects.local_path(key).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
}

async fn is_there(objects: &Objects, pack: &PackKey) -> bool {
    let index = objects.head(&pack.index()).await.unwrap().is_some();
    assert_eq!(index, objects.head(&pack.pack()).await.unwrap().is_some(), "halves");
    index
}

#[tokio::test]
async fn what_was_used_or_is_pinned_stays() -> Result<(), StoreError> {
    let Store { objects, _folder } = store().await;
    let [old, used, pinned] = ["old", "used", "pinned"];
    let (old, used, pinned) = (
        add_pack(&objects, old).await,
        add_pack(&objects, used).await,
        add_pack(&objects, pinned).await,
    );
    let (ended, running) = (BuildId::new("ended")?, BuildId::new("running")?);
    Pin::new([used.index()]).put(&objects, &ended).await?;
    Pin::new([pinned.index()]).put(&objects, &running).await?;
    Pin::note_use(&objects, &ended, SystemTime::now()).await?;
    objects.delete(&ended.pin()).await?;

    let rehearsed = Collection::rehearse(&objects, &keep_a_day(), in_days(2)).await?;
    assert_eq!(rehearsed.removed.len(), 2, "the use is two days ago, too");
    assert!(is_there(&objects, &old).await, "a rehearsal removes nothing");
    let now = SystemTime::now() + Duration::from_secs(7200);
    let policy = GarbagePolicy { keep: Some(Duration::from_secs(3600)), ..keep_a_day() };
    // The use is younger than the pack by a file's time only: both are two hours old here.
    let collected = Collection::begin(&objects, "c", &policy, now).await?.end().await?;
    assert_eq!(collected.pinned, 1);
    assert!(is_there(&objects, &pinned).await);
    assert!(!is_there(&objects, &old).await);
    Ok(())
}

#[tokio::test]
async fn a_use_keeps_a_pack_that_was_written_long_ago() -> Result<(), StoreError> {
    let Store { objects, _folder } = store().await;
    let used = add_pack(&objects, "used").await;
    // As if it had been written before the use was noted.
    for key in [used.index(), used.pack()] {
        set_modified(&objects, &key, SystemTime::now() - DAY * 90);
    }
    let build = BuildId::new("b")?;
    Pin::new([used.index()]).put(&objects, &build).await?;
    Pin::note_use(&objects, &build, SystemTime::now()).await?;
    objects.delete(&build.pin()).await?;
    let policy = GarbagePolicy { keep: Some(DAY * 30), ..keep_a_day() };
    let kept = Collection::rehearse(&objects, &policy, in_days(1)).await?;
    assert_eq!((kept.removed.len(), kept.kept), (0, 1));
    let gone = Collection::rehearse(&objects, &policy, in_days(40)).await?;
    assert_eq!(gone.removed.len(), 1, "and the record of the use is gone by then");
    Ok(())
}

#[tokio::test]
async fn a_pack_without_index_is_removed_and_strangers_are_left() -> Result<(), StoreError> {
    let Store { objects, _folder } = store().await;
    let half = add_pack(&objects, "half").await;
    objects.delete(&half.index()).await?;
    let stranger = crate::ObjectKey::new("packs/notes.txt")?;
    objects.put_small(&stranger, "mine".into(), PutRule::Overwrite).await?;
    let policy = GarbagePolicy::default();
    let now = in_days(1);
    let collected = Collection::begin(&objects, "c", &policy, now).await?.end().await?;
    assert_eq!(collected.removed[0].why, Why::Leftover);
    assert!(objects.head(&stranger).await?.is_some());
    Ok(())
}

/// A worker publishes the pack first and its index last: in between there is half a pack.
#[tokio::test]
async fn half_of_a_pinned_pack_is_pinned_however_old_it_looks() -> Result<(), StoreError> {
    let Store { objects, _folder } = store().await;
    let pack = add_pack(&objects, "pack").await;
    objects.delete(&pack.index()).await?;
    Pin::new([pack.index()]).put(&objects, &BuildId::new("b")?).await?;
    let collected =
        Collection::begin(&objects, "c", &keep_a_day(), in_days(2)).await?.end().await?;
    assert_eq!((collected.removed.len(), collected.pinned), (0, 1));
    assert!(objects.head(&pack.pack()).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn what_a_build_left_that_is_gone_goes_in_the_end() -> Result<(), StoreError> {
    let Store { objects, _folder } = store().await;
    let (pack, gone) = (add_pack(&objects, "pack").await, BuildId::new("gone")?);
    Pin::new([pack.index()]).put(&objects, &gone).await?;
    objects.put_small(&gone.placements(), "placements".into(), PutRule::Overwrite).await?;
    let policy = GarbagePolicy::default();
    let soon = Collection::begin(&objects, "c", &policy, in_days(20)).await?.end().await?;
    assert_eq!((soon.removed.len(), soon.pinned), (0, 1));
    let late = Collection::begin(&objects, "c", &policy, in_days(31)).await?.end().await?;
    assert_eq!(late.removed.len(), 1);
    assert_eq!(late.removed[0].why, Why::Leftover);
    assert!(objects.head(&gone.pin()).await?.is_none());
    assert!(objects.head(&gone.placements()).await?.is_none());
    assert!(is_there(&objects, &pack).await, "it may be of use to others");
    Ok(())
}

#[tokio::test]
async fn the_mark_of_a_killed_collector_holds_nobody_up_for_ever() -> Result<(), StoreError> {
    let Store { objects, _folder } = store().await;
    let killed = Collection::begin(&objects, "c", &keep_a_day(), in_days(0)).await?;
    drop(killed);
    assert!(mark::anybody(&objects, SystemTime::now()).await?);
    let later = SystemTime::now() + COLLECTING_MAX + Duration::from_secs(120);
    assert!(!mark::anybody(&objects, later).await?);
    assert!(!mark::anybody(&objects, SystemTime::now()).await?, "it was removed");
    Ok(())
}

/// What a build does, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The build: writes its pin.
    Pin,
    /// The build: looks for collectors. It goes on only when there is none.
    Wait,
    /// The build: looks whether the pack is there. From now on it relies on what it saw.
    Look,
    /// The collector: sets its mark.
    Mark,
    /// The collector: looks what is there and what is pinned.
    Begin,
    /// The collector: removes, clears its mark.
    End,
}

/// All orders of two sequences.
fn orders(a: &[Step], b: &[Step]) -> Vec<Vec<Step>> {
    match (a, b) {
        ([], rest) | (rest, []) => vec![rest.to_vec()],
        ([first, rest @ ..], [other, others @ ..]) => {
            let begin = |step: &Step, orders: Vec<Vec<Step>>| -> Vec<Vec<Step>> {
                let mut all = orders;
                all.iter_mut().for_each(|order| order.insert(0, *step));
                all
            };
            let mut all = begin(first, orders(rest, b));
            all.extend(begin(other, orders(a, others)));
            all
        }
    }
}

/// In every order of a build and a collector, what the build saw stays until it has ended.
#[tokio::test]
async fn what_a_build_saw_stays_in_every_order() -> Result<(), StoreError> {
    let all = orders(&[Step::Pin, Step::Wait, Step::Look], &[Step::Mark, Step::Begin, Step::End]);
    assert_eq!(all.len(), 20);
    let (mut seen_and_kept, mut removed) = (0, 0);
    for order in all {
        let Store { objects, _folder } = store().await;
        let pack = add_pack(&objects, "pack").await;
        let build = BuildId::new("b")?;
        let (mut collection, mut saw, mut blocked) = (None, None, false);
        let mut waiting: std::collections::VecDeque<Step> = order.iter().copied().collect();
        let mut put_off = Vec::new();
        while let Some(step) = waiting.pop_front() {
            if blocked && matches!(step, Step::Look) {
                put_off.push(step);
                continue;
            }
            match step {
                Step::Pin => Pin::new([pack.index()]).put(&objects, &build).await?,
                Step::Wait => {
                    blocked = mark::anybody(&objects, SystemTime::now()).await?;
                    if blocked {
                        put_off.push(Step::Wait);
                    }
                }
                Step::Look => saw = Some(is_there(&objects, &pack).await),
                Step::Mark => mark::set(&objects, "c").await?,
                Step::Begin => {
                    collection =
                        Some(Collection::begin(&objects, "c", &keep_a_day(), in_days(2)).await?);
                }
                Step::End => {
                    collection.take().unwrap().end().await?;
                    // Whoever waited goes on.
                    blocked = false;
                    waiting.extend(put_off.drain(..));
                }
            }
        }
        assert!(put_off.is_empty(), "{order:?}");
        let there = is_there(&objects, &pack).await;
        assert_eq!(saw, Some(there), "what it saw is what is there: {order:?}");
        if there { seen_and_kept += 1 } else { removed += 1 }
    }
    assert!(seen_and_kept > 0 && removed > 0, "both happen: {seen_and_kept}, {removed}");
    Ok(())
}
