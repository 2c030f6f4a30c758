//! Marked secrets go through a whole fleet, and then everything that it wrote or said is searched for
//! them: in every form that anybody might have written them in.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "support/canary.rs"]
mod canary;
#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/collector.rs"]
mod collector;
#[path = "support/marks.rs"]
mod marks;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::collections::BTreeSet;

use canary::{Fleet, JOIN, MEDIA_PASSWORD, PRODUCT, medium_of, secrets_of};
use collector::collector;
use futures::StreamExt;
use marks::Marks;
use object_store::{ObjectStore, ObjectStoreExt};
use prost_reflect::prost::Message;
use seaweed::Seaweed;
use support::{Demo, files_below, variables};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_fleet_is_seen_anywhere() {
    let (endpoint, mut spans) = collector().await;
    let store = Seaweed::start_with_secret(canary::S3_SECRET).await;
    let environment = store.environment().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fleet = tokio::task::spawn_blocking(move || {
        let mut fleet = Fleet::new(&endpoint, &environment);
        fleet.work();
        fleet
    });
    let fleet = fleet.await.unwrap();
    let demo = &fleet.demo;

    // The secrets really went this way: the medium has them, for whoever knows its password.
    let medium = store.client("media").get(&"w11.wim".into()).await.unwrap().bytes().await.unwrap();
    let apart = Demo { dir: tempfile::tempdir().unwrap() };
    std::fs::write(apart.path("w11.wim"), &medium).unwrap();
    let held = variables(&apart, &apart.path("w11.wim"), MEDIA_PASSWORD);
    assert_eq!((&held["JoinPassword"], &held["ProductKey"]), (&JOIN.into(), &PRODUCT.into()));
    assert!(
        held["_SMSTSPrestartCommand"].as_str().unwrap_or_default().contains(PRODUCT)
            || held.to_string().matches(PRODUCT).count() > 1,
        "the prestart command has one of them"
    );

    let marks = Marks::new(&secrets_of(&fleet, &medium_of(&held)));
    can_fail(&marks);
    let mut found = BTreeSet::new();
    let mut told = |place: String, what: Vec<String>| {
        found.extend(what.into_iter().map(|what| format!("{place}: {what}")));
    };
    // All that any process wrote: logs, folders, temporary files, plans, keys' programs.
    for path in files_below(demo.dir.path()) {
        if !fleet.is_own_file(&path) {
            told(
                path.display().to_string(),
                marks.found_in_file(&demo.path(path.to_str().unwrap())),
            );
        }
    }
    for bucket in ["packs", "media"] {
        let client = store.client(bucket);
        let all: Vec<_> = client.list(None).collect().await;
        assert!(all.len() > 3, "{bucket} has {} objects", all.len());
        for object in all {
            let location = object.unwrap().location;
            let bytes = client.get(&location).await.unwrap().bytes().await.unwrap();
            told(format!("{bucket}/{location}"), marks.found_unpacked(&bytes));
        }
    }
    let unpacked = apart.path("unpacked");
    let (from, to) = (apart.path("w11.wim"), unpacked.to_str().unwrap());
    support::wimlib(["apply", from.to_str().unwrap(), "1", to]);
    for path in files_below(&unpacked) {
        told(format!("medium: {}", path.display()), marks.found_in_file(&unpacked.join(&path)));
    }
    let dump = fleet.postgres.dump();
    assert!(dump.contains("COPY public.builds") && dump.contains("COPY public.enrolments"));
    told("database".into(), marks.found_in(dump.as_bytes()));
    for column in byte_columns(&dump) {
        told("a column of the database".into(), marks.found_unpacked(&column));
    }
    let mut number = 0;
    while let Ok(span) = spans.try_recv() {
        told(format!("the span '{}'", span.name), marks.found_in(&span.encode_to_vec()));
        number += 1;
    }
    assert!(number > 100, "{number} spans");
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "secrets were seen:\n{}", found.join("\n"));
}

/// A search that finds nothing must be one that would have found something.
fn can_fail(marks: &Marks) {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("plain"), folder.path().join("packed"));
    assert!(marks.forms().len() > 100, "{} forms", marks.forms().len());
    for form in marks.forms() {
        let text = [&b"\x00before "[..], &form.bytes, b" after"].concat();
        std::fs::write(&plain, &text).unwrap();
        let compressed = zstd::encode_all(&text[..], 3).unwrap();
        std::fs::write(&packed, [b"a header", &compressed[..]].concat()).unwrap();
        for path in [&plain, &packed] {
            assert!(marks.found_in_file(path).contains(&form.to_string()), "{form} is not found");
        }
    }
    // What is encoded in base64 somewhere in a longer text is found too, wherever it begins there.
    use base64::{Engine, engine::general_purpose::STANDARD};
    for before in ["", "a", "ab"] {
        let text = STANDARD.encode(format!("{before}{MEDIA_PASSWORD} and more"));
        assert!(!marks.found_in(text.as_bytes()).is_empty(), "{text}");
    }
    assert!(marks.found_in(b"nothing of it").is_empty());
}

/// The columns of bytes in a dump, decoded.
fn byte_columns(dump: &str) -> Vec<Vec<u8>> {
    let columns = dump.split(['\t', '\n']).filter_map(|column| column.strip_prefix("\\\\x"));
    let columns: Vec<_> = columns.filter_map(|column| hex::decode(column).ok()).collect();
    assert!(columns.len() > 20, "{} columns of bytes", columns.len());
    columns
}
