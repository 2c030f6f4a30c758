//! Composition and packs on a real S3 server.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::multipart::MultipartStore;
use prestage_store::compose::ComposeError;
use prestage_store::pack::{PackContents, PackFacts, ResourceEntry};
use prestage_store::{
    CHUNK, Compose, Composer, ObjectKey, ObjectUrl, Objects, PackIndex, PackKey, Part, PutRule,
    Source, StoreOptions,
};
use std::time::{Duration, SystemTime};
use support::conformance::{Bench, S3_PART, conformance};
use support::faults::{Faults, faults};
use support::front::{Fault, Front};
use support::seaweed::Seaweed;

/// One server for all, because it takes seconds to start.
#[tokio::test]
async fn s3_conforms() {
    let server = Seaweed::start().await;
    let folder = tempfile::tempdir().unwrap();
    same_server(&server).await;
    what_goes_wrong_on_the_way(&server).await;
    an_error_in_an_answer_of_success_is_an_error(&server).await;
    more_parts_than_a_list_has(&server).await;
    the_server_copies_what_is_too_large_for_memory(&server).await;
    part_copy_off(&server).await;
    local_to_s3(&server, folder.path()).await;
    s3_to_local(&server, folder.path()).await;
    packs_are_published_and_read(&server, folder.path()).await;
    listing_is_below_the_prefix(&server).await;
    uploads_of_killed_workers_are_given_up(&server).await;
    uploads_of_media_that_nobody_knows_of_are_given_up(&server).await;
}

/// A medium's own and its volumes', but for the one that a build makes; a name that only begins so is another's.
async fn uploads_of_media_that_nobody_knows_of_are_given_up(server: &Seaweed) {
    let (client, composer) = (server.client("media"), Composer::new(server.options()));
    let output = ObjectUrl::parse("s3://media/lost/w11.wim").unwrap();
    let token = composer.begin(&output, 5).await.unwrap();
    let mut open = Vec::new();
    for (key, is_ours) in
        [("lost/w11.wim", true), ("lost/w112.swm", true), ("lost/w11-b.wim", false)]
    {
        let path = object_store::path::Path::from(key);
        open.push((client.create_multipart(&path).await.unwrap(), path, is_ours));
    }
    let (day, now) = (Duration::from_secs(86_400), SystemTime::now());
    let tomorrow = now + day + Duration::from_secs(60);
    let live = [token.clone()];
    assert_eq!(composer.reap_output(&output, &live, day, now).await.unwrap(), 0);
    assert_eq!(composer.reap_output(&output, &live, day, tomorrow).await.unwrap(), 2);
    for (id, path, is_ours) in open {
        let part = client.put_part(&path, &id, 0, Bytes::from_static(b"more").into()).await;
        assert_eq!(part.is_err(), is_ours, "{path}: {part:?}");
        let _ = client.abort_multipart(&path, &id).await;
    }
    assert_eq!(composer.placed(&token, &[]).await.unwrap(), []);
    composer.abort(&token).await.unwrap();
    assert_eq!(composer.reap_output(&output, &[], day, tomorrow).await.unwrap(), 0);
}

/// Those of our own keys, when they are old enough: others in the bucket are other people's.
async fn uploads_of_killed_workers_are_given_up(server: &Seaweed) {
    let objects = server.open("s3://packs/killed").await;
    let client = server.client("packs");
    let pack = objects.store_path(&PackKey::of(b"killed").pack()).unwrap();
    let (others, outside) = ("killed/packs/else".into(), "packs/else.pack".into());
    let mut open = Vec::new();
    for path in [&pack, &others, &outside] {
        let id = client.create_multipart(path).await.unwrap();
        client.put_part(path, &id, 0, Bytes::from_static(b"half").into()).await.unwrap();
        open.push((path, id));
    }
    let composer = Composer::new(server.options());
    let (day, now) = (Duration::from_secs(86_400), SystemTime::now());
    assert_eq!(composer.reap_uploads(&objects, day, now).await.unwrap(), 0);
    let tomorrow = now + day + Duration::from_secs(60);
    assert_eq!(composer.reap_uploads(&objects, day, tomorrow).await.unwrap(), 1);
    assert_eq!(composer.reap_uploads(&objects, day, tomorrow).await.unwrap(), 0);
    for (path, id) in open {
        let part = client.put_part(path, &id, 1, Bytes::from_static(b"more").into()).await;
        assert_eq!(part.is_err(), *path == pack, "{path}: {part:?}");
        let _ = client.abort_multipart(path, &id).await;
    }
}

async fn run(compose: &Composer, objects: Objects, dst: &str, options: StoreOptions) {
    let other = Composer::new(options.clone());
    let dst = ObjectUrl::parse(dst).unwrap();
    conformance(&Bench { compose, other: &other, objects, dst, options, part: S3_PART }).await;
}

