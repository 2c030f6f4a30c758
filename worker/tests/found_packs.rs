//! Packs that are there already: taken as they are, or made anew and compared where second opinions are given.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::Path;

use prestage_proto::v1::{self, task::Work, task_result};
use prestage_store::{ObjectUrl, Objects, PackKey};
use prestage_worker::tasks::Tools;

fn task(library: &Path, files: Vec<v1::ListedFile>, compare_found: bool) -> v1::EncodeTask {
    let source = v1::ContentSource {
        distribution_point: "dp".into(),
        content_library: library.to_str().unwrap().into(),
    };
    let format = v1::codec::Format::Lzx.into();
    v1::EncodeTask {
        pack_key: PackKey::of(b"one").to_string(),
        content_id: "PS100012.3".into(),
        sources: vec![source],
        files,
        codec: Some(v1::Codec { format, chunk_bytes: 32_768, level: 5 }),
        compare_found,
    }
}

async fn encode(task: v1::EncodeTask, tools: &Tools) -> (v1::PackResult, bool) {
    let result = support::run(Work::Encode(task), support::next(tools)).await.unwrap();
    let Some(task_result::Work::Pack(pack)) = result.work else { panic!("no pack") };
    (pack, result.reused)
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_it_is_is_known_after_it_was_made_anew_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("dp");
    let right = support::put(&library, "setup.exe", b"what the site distributed");
    let wrong = support::put(&library, "setup.exe", b"what somebody else would like");
    let url = ObjectUrl::Local(dir.path().join("objects"));
    let objects = Objects::open(&url).await.unwrap();
    let tools = support::tools(dir.path().join("staging"), objects.clone());
    let listed = |file: &v1::ListedFile, compare| task(&library, vec![file.clone()], compare);

    let (first, reused) = encode(listed(&right, true), &tools).await;
    assert!(first.made && !reused && first.difference.is_empty());
    let (taken, reused) = encode(listed(&right, false), &tools).await;
    assert!(!taken.made && reused, "where nobody doubts it is taken as it is");
    let (compared, reused) = encode(listed(&right, true), &tools).await;
    assert!(compared.made && !reused);
    assert_eq!(compared, first);

    let (doubted, reused) = encode(listed(&wrong, true), &tools).await;
    assert!(!doubted.made && !reused);
    assert_eq!(doubted.difference, "it has 25 bytes instead of 29");
    // Nothing is done about it here.
    let (taken, _) = encode(listed(&wrong, false), &tools).await;
    assert_eq!(taken.index_sha256, first.index_sha256);
}
