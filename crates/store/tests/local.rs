//! Composition in a local folder, from packs in a local folder.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use prestage_store::{Composer, ObjectUrl, Objects, StoreOptions};
use support::conformance::{Bench, S3_PART, conformance};

#[tokio::test]
async fn local_to_local_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let packs = ObjectUrl::Local(folder.path().join("packs"));
    let out = folder.path().join("out put");
    let bench = Bench {
        compose: &Composer::new(StoreOptions::default()),
        other: &Composer::new(StoreOptions::default()),
        objects: Objects::open_with(&packs, &StoreOptions::default()).await.unwrap(),
        dst: ObjectUrl::Local(out.join("w 11+.wim")),
        options: StoreOptions::default(),
        part: S3_PART,
    };
    conformance(&bench).await;
    let left: Vec<_> = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap()).collect();
    // The folder that the suite made for objects of others.
    assert!(left.iter().all(|entry| entry.file_name() == ".prestage"), "{left:?}");
}
