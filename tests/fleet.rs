//! A coordinator and workers as processes of their own, and their violent ends.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::Value;
use support::{
    Demo,
    fleet::{
        PATIENCE, coordinator, first_build, saved_plan, start_build, tasks, undisturbed,
        until_clean, wait_for, wait_until, worker,
    },
    ok, prestage,
};

#[test]
fn a_killed_worker_costs_its_task_only_and_the_medium_is_the_same() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "thorough", &[]);
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    // The victim is alone and in the middle of a task when it is killed.
    let build = start_build(&demo, &address, &plan);
    let (victim, _lines) = worker(&demo, &address, "victim");
    let build_id = first_build(&demo, &address);
    wait_until(|| tasks(&demo, &address, &build_id).iter().any(|task| task["worker"] == "victim"));
    drop(victim);
    let before = tasks(&demo, &address, &build_id);
    let lost: Vec<&Value> = before.iter().filter(|task| task["state"] == "leased").collect();
    assert_eq!(lost.len(), 1, "the fault fired: one task was leased to the victim");
    let (_one, _l1) = worker(&demo, &address, "one");
    let (_two, _l2) = worker(&demo, &address, "two");
    let output = build.wait_with_output().unwrap();
    let document = ok(&output);
    assert_eq!(document["build_id"], build_id);
    let after = tasks(&demo, &address, &build_id);
    for task in &after {
        let again = task["task_id"] == lost[0]["task_id"];
        assert_eq!(task["generation"], if again { 2 } else { 1 }, "{task}");
    }
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    until_clean(&demo);
}

#[test]
fn a_killed_coordinator_takes_the_build_up_again() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "thorough", &[]);
    let expected = undisturbed(&demo, &plan);
    let (first, address) = coordinator(&demo, "127.0.0.1:0");
    let (_worker, _lines) = worker(&demo, &address, "one");
    let build = start_build(&demo, &address, &plan);
    let build_id = first_build(&demo, &address);
    wait_until(|| {
        let tasks = tasks(&demo, &address, &build_id);
        tasks.iter().any(|task| task["state"] == "done")
    });
    drop(first);
    // Its client is told; the build is not the client's.
    assert!(!build.wait_with_output().unwrap().status.success());
    let (_second, _) = coordinator(&demo, &address);
    let url = format!("http://{address}");
    let document = ok(&prestage(&demo, ["watch", &build_id, "--json", "--coordinator", &url]));
    assert_eq!(document["state"], "done");
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    until_clean(&demo);
}

#[test]
fn a_cancelled_build_leaves_nothing() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "thorough", &[]);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let build = start_build(&demo, &address, &plan);
    let (_worker, _lines) = worker(&demo, &address, "one");
    let build_id = first_build(&demo, &address);
    wait_until(|| tasks(&demo, &address, &build_id).iter().any(|task| task["state"] == "leased"));
    let url = format!("http://{address}");
    ok(&prestage(&demo, ["cancel", &build_id, "--coordinator", &url]));
    let output = build.wait_with_output().unwrap();
    assert!(support::refused(&output, 1).contains("cancelled"));
    assert!(!demo.path("out.wim").exists());
    until_clean(&demo);
}

/// SIGTERM: a worker finishes what it has begun, a coordinator leaves its builds for the next start.
#[test]
fn services_end_when_they_are_asked_to() {
    let demo = Demo::new();
    let (mut coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let (mut worker, lines) = worker(&demo, &address, "one");
    for (service, name) in [(&mut worker, "worker"), (&mut coordinator, "coordinator")] {
        let pid = service.0.id().to_string();
        support::tool("kill", "procps", ["-TERM", &pid]);
        if name == "worker" {
            wait_for(&lines, "worker has ended");
        }
        let start = std::time::Instant::now();
        let status = loop {
            if let Some(status) = service.0.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the {name} does not end");
        };
        assert!(status.success(), "the {name} ended with {status}");
    }
}

#[test]
fn a_worker_that_is_asked_to_end_finishes_what_it_has_and_nothing_is_done_twice() {
    let demo = Demo::of_mib(120);
    let plan = saved_plan(&demo, "balanced", &[]);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let client = start_build(&demo, &address, &plan);
    let build = first_build(&demo, &address);
    let (mut leaving, lines) = worker(&demo, &address, "leaving");
    // It is in the middle of something.
    let leased = |task: &serde_json::Value| task["state"] == "leased";
    wait_until(|| tasks(&demo, &address, &build).iter().any(leased));
    support::tool("kill", "procps", ["-TERM", &leaving.0.id().to_string()]);
    let (_staying, _) = worker(&demo, &address, "staying");
    wait_for(&lines, "worker has ended");
    assert!(leaving.0.wait().unwrap().success());
    ok(&client.wait_with_output().unwrap());
    let url = format!("http://{address}");
    let shown = ok(&prestage(&demo, ["show", &build, "--json", "--coordinator", &url]));
    for task in shown["tasks"].as_array().unwrap() {
        assert_eq!(task["state"], "done");
        assert!(task["generation"].as_u64().unwrap() <= 1, "done twice: {task}");
    }
    let log = ok(&prestage(&demo, ["log", &build, "--json", "--coordinator", &url])).to_string();
    assert!(log.contains("'leaving'") || log.contains("leaving"), "it did something: {log}");
    until_clean(&demo);
}

/// Its memory budget holds without anybody setting up its environment.
#[test]
fn a_worker_started_by_hand_has_told_its_c_library_to_give_memory_back() {
    let demo = Demo::new();
    let (worker, _log) = worker(&demo, "127.0.0.1:1", "by hand");
    let process = format!("/proc/{}", worker.0.id());
    let environment = std::fs::read(format!("{process}/environ")).unwrap();
    let told = environment.split(|byte| *byte == 0);
    assert!(told.into_iter().any(|one| one == b"MALLOC_MMAP_THRESHOLD_=262144"));
    let line = std::fs::read(format!("{process}/cmdline")).unwrap();
    assert!(String::from_utf8(line).unwrap().contains("prestage\0worker\0--coordinator"));
}