/// The server copies the parts: they may be larger than what goes through memory.
async fn same_server(server: &Seaweed) {
    let objects = server.open("s3://packs/pre fix").await;
    let composer = Composer::new(server.options());
    let dst = "s3://media/a b/w 11+.wim";
    let rules = composer.part_rules(&ObjectUrl::parse(dst).unwrap(), &objects);
    assert_eq!(rules.max_bytes, 1 << 30);
    run(&composer, objects, dst, server.options()).await;
}

/// Proof that no byte comes through here: such a part is refused where it would.
async fn the_server_copies_what_is_too_large_for_memory(server: &Seaweed) {
    let objects = server.open("s3://packs").await;
    let body: Vec<u8> = (0..48u32 << 20).map(|n| (n / 3) as u8).collect();
    let key = ObjectKey::new("large").unwrap();
    let body = Bytes::from(body);
    let put = objects.put_small(&key, body.clone(), PutRule::Overwrite);
    let _ = put.await.unwrap();
    let dst = ObjectUrl::parse("s3://media/large").unwrap();
    let part = Part {
        number: 0,
        dst_offset: 0,
        len: body.len() as u64 - 5,
        source: Source { objects: objects.clone(), key, offset: 5, if_match: None },
    };
    for copies in [false, true] {
        let setting = [("PRESTAGE_S3_PART_COPY", if copies { "true" } else { "false" })];
        let composer = Composer::new(server.options_with(&setting));
        let token = composer.begin(&dst, part.len).await.unwrap();
        let placed = composer.place(&token, &part).await;
        if !copies {
            assert!(matches!(placed, Err(ComposeError::LargePart { .. })));
            composer.abort(&token).await.unwrap();
            continue;
        }
        let placed = placed.unwrap();
        assert_eq!(placed.copied, part.len, "and it is told so");
        let placed = [(part.clone(), placed.receipt)];
        composer.finish(&token, &placed).await.unwrap();
        let (media, key) = Objects::open_around(&dst, &server.options()).await.unwrap();
        assert!(media.get(&key, u64::MAX).await.unwrap() == body.slice(5..));
    }
}

async fn part_copy_off(server: &Seaweed) {
    let options = server.options_with(&[("PRESTAGE_S3_PART_COPY", "false")]);
    let objects = server.open("s3://packs").await;
    let composer = Composer::new(options.clone());
    let dst = "s3://media/off.wim";
    let rules = composer.part_rules(&ObjectUrl::parse(dst).unwrap(), &objects);
    assert_eq!(rules.max_bytes, 40 << 20);
    run(&composer, objects, dst, options).await;
}

async fn local_to_s3(server: &Seaweed, folder: &std::path::Path) {
    let packs = ObjectUrl::Local(folder.join("packs"));
    let objects = Objects::open_with(&packs, &StoreOptions::default()).await.unwrap();
    let composer = Composer::new(server.options());
    run(&composer, objects, "s3://media/from-local.wim", server.options()).await;
}

async fn s3_to_local(server: &Seaweed, folder: &std::path::Path) {
    let objects = server.open("s3://packs").await;
    let composer = Composer::new(server.options());
    let dst = folder.join("out/w.wim");
    run(&composer, objects, dst.to_str().unwrap(), server.options()).await;
    let left = std::fs::read_dir(folder.join("out")).unwrap();
    assert!(left.into_iter().all(|entry| entry.unwrap().file_name() == ".prestage"));
}

const PART_PUT: (&str, &str) = ("PUT", "partNumber=");
const COMPLETE: (&str, &str) = ("POST", "uploadId=");

async fn what_goes_wrong_on_the_way(server: &Seaweed) {
    let front = Front::plain(server.port()).await;
    for copies in ["true", "false"] {
        let url = front.url();
        let settings = [("AWS_ENDPOINT", url.as_str()), ("PRESTAGE_S3_PART_COPY", copies)];
        let options = server.options_with(&settings);
        let packs = ObjectUrl::parse("s3://packs/front").unwrap();
        let objects = Objects::open_with(&packs, &options).await.unwrap();
        let bench = Bench {
            compose: &Composer::new(options.clone()),
            other: &Composer::new(options.clone()),
            objects,
            dst: ObjectUrl::parse("s3://media/front/w.wim").unwrap(),
            options,
            part: S3_PART,
        };
        bench.put_sources().await;
        faults(&bench, Faults { front: &front, place: PART_PUT, finish: COMPLETE }).await;
        bench.assert_clean().await;
    }
}

