//! Composition in Google Cloud Storage, on fake-gcs-server behind a front that checks what Google
//! documents.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use prestage_store::compose::ComposeError;
use prestage_store::{
    Compose, Composer, ObjectKey, ObjectUrl, Objects, Part, PutRule, Receipt, Source, StoreError,
    StoreOptions, UploadToken,
};
use support::conformance::{Bench, SMALL_PART, conformance};
use support::faults::{Faults, faults};
use support::google::Google;

/// Pieces of parts are objects of the composition.
const PUT_PIECE: (&str, &str) = ("PUT", ".prestage/");
const COMPOSE: (&str, &str) = ("POST", "/compose");

#[tokio::test]
async fn google_conforms() {
    let server = Google::start().await;
    let folder = tempfile::tempdir().unwrap();
    run(&server, server.open("gs://media/pre fix").await, "gs://media/a b/w 11+.wim").await;
    run(&server, server.open("gs://packs").await, "gs://media/other-bucket.wim").await;
    let packs = ObjectUrl::Local(folder.path().join("packs"));
    let objects = Objects::open_with(&packs, &StoreOptions::default()).await.unwrap();
    run(&server, objects, "gs://media/from-folder.wim").await;
    let out = folder.path().join("out/w.wim");
    run(&server, server.open("gs://packs").await, out.to_str().unwrap()).await;
}

async fn run(server: &Google, objects: Objects, dst: &str) {
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

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_mended() {
    let server = Google::start().await;
    let options = server.options();
    let bench = Bench {
        compose: &Composer::new(options.clone()),
        other: &Composer::new(options.clone()),
        objects: server.open("gs://packs").await,
        dst: ObjectUrl::parse("gs://media/w.wim").unwrap(),
        options,
        part: SMALL_PART,
    };
    bench.put_sources().await;
    faults(&bench, Faults { front: &server.front, place: PUT_PIECE, finish: COMPOSE }).await;
    bench.assert_clean().await;
}

#[tokio::test]
async fn requests_without_the_right_token_are_refused() {
    let server = Google::start().await;
    let composer = Composer::new(server.options_with_token("stolen"));
    let dst = ObjectUrl::parse("gs://media/w.wim").unwrap();
    let refused = composer.begin(&dst, 1).await.unwrap_err();
    assert!(!refused.is_transient(), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("stolen"));
}

/// More whole objects than one request takes, and ranges between them.
struct Many {
    composer: Composer,
    objects: Objects,
    dst: ObjectUrl,
}

/// With two levels of 32, and one more.
const MANY: u32 = 32 * 32 + 3;

impl Many {
    async fn new(server: &Google) -> Self {
        let objects = server.open("gs://media/packs").await;
        for number in 0..3 {
            put(&objects, number, &body(number)).await;
        }
        let dst = ObjectUrl::parse("gs://media/out/many.wim").unwrap();
        Self { composer: Composer::new(server.options()), objects, dst }
    }

    /// Each hundredth part is a range, the others are whole objects.
    fn parts(&self) -> Vec<Part> {
        let mut dst_offset = 0;
        let part = |number| {
            let whole = body(number % 3).len() as u64;
            let range = number % 100 == 50;
            let len = if range { whole - 2 } else { whole };
            let source = Source {
                objects: self.objects.clone(),
                key: key(number % 3),
                offset: u64::from(range),
                if_match: None,
            };
            let part = Part { number, dst_offset, len, source };
            dst_offset += len;
            part
        };
        (0..MANY).map(part).collect()
    }

    async fn place(&self, token: &UploadToken) -> Vec<(Part, Receipt)> {
        let mut placed = Vec::new();
        for part in self.parts() {
            let receipt = self.composer.place(token, &part).await.unwrap().receipt;
            placed.push((part, receipt));
        }
        placed
    }

    fn total(&self) -> u64 {
        self.parts().iter().map(|part| part.len).sum()
    }
}

fn key(number: u32) -> ObjectKey {
    ObjectKey::new(format!("p {number}.pack")).unwrap()
}

fn body(number: u32) -> Bytes {
    format!("the pack of number {number}{}", "!".repeat(number as usize)).into()
}

async fn put(objects: &Objects, number: u32, body: &Bytes) {
    let _ = objects.put_small(&key(number), body.clone(), PutRule::Overwrite).await.unwrap();
}

#[tokio::test]
async fn whole_objects_are_composed_in_a_tree_without_their_bytes() {
    let server = Google::start().await;
    let many = Many::new(&server).await;
    let token = many.composer.begin(&many.dst, many.total()).await.unwrap();
    server.front.take_seen();
    let placed = many.place(&token).await;
    let seen = server.front.take_seen();
    let written: Vec<_> = seen.iter().filter(|seen| seen.line.starts_with("PUT")).collect();
    assert_eq!(written.len(), 10, "only the ranges become objects");
    many.composer.finish(&token, &placed).await.unwrap();
    let seen = server.front.take_seen();
    let composed = seen.iter().filter(|seen| seen.line.contains("/compose")).count();
    assert_eq!(composed, 33 + 2 + 1, "1027 become 33, they become 2, they become the output");
    let (media, name) = Objects::open_around(&many.dst, &server.options()).await.unwrap();
    let found = media.get(&name, u64::MAX).await.unwrap();
    let expected: Vec<u8> = many.parts().iter().flat_map(of_part).collect();
    assert!(found == expected);
    let left: Vec<_> = futures::TryStreamExt::try_collect(media.list("")).await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
}

fn of_part(part: &Part) -> Vec<u8> {
    let whole = body(part.number % 3);
    let start = part.source.offset as usize;
    whole[start..start + part.len as usize].to_vec()
}

#[tokio::test]
async fn an_object_that_changes_after_it_was_placed_is_noticed() {
    let server = Google::start().await;
    let many = Many::new(&server).await;
    let token = many.composer.begin(&many.dst, many.total()).await.unwrap();
    let placed = many.place(&token).await;
    put(&many.objects, 1, &body(1).to_ascii_uppercase().into()).await;
    let changed = many.composer.finish(&token, &placed).await.unwrap_err();
    assert!(matches!(changed, ComposeError::Store(StoreError::Changed { .. })), "{changed}");
    let (media, name) = Objects::open_around(&many.dst, &server.options()).await.unwrap();
    assert!(media.head(&name).await.unwrap().is_none());
    put(&many.objects, 1, &body(1)).await;
    let placed = many.place(&token).await;
    many.composer.finish(&token, &placed).await.unwrap();
    assert_eq!(media.head(&name).await.unwrap().unwrap().bytes, many.total());
}
