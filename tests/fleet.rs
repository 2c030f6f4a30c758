//! A coordinator and workers as processes of their own, and their violent ends.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;
use support::{Demo, Running, command, ok, prestage};

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a service and waits for the line that says it is ready; gives its log lines from there.
fn service(demo: &Demo, args: &[&str], ready: &str) -> (Running, String, mpsc::Receiver<String>) {
    let mut child = command(demo)
        .args(args)
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let log = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            eprintln!("| {line}");
            // The test may be over.
            let _ = sender.send(line);
        }
    });
    let running = Running(child);
    let line = wait_for(&lines, ready);
    (running, line, lines)
}

fn wait_for(lines: &mpsc::Receiver<String>, what: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no '{what}' was said"));
        if line.contains(what) {
            return line;
        }
    }
}

fn coordinator(demo: &Demo, listen: &str) -> (Running, String) {
    let data = demo.path("data");
    let args = [
        "coordinator",
        "--listen",
        listen,
        "--data-dir",
        data.to_str().unwrap(),
        "--lease-seconds",
        "2",
    ];
    let (running, line, _) = service(demo, &args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    (running, address.to_owned())
}

fn worker(demo: &Demo, address: &str, name: &str) -> (Running, mpsc::Receiver<String>) {
    let url = format!("http://{address}");
    let args = ["worker", "--coordinator", &url, "--name", name, "--slots", "1", "--threads", "1"];
    let (running, _, lines) = service(demo, &args, "worker is ready");
    (running, lines)
}

/// A plan that a coordinator and the undisturbed build share, so that their media can be compared.
fn saved_plan(demo: &Demo) -> String {
    let (spec, data, plan) = (demo.spec(), demo.path("data"), demo.path("saved.plan"));
    let args = [
        "plan",
        spec.to_str().unwrap(),
        "--codec",
        "thorough",
        "--save",
        plan.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    ok(&prestage(demo, args));
    plan.to_str().unwrap().to_owned()
}

fn undisturbed(demo: &Demo, plan: &str) -> Vec<u8> {
    let (quiet, output) = (demo.path("quiet"), demo.path("quiet.wim"));
    std::fs::create_dir(&quiet).unwrap();
    std::fs::copy(demo.path("data/seal.key"), quiet.join("seal.key")).unwrap();
    let args = [
        "build",
        "--plan",
        plan,
        "--data-dir",
        quiet.to_str().unwrap(),
        "--output",
        output.to_str().unwrap(),
    ];
    ok(&prestage(demo, args));
    std::fs::read(output).unwrap()
}

fn start_build(demo: &Demo, address: &str, plan: &str) -> std::process::Child {
    let (output, url) = (demo.path("out.wim"), format!("http://{address}"));
    let args = [
        "build",
        "--json",
        "--plan",
        plan,
        "--coordinator",
        &url,
        "--output",
        output.to_str().unwrap(),
    ];
    command(demo).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn tasks(demo: &Demo, address: &str, build: &str) -> Vec<Value> {
    let url = format!("http://{address}");
    let shown = ok(&prestage(demo, ["show", build, "--json", "--coordinator", &url]));
    shown["tasks"].as_array().unwrap().clone()
}

#[test]
fn a_killed_worker_costs_its_task_only_and_the_medium_is_the_same() {
    let demo = Demo::new();
    let plan = saved_plan(&demo);
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
    let plan = saved_plan(&demo);
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
    let plan = saved_plan(&demo);
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

fn first_build(demo: &Demo, address: &str) -> String {
    let url = format!("http://{address}");
    let mut found = String::new();
    wait_until(|| {
        let listed = ok(&prestage(demo, ["list", "--json", "--coordinator", &url]));
        found = listed["builds"][0]["build_id"].as_str().unwrap_or_default().to_owned();
        !found.is_empty()
    });
    found
}

/// A fleet cleans up after its builds have ended; nobody else has to.
fn until_clean(demo: &Demo) {
    wait_until(|| support::left_behind(demo).is_empty());
}

/// Asks another process until it says yes; each question takes time of its own.
fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never happened");
    }
}