/// S3 begins to answer before it knows how it ends.
async fn an_error_in_an_answer_of_success_is_an_error(server: &Seaweed) {
    let front = Front::plain(server.port()).await;
    let options = server.options_with(&[("AWS_ENDPOINT", front.url().as_str())]);
    let packs = ObjectUrl::parse("s3://packs/front").unwrap();
    let bench = Bench {
        compose: &Composer::new(options.clone()),
        other: &Composer::new(options.clone()),
        objects: Objects::open_with(&packs, &options).await.unwrap(),
        dst: ObjectUrl::parse("s3://media/front/200.wim").unwrap(),
        options,
        part: S3_PART,
    };
    let error = |code: &str| {
        Fault::Answer(200, format!("<Error><Code>{code}</Code><Message>late</Message></Error>"))
    };
    let token = bench.begin().await;
    front.once(PART_PUT.0, PART_PUT.1, error("AccessDenied"));
    let late = bench.compose.place(&token, &bench.parts()[0]).await.unwrap_err();
    assert!(late.to_string().contains("AccessDenied: late"), "{late}");
    front.once(PART_PUT.0, PART_PUT.1, error("InternalError"));
    let placed = bench.place_all(&token).await;
    front.once(COMPLETE.0, COMPLETE.1, error("AccessDenied"));
    let late = bench.compose.finish(&token, &placed).await;
    // The client sends the same request again by itself.
    front.assert_all_failed();
    if let Err(error) = late {
        assert!(bench.output().await.is_none(), "{error}");
        bench.compose.finish(&token, &placed).await.unwrap();
    }
    bench.assert_whole().await;
    bench.remove_output().await;
}

/// S3 lists a thousand parts at once.
async fn more_parts_than_a_list_has(server: &Seaweed) {
    let objects = server.open("s3://packs").await;
    let key = ObjectKey::new("small").unwrap();
    let put = objects.put_small(&key, Bytes::from(vec![7; 4096]), PutRule::Overwrite);
    let _ = put.await.unwrap();
    let composer = Composer::new(server.options());
    let dst = ObjectUrl::parse("s3://media/many").unwrap();
    let part = |number: u32| Part {
        number,
        dst_offset: u64::from(number) * 10,
        len: 10,
        source: Source { objects: objects.clone(), key: key.clone(), offset: 3, if_match: None },
    };
    let parts: Vec<_> = (0..1015).map(part).collect();
    let token = composer.begin(&dst, 10_150).await.unwrap();
    let placing = parts.iter().filter(|part| part.number != 500);
    let placing = placing.map(async |part| composer.place(&token, part).await);
    let _: Vec<_> = stream::iter(placing).buffered(8).try_collect().await.unwrap();
    for range in [0..parts.len(), 490..510, 999..1015] {
        let there = composer.placed(&token, &parts[range.clone()]).await.unwrap();
        let missing: Vec<_> =
            range.clone().zip(there).filter(|(_, receipt)| receipt.is_none()).collect();
        let expected: &[usize] = if range.contains(&500) { &[500] } else { &[] };
        assert!(missing.iter().map(|(number, _)| *number).eq(expected.iter().copied()));
    }
    composer.abort(&token).await.unwrap();
}

/// One pack that is put whole and one that goes up in parts.
async fn packs_are_published_and_read(server: &Seaweed, folder: &std::path::Path) {
    let objects = server.open("s3://packs/store").await;
    let staging = folder.join("staging");
    for bytes in [1000, 2 * CHUNK + 5] {
        let body: Vec<u8> = (0..bytes).map(|n| (n * 31 / 7) as u8).collect();
        let key = PackKey::of(&body);
        assert!(objects.open_pack(&key).await.unwrap().is_none());
        for expected in [true, false] {
            let mut writer = objects.pack_writer(&staging).unwrap();
            writer.append(&body).unwrap();
            let pack = writer.finish().unwrap();
            let index = index(&pack);
            let published = objects.publish_pack(&key, pack, &index).await.unwrap();
            assert_eq!(published.written, expected);
        }
        let reader = objects.open_pack(&key).await.unwrap().unwrap();
        assert!(reader.seen().tag.is_some());
        assert!(objects.is_still(&key, reader.seen()).await.unwrap());
        let mut read = Vec::new();
        for chunk in 0..bytes.div_ceil(CHUNK) {
            read.extend(reader.get_chunk(chunk).await.unwrap());
        }
        assert!(read == body);
    }
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
}

fn index(pack: &prestage_store::pack::FinishedPack) -> PackIndex {
    let contents = PackContents {
        pack_bytes: pack.bytes(),
        chunk_digests: pack.chunk_digests().to_vec(),
        resources: vec![ResourceEntry {
            sha1: [1; 20],
            sha256: None,
            offset: 0,
            stored_bytes: pack.bytes(),
            original_bytes: pack.bytes(),
            compressed: false,
        }],
        tree: None,
        xml: None,
        facts: PackFacts::default(),
    };
    PackIndex::new("p", contents).unwrap()
}

async fn listing_is_below_the_prefix(server: &Seaweed) {
    let objects = server.open("s3://packs/store").await;
    let found: Vec<_> = objects.list("packs").try_collect().await.unwrap();
    assert_eq!(found.len(), 4, "two packs and their indexes");
    for facts in found {
        assert!(prestage_store::StoredObject::parse(&facts.key).is_ok());
        assert_eq!(objects.head(&facts.key).await.unwrap().unwrap().bytes, facts.bytes);
    }
}
