//! A worker whose own machine is broken: it says so, leaves its tasks to others, and comes back when it is
//! repaired.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::{path::Path, sync::mpsc};

use seaweed::Seaweed;
use support::{
    Demo, Running,
    fleet::{first_build, saved_plan, service_with, start_build, until_clean, wait_for},
    ok, prestage,
};

/// A worker that stages in `staging`, and its log.
fn worker(
    demo: &Demo,
    server: &Seaweed,
    url: &str,
    staging: &Path,
) -> (Running, mpsc::Receiver<String>) {
    let name = staging.file_name().unwrap().to_str().unwrap();
    let staging = staging.to_str().unwrap();
    let args = ["worker", "--coordinator", url, "--name", name, "--staging-folder", staging];
    let args = [&args[..], &["--slots", "1", "--patience-ms", "2000"]].concat();
    let (running, _, lines) = service_with(demo, &args, &server.environment(), "worker is ready");
    (running, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_broken_disk_leaves_its_tasks_to_others_until_it_is_repaired() {
    let server = Seaweed::start().await;
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let data = demo.path("data");
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let args = [&args[..], &["--objects", "s3://packs/site"]].concat();
    let (_coordinator, line, _) =
        service_with(&demo, &args, &server.environment(), "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    let url = format!("http://{address}");

    // Nobody can write below a file, whatever their rights.
    let in_the_way = demo.path("broken/prestage-staging");
    std::fs::create_dir(demo.path("broken")).unwrap();
    std::fs::write(&in_the_way, "not a folder").unwrap();
    let (_broken, lines) = worker(&demo, &server, &url, &demo.path("broken"));
    let build = start_build(&demo, address, &plan);
    let build_id = first_build(&demo, address);
    wait_for(&lines, "takes no tasks for a while");
    wait_for(&lines, "the staging folder can't be used");
    let (_good, _lines) = worker(&demo, &server, &url, &demo.path("good"));
    ok(&build.wait_with_output().unwrap());

    let log = prestage(&demo, ["log", &build_id, "--coordinator", &url]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    let blamed: Vec<&str> = log.lines().filter(|line| line.contains("worker broken")).collect();
    assert_eq!(blamed.len(), 1, "it failed one task and no more: {log}");
    std::fs::remove_file(&in_the_way).unwrap();
    wait_for(&lines, "takes tasks again");
    until_clean(&demo);
}
