//! One large file, encoded by several workers at once.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{collections::BTreeMap, path::PathBuf};

use prestage_sample::SampleOptions;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{
    Demo, files_below,
    fleet::{
        coordinator, first_build, saved_plan, start_build, tasks, undisturbed, until_clean,
        wait_until, worker,
    },
    ok, prestage, wimlib,
};

/// A sample with a payload of 100 MB that can't shrink, and three applications with an installer that
/// can and a cabinet that can't, of 40 MB each.
fn site_with_huge_files() -> Demo {
    Demo::with(&SampleOptions {
        application_bytes: 80_000_000,
        payload_bytes: 100_000_000,
        ..SampleOptions::default()
    })
}

/// The SHA-256 of every object of the packs, but not what the victim was writing when it was killed:
/// the client's own half-written file of an index, which is scrubbed an hour later.
fn packs(demo: &Demo, data: &str) -> BTreeMap<PathBuf, [u8; 32]> {
    let folder = demo.path(data).join("objects/packs");
    let sha256 = |file: &PathBuf| Sha256::digest(std::fs::read(folder.join(file)).unwrap()).into();
    let whole = |file: &PathBuf| !file.to_string_lossy().contains('#');
    files_below(&folder)
        .into_iter()
        .filter(whole)
        .map(|file| (file.clone(), sha256(&file)))
        .collect()
}

fn is_run(task: &Value) -> bool {
    task["kind"] == "run"
}

#[test]
fn a_worker_lost_in_a_run_costs_that_run_and_the_medium_is_the_same() {
    let demo = site_with_huge_files();
    let plan = saved_plan(&demo, "fast", &["--run-mib", "16"]);
    // One worker has nobody to share a file with: each is encoded by one task.
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let build = start_build(&demo, &address, &plan);
    let (victim, _log) = worker(&demo, &address, "victim");
    let (_one, _log1) = worker(&demo, &address, "one");
    let (_two, _log2) = worker(&demo, &address, "two");
    let build_id = first_build(&demo, &address);
    let held = |task: &Value| task["worker"] == "victim" && task["state"] == "leased";
    wait_until(|| tasks(&demo, &address, &build_id).iter().any(|task| held(task) && is_run(task)));
    drop(victim);
    let lost: Vec<Value> = tasks(&demo, &address, &build_id).into_iter().filter(held).collect();
    assert!(lost.len() == 1 && is_run(&lost[0]), "the fault fired: {lost:?}");

    let document = ok(&build.wait_with_output().unwrap());
    let after = tasks(&demo, &address, &build_id);
    // 95.4 MiB are six runs, 38.1 MiB three.
    assert_eq!(after.iter().filter(|task| is_run(task)).count(), 6 + 6 * 3);
    assert_eq!(after.iter().filter(|task| task["kind"] == "join").count(), 7);
    for task in &after {
        let again = task["task_id"] == lost[0]["task_id"];
        assert_eq!(task["generation"], if again { 2 } else { 1 }, "{task}");
    }
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    let (made, expected_packs) = (packs(&demo, "data"), packs(&demo, "quiet"));
    let stayed: Vec<_> = made.keys().filter(|key| !expected_packs.contains_key(*key)).collect();
    assert!(stayed.is_empty(), "a run stayed: {stayed:?}");
    assert!(made == expected_packs, "a pack is another");
    // What was read twice to be joined is content once.
    let made = document["report"]["content_bytes"]["made"].as_u64().unwrap();
    assert!((340_000_000..400_000_000).contains(&made), "{made}");
    wimlib(["verify", demo.path("out.wim").to_str().unwrap()]);
    until_clean(&demo);

    // The packs are there: nothing is cut into runs any more.
    let (url, again) = (format!("http://{address}"), demo.path("again.wim"));
    let again = again.to_str().unwrap();
    let args = ["build", "--json", "--plan", &plan, "--coordinator", &url, "--output", again];
    let document = ok(&prestage(&demo, args));
    assert_eq!(document["report"]["content_bytes"]["made"], 0);
    let warm = tasks(&demo, &address, document["build_id"].as_str().unwrap());
    assert!(!warm.iter().any(|task| is_run(task) || task["kind"] == "join"), "{warm:?}");
    assert!(std::fs::read(again).unwrap() == expected, "a warm build gave other bytes");
}
