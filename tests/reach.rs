//! Workers that reach some distribution points, as processes of their own.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::Value;
use support::{
    Demo, Running,
    fleet::{
        PATIENCE, coordinator, first_build, saved_plan, service, start_build, tasks, wait_until,
    },
    ok, prestage, refused,
};

fn worker_near(demo: &Demo, address: &str, name: &str, reach: &str) -> Running {
    let url = format!("http://{address}");
    let args = ["worker", "--coordinator", &url, "--name", name, "--slots", "1", "--reach", reach];
    service(demo, &args, "worker is ready").0
}

fn labelled<'a>(tasks: &'a [Value], label: &str) -> &'a Value {
    let found = tasks.iter().find(|task| task["label"].as_str().unwrap().contains(label));
    found.unwrap_or_else(|| panic!("no task '{label}' in {tasks:?}"))
}

/// A build of the plan that nobody waits for, told by its coordinator to be refused.
fn submit(demo: &Demo, address: &str, plan: &str) -> std::process::Output {
    start_build(demo, address, plan).wait_with_output().unwrap()
}

#[test]
fn what_nobody_reaches_is_refused_and_taken_when_somebody_does() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let _far = worker_near(&demo, &address, "far", "dp9.corp.example=0");
    // It has to have reported; until then a build would simply wait for workers.
    let url = format!("http://{address}");
    let mut said = String::new();
    wait_until(|| {
        let mut client = start_build(&demo, &address, &plan);
        let start = std::time::Instant::now();
        while client.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE / 10 {
            std::thread::yield_now();
        }
        if client.try_wait().unwrap().is_none() {
            let build = first_build(&demo, &address);
            ok(&prestage(&demo, ["cancel", &build, "--json", "--coordinator", &url]));
        }
        let output = client.wait_with_output().unwrap();
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.contains("it would wait for")
    });
    assert!(said.contains("a worker that reaches dp1.corp.example or dp2.corp.example"), "{said}");
    assert!(said.contains("none of 1 does") && said.contains("--reach"), "{said}");
    assert!(!demo.path("out.wim").exists());
    let refusal = refused(&submit(&demo, &address, &plan), 2);
    assert!(refusal.contains("boot image PS100005"), "{refusal}");

    let _near = worker_near(&demo, &address, "near", "dp1.corp.example=0,dp2.corp.example=5");
    wait_until(|| {
        let output = submit(&demo, &address, &plan);
        output.status.success()
    });
    let build = first_build(&demo, &address);
    let events = ok(&prestage(&demo, ["log", &build, "--json", "--coordinator", &url]));
    let text = events.to_string();
    assert!(text.contains("near"), "{text}");
}

#[test]
fn content_is_read_by_the_worker_that_is_near_it() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let client = start_build(&demo, &address, &plan);
    let build = first_build(&demo, &address);
    let waiting = tasks(&demo, &address, &build);
    let driver = labelled(&waiting, "PS100077");
    assert_eq!(driver["waiting_for"], "a worker: none has reported");
    assert!(driver["since"].as_i64().is_some());
    // The drivers are on dp2 alone, everything else on both.
    let _one = worker_near(&demo, &address, "near dp1", "dp1.corp.example=0");
    let _two = worker_near(&demo, &address, "near dp2", "dp2.corp.example=0");
    ok(&client.wait_with_output().unwrap());
    let url = format!("http://{address}");
    let log = ok(&prestage(&demo, ["log", &build, "--json", "--coordinator", &url])).to_string();
    let entries = log.split("\"text\"").filter(|entry| entry.contains("PS100077"));
    let of_drivers: Vec<&str> = entries.filter(|entry| entry.contains("near dp")).collect();
    assert!(!of_drivers.is_empty(), "{log}");
    assert!(of_drivers.iter().all(|entry| entry.contains("near dp2")), "{of_drivers:?}");
}
