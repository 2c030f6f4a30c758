//! Composition in Azure, on Microsoft's emulator.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use prestage_store::compose::ComposeError;
use prestage_store::{Composer, ObjectKey, ObjectUrl, Objects, PutRule, StoreOptions};
use support::azurite::Azurite;
use support::conformance::{Bench, conformance};
use support::faults::{Faults, faults};

const PUT_BLOCK: (&str, &str) = ("PUT", "comp=block&");
const PUT_LIST: (&str, &str) = ("PUT", "comp=blocklist");

/// Azurite alone says 501 to Put Block From URL: every block goes through memory.
#[tokio::test]
async fn azure_that_does_not_copy_conforms() {
    suite(&Azurite::start().await, false).await;
}

#[tokio::test]
async fn azure_that_copies_conforms_and_no_byte_comes_here() {
    suite(&Azurite::start_copying().await, true).await;
}

#[tokio::test]
async fn a_folder_and_azure_compose_from_each_other() {
    let server = Azurite::start().await;
    let folder = tempfile::tempdir().unwrap();
    let packs = ObjectUrl::Local(folder.path().join("packs"));
    let objects = Objects::open_with(&packs, &StoreOptions::default()).await.unwrap();
    run(&server, objects, "az://media/from-folder.wim").await;
    let out = folder.path().join("out/w.wim");
    run(&server, server.open("az://packs").await, out.to_str().unwrap()).await;
}

async fn run(server: &Azurite, objects: Objects, dst: &str) {
    let options = server.options();
    let (compose, other) = (Composer::new(options.clone()), Composer::new(options.clone()));
    let dst = ObjectUrl::parse(dst).unwrap();
    conformance(&Bench { compose: &compose, other: &other, objects, dst, options }).await;
}

async fn suite(server: &Azurite, copies: bool) {
    let objects = server.open("az://packs/pre fix").await;
    run(server, objects.clone(), "az://media/a b/w 11+.wim").await;
    let options = server.options();
    let bench = Bench {
        compose: &Composer::new(options.clone()),
        other: &Composer::new(options.clone()),
        objects,
        dst: ObjectUrl::parse("az://media/w.wim").unwrap(),
        options,
    };
    faults(&bench, Faults { front: &server.front, place: PUT_BLOCK, finish: PUT_LIST }).await;
    the_bytes_go_where_they_should(&bench, server, copies).await;
    blocks_that_azure_dropped_are_missed(&bench).await;
    bench.assert_clean().await;
}

async fn the_bytes_go_where_they_should(bench: &Bench<'_>, server: &Azurite, copies: bool) {
    let token = bench.begin().await;
    server.front.take_seen();
    bench.place_all(&token).await;
    let sent: usize = server.front.take_seen().iter().map(|seen| seen.bytes).sum();
    let parts: u64 = bench.parts().iter().map(|part| part.len).sum();
    assert_eq!(sent as u64, if copies { 0 } else { parts });
    bench.compose.abort(&token).await.unwrap();
}

/// Whoever writes the blob in one piece drops the blocks.
async fn blocks_that_azure_dropped_are_missed(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    let (objects, key) = Objects::open_around(&bench.dst, &bench.options).await.unwrap();
    let body = Bytes::from_static(b"another");
    let _ = objects.put_small(&key, body.clone(), PutRule::Overwrite).await.unwrap();
    let missed = bench.compose.finish(&token, &placed).await.unwrap_err();
    assert!(matches!(missed, ComposeError::Unplaced { number: 0, .. }), "{missed}");
    assert_eq!(bench.output().await, Some(body));
    let there = bench.compose.placed(&token, &bench.parts()).await.unwrap();
    assert!(there.iter().all(Option::is_none));
    // A merge that starts again mends it, over the object that is there.
    let placed = bench.place_all(&token).await;
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    let key = ObjectKey::new("w.wim").unwrap();
    objects.delete(&key).await.unwrap();
}
