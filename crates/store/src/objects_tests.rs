//! Tests of an open store, on a folder.

use std::os::unix::fs::PermissionsExt;

use futures::TryStreamExt;

use super::*;

async fn store() -> (tempfile::TempDir, Objects) {
    let folder = tempfile::tempdir().unwrap();
    let url = ObjectUrl::Local(folder.path().join("objects"));
    (folder, Objects::open(&url).await.unwrap())
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

#[tokio::test]
async fn a_new_local_store_is_the_owners_alone() {
    let (folder, _objects) = store().await;
    let mode = folder.path().join("objects").metadata().unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn create_keeps_what_is_there_and_overwrite_replaces_it() {
    let (_folder, objects) = store().await;
    let key = key("builds/b 1/recipe");
    let put = async |text: &'static str, rule| {
        let body = Bytes::from_static(text.as_bytes());
        objects.put_small(&key, body, rule).await.unwrap()
    };
    assert_eq!(put("one", PutRule::CreateIfAbsent).await, PutOutcome::Written);
    assert_eq!(put("two", PutRule::CreateIfAbsent).await, PutOutcome::AlreadyThere);
    assert_eq!(objects.get(&key, 100).await.unwrap(), "one");
    assert_eq!(put("three", PutRule::Overwrite).await, PutOutcome::Written);
    assert_eq!(objects.get_range(&key, 1..3).await.unwrap(), "hr");
    assert_eq!(objects.head(&key).await.unwrap().unwrap().bytes, 5);
}

#[tokio::test]
async fn missing_short_and_large_objects_are_told_apart() {
    let (_folder, objects) = store().await;
    let key = key("x");
    assert!(objects.head(&key).await.unwrap().is_none());
    let missing = objects.get(&key, 1).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }));
    let body = Bytes::from_static(b"12345");
    let _ = objects.put_small(&key, body, PutRule::Overwrite).await.unwrap();
    let large = objects.get(&key, 4).await.unwrap_err();
    assert!(matches!(large, StoreError::TooLarge { size: 5, limit: 4, .. }));
    let short = objects.get_range(&key, 3..9).await.unwrap_err();
    assert!(matches!(short, StoreError::Short { got: 2, .. }));
    objects.delete(&key).await.unwrap();
    objects.delete(&key).await.unwrap();
}

#[tokio::test]
async fn a_listing_leaves_out_what_is_being_written() {
    let (_folder, objects) = store().await;
    for name in ["packs/ab/1", "packs/cd/2", "builds/3"] {
        let body = Bytes::from_static(b"x");
        let _ = objects.put_small(&key(name), body, PutRule::Overwrite).await.unwrap();
    }
    let staging = objects.staging_folder(Path::new("/nowhere"));
    make_private_folder(&staging).unwrap();
    std::fs::write(staging.join("half.tmp"), "x").unwrap();
    let listed = async |folder: &str| {
        let found: Vec<_> = objects.list(folder).try_collect().await.unwrap();
        let mut keys: Vec<_> = found.iter().map(|facts| facts.key.to_string()).collect();
        keys.sort();
        keys
    };
    assert_eq!(listed("").await, ["builds/3", "packs/ab/1", "packs/cd/2"]);
    assert_eq!(listed("packs").await, ["packs/ab/1", "packs/cd/2"]);
}
