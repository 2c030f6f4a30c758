//! Garbage collection on every kind of store.

use std::time::{Duration, SystemTime};

use prestage_store::gc::{Collection, GarbagePolicy, Pin, wait_for_collectors};
use prestage_store::{BuildId, Objects, PackKey, PutRule};

const DAY: Duration = Duration::from_secs(86_400);

async fn put(objects: &Objects, name: &str) -> PackKey {
    let pack = PackKey::of(name.as_bytes());
    for key in [pack.pack(), pack.index()] {
        objects.put_small(&key, "bytes".into(), PutRule::Overwrite).await.unwrap();
    }
    pack
}

async fn is_there(objects: &Objects, pack: &PackKey) -> bool {
    objects.head(&pack.index()).await.unwrap().is_some()
}

/// What is pinned stays, what nobody uses goes, and nobody is held up afterwards.
pub async fn garbage_goes_and_what_is_pinned_stays(objects: &Objects) {
    let (used, unused) = (put(objects, "used").await, put(objects, "unused").await);
    let build = BuildId::new("b-1").unwrap();
    Pin::new([used.index()]).put(objects, &build).await.unwrap();
    let policy = GarbagePolicy { keep: Some(DAY), ..GarbagePolicy::default() };
    let now = SystemTime::now() + DAY * 2;
    let collection = Collection::begin(objects, "run-1", &policy, now).await.unwrap();
    let collected = collection.end().await.unwrap();
    let gone = |pack: &PackKey| collected.removed.iter().any(|item| item.key == pack.pack());
    assert!(gone(&unused) && !gone(&used), "{collected:?}");
    assert!(is_there(objects, &used).await && !is_there(objects, &unused).await);
    let waited = tokio::time::timeout(Duration::from_secs(20), wait_for_collectors(objects)).await;
    waited.expect("the mark is cleared").unwrap();
    // The build ends: what it used is kept as long as is asked for.
    Pin::note_use(objects, &build, SystemTime::now()).await.unwrap();
    objects.delete(&build.pin()).await.unwrap();
    let young = Collection::rehearse(objects, &policy, SystemTime::now()).await.unwrap();
    assert!(young.removed.iter().all(|item| item.key != used.pack()), "{young:?}");
    let collection = Collection::begin(objects, "run-2", &policy, now + DAY * 9).await.unwrap();
    collection.end().await.unwrap();
    assert!(!is_there(objects, &used).await);
}
