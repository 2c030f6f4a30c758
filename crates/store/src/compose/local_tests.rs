//! Tests of what only local composition does. The conformance suite has the rest.

use super::*;
use crate::compose::{Compose, Composer};
use crate::location::ObjectUrl;
use crate::options::StoreOptions;

#[test]
fn copying_by_hand_gives_the_same_bytes_as_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..3_000_001u32).map(|n| (n * 7 / 5) as u8).collect();
    let path = folder.path().join("source");
    std::fs::write(&path, &body).unwrap();
    let source = File::open(&path).unwrap();
    let copy = FileCopy { from: 5, to: 100, bytes: 2_999_990 };
    let mut results = Vec::new();
    for by_hand in [false, true] {
        let partial = folder.path().join(format!("target{by_hand}"));
        let target = File::create(&partial).unwrap();
        if by_hand {
            copy.by_hand(&source, &path, &target, &partial).unwrap();
        } else {
            copy.run(&path, &target, &partial).unwrap();
        }
        results.push(std::fs::read(&partial).unwrap());
    }
    assert!(results[0][100..] == body[5..2_999_995]);
    assert!(results[0] == results[1]);
}

#[tokio::test]
async fn an_abandoned_composition_is_reaped_and_a_live_one_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let composer = Composer::new(StoreOptions::default());
    let dst = ObjectUrl::Local(folder.path().join("w.wim"));
    let live = composer.begin(&dst, 10).await.unwrap();
    let _dead = composer.begin(&dst, 10).await.unwrap();
    let hour = Duration::from_secs(3600);
    let (now, live) = (SystemTime::now(), [live]);
    let out = ObjectUrl::Local(folder.path().to_owned());
    let reap = async |now| composer.reap(&out, &live, hour, now).await.unwrap().compositions;
    assert_eq!(reap(now).await, 0);
    assert_eq!(reap(now + 2 * hour).await, 1);
    assert_eq!(reap(now + 2 * hour).await, 0);
    let nowhere = ObjectUrl::Local(folder.path().join("nowhere"));
    assert_eq!(composer.reap(&nowhere, &[], hour, now).await.unwrap(), Reaped::default());
    composer.abort(&live[0]).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
