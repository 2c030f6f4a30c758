//! Packs and medium in a real S3 server, and the same bytes as on a local disk.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::{ffi::OsStr, path::Path};

use prestage_store::ObjectKey;
use seaweed::Seaweed;
use support::{Demo, assert_clean, command, ok, prestage};

const MEDIUM_BYTES_MAX: u64 = 1 << 30;

#[tokio::test(flavor = "multi_thread")]
async fn packs_and_medium_in_a_bucket() {
    let server = Seaweed::start().await;
    let demo = Demo::new();
    let (plan, data) = (demo.path("saved.plan"), demo.path("data"));
    let (plan, data) = (plan.to_str().unwrap(), data.to_str().unwrap());
    let spec = demo.spec();
    ok(&prestage(&demo, ["plan", spec.to_str().unwrap(), "--save", plan, "--data-dir", data]));
    let local = demo.path("local.wim");
    let build = ["build", "--json", "--plan", plan, "--data-dir", data, "--output"];
    ok(&prestage(&demo, build.iter().copied().chain([local.to_str().unwrap()])));

    let in_bucket = |args: &[&str]| {
        let mut command = command(&demo);
        command.args(args.iter().map(OsStr::new)).envs(server.environment());
        ok(&command.output().unwrap())
    };
    let bucket = ["s3://media/factory/w11.wim", "--objects", "s3://packs/site one"];
    let document = in_bucket(&[&build[..], &bucket[..]].concat());
    assert_eq!(document["report"]["content_bytes"]["reused"], 0);
    let verified = in_bucket(&["verify", "--json", "s3://media/factory/w11.wim"]);
    assert_eq!(verified["manifest"], "agrees");
    let warm = in_bucket(&[&build[..], &bucket[..]].concat());
    assert_eq!(warm["report"]["content_bytes"]["made"], 0);

    let objects = server.open("s3://media").await;
    let key = ObjectKey::new("factory/w11.wim").unwrap();
    let medium = objects.get(&key, MEDIUM_BYTES_MAX).await.unwrap();
    assert!(medium == std::fs::read(local).unwrap(), "the bucket has other bytes");
    assert_clean(&demo);
}

/// A folder gets packs copied whole, a bucket by whole chunks, and the bytes are the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_split_medium_in_a_bucket() {
    let server = Seaweed::start().await;
    let demo = Demo::of_mib(120);
    let file = "file = \"out/w11-sample.wim\"";
    demo.edit_spec(file, &format!("{file}\nsplit_mib = 18"));
    let (plan, data) = (demo.path("saved.plan"), demo.path("data"));
    let (plan, data) = (plan.to_str().unwrap(), data.to_str().unwrap());
    let spec = demo.spec();
    ok(&prestage(&demo, ["plan", spec.to_str().unwrap(), "--save", plan, "--data-dir", data]));
    let local = demo.path("set/w11.wim");
    let build = ["build", "--json", "--plan", plan, "--data-dir", data, "--output"];
    ok(&prestage(&demo, build.iter().copied().chain([local.to_str().unwrap()])));

    let in_bucket = |args: &[&str]| {
        let mut command = command(&demo);
        command.args(args.iter().map(OsStr::new)).envs(server.environment());
        ok(&command.output().unwrap())
    };
    let bucket = ["s3://media/factory/w11.wim", "--objects", "s3://packs/site one"];
    let document = in_bucket(&[&build[..], &bucket[..]].concat());
    let medium = &document["report"]["medium"];
    assert_eq!(medium["output"], "s3://media/factory/w11.swm");
    let verified = in_bucket(&["verify", "--json", "s3://media/factory/w11.swm"]);
    assert_eq!(verified["manifest"], "agrees");

    let objects = server.open("s3://media").await;
    let volumes = medium["volumes"].as_array().unwrap();
    assert!(volumes.len() > 2, "{volumes:?}");
    for volume in volumes {
        let name = volume["name"].as_str().unwrap();
        let key = ObjectKey::new(format!("factory/{name}")).unwrap();
        let stored = objects.get(&key, MEDIUM_BYTES_MAX).await.unwrap();
        let local = std::fs::read(demo.path("set").join(Path::new(name))).unwrap();
        assert!(stored == local, "the bucket has other bytes in {name}");
    }
    assert_clean(&demo);
}
