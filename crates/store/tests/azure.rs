//! Composition in Azure, on Microsoft's emulator.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use prestage_store::compose::ComposeError;
use prestage_store::{
    Composer, ObjectKey, ObjectUrl, Objects, Part, PutRule, Source, StoreError, StoreOptions,
};
use support::azurite::Azurite;
use support::conformance::{Bench, SMALL_PART, conformance};
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
    conformance(&Bench {
        compose: &compose,
        other: &other,
        objects,
        dst,
        options,
        part: SMALL_PART,
    })
    .await;
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
        part: SMALL_PART,
    };
    faults(&bench, Faults { front: &server.front, place: PUT_BLOCK, finish: PUT_LIST }).await;
    the_bytes_go_where_they_should(&bench, server, copies).await;
    blocks_that_azure_dropped_are_missed(&bench).await;
    bench.assert_clean().await;
}

/// By the name of the source, for the client library signs special characters wrongly.
async fn the_bytes_go_where_they_should(bench: &Bench<'_>, server: &Azurite, copies: bool) {
    let objects = server.open("az://packs/plain").await;
    let key = ObjectKey::new("packs/0.pack").unwrap();
    let body: Bytes = (0..3_000_000u32).map(|at| (at / 7) as u8).collect();
    let _ = objects.put_small(&key, body.clone(), PutRule::Overwrite).await.unwrap();
    let len = body.len() as u64 - 5;
    let pin = objects.head(&key).await.unwrap().unwrap().etag;
    let source = Source { objects, key, offset: 5, if_match: pin };
    let mut part = Part { number: 0, dst_offset: 0, len, source };
    let token = bench.compose.begin(&bench.dst, len).await.unwrap();
    server.front.take_seen();
    let receipt = bench.compose.place(&token, &part).await.unwrap().receipt;
    let sent: usize = server.front.take_seen().iter().map(|seen| seen.bytes).sum();
    assert_eq!(sent as u64, if copies { 0 } else { len });
    bench.compose.finish(&token, &[(part.clone(), receipt)]).await.unwrap();
    assert!(bench.output().await.unwrap() == body.slice(5..));
    bench.remove_output().await;
    let token = bench.compose.begin(&bench.dst, len).await.unwrap();
    part.source.if_match = Some("\"0x8D0000000000000\"".to_owned());
    let changed = bench.compose.place(&token, &part).await.unwrap_err();
    assert!(matches!(changed, ComposeError::Store(StoreError::Changed { .. })), "{changed}");
    part.source.if_match = None;
    part.source.key = ObjectKey::new("packs/none.pack").unwrap();
    let missing = bench.compose.place(&token, &part).await.unwrap_err();
    assert!(matches!(missing, ComposeError::Store(StoreError::Missing { .. })), "{missing}");
    bench.compose.abort(&token).await.unwrap();
}

/// Whoever makes a blob of its blocks drops all others.
async fn blocks_that_azure_dropped_are_missed(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    let newer = bench.begin().await;
    let newer_placed = bench.place_all(&newer).await;
    bench.compose.finish(&newer, &newer_placed).await.unwrap();
    let newer = bench.etag().await;
    let missed = bench.compose.finish(&token, &placed).await.unwrap_err();
    assert!(matches!(missed, ComposeError::Unplaced { number: 0, .. }), "{missed}");
    assert_eq!(bench.etag().await, newer);
    let there = bench.compose.placed(&token, &bench.parts()).await.unwrap();
    assert!(there.iter().all(Option::is_none));
    // A merge that starts again mends it.
    let placed = bench.place_all(&token).await;
    bench.compose.finish(&token, &placed).await.unwrap();
    assert_ne!(bench.etag().await, newer);
    bench.assert_whole().await;
    bench.remove_output().await;
}
