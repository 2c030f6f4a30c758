//! The keys that secrets in plans are under: where they come from, and how they are changed.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{path::Path, sync::mpsc};

use serde_json::Value;
use support::{
    Demo, Running, command,
    fleet::{first_build, saved_plan, service, start_build, wait_until, worker},
    ok, prestage, refused,
};

fn coordinator(demo: &Demo, keys: &str) -> (Running, String, mpsc::Receiver<String>) {
    let data = demo.path("data");
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let args: Vec<&str> = args.into_iter().chain(["--seal-key", keys]).collect();
    let (running, line, log) = service(demo, &args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    (running, address.to_owned(), log)
}

/// What is under each key, by `prestage seal status`.
fn status(demo: &Demo, keys: &str, plan: &str) -> Vec<Value> {
    let data = demo.path("data");
    let args = ["seal", "status", plan, "--json", "--seal-key", keys, "--data-dir"];
    let shown = ok(&prestage(demo, args.into_iter().chain([data.to_str().unwrap()])));
    shown["keys"].as_array().unwrap().clone()
}

fn count(key: &Value, what: &str) -> usize {
    key[what].as_array().unwrap().len()
}

#[test]
fn an_old_key_can_be_taken_away_once_nothing_is_under_it() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let old = demo.path("data/seal.key").display().to_string();
    let new = demo.path("data/seal-2.key").display().to_string();
    let (first, address, _log) = coordinator(&demo, &old);
    // No worker is there: it waits.
    let client = start_build(&demo, &address, &plan);
    let build = first_build(&demo, &address);
    drop((Running(client), first));

    let both = format!("{new};{old}");
    let (second, ..) = coordinator(&demo, &both);
    let mut keys = Vec::new();
    wait_until(|| {
        keys = status(&demo, &both, &plan);
        count(&keys[0], "builds") == 1
    });
    assert_eq!((count(&keys[1], "builds"), count(&keys[1], "plans")), (0, 1), "{keys:?}");
    let before = std::fs::read_to_string(&plan).unwrap();
    ok(&prestage(&demo, ["seal", "rotate", &plan, "--seal-key", &both]));
    let after = std::fs::read_to_string(&plan).unwrap();
    let changed = before.lines().zip(after.lines()).filter(|(old, new)| old != new);
    let changed: Vec<&str> =
        changed.map(|(line, _)| line.trim().split(':').next().unwrap()).collect();
    assert_eq!(changed, ["\"sealed\"", "\"sealed_pfx\""], "nothing else has changed");
    let keys = status(&demo, &both, &plan);
    assert_eq!((count(&keys[0], "plans"), count(&keys[1], "plans")), (1, 0), "{keys:?}");
    let again = ok(&prestage(&demo, ["seal", "rotate", &plan, "--json", "--seal-key", &both]));
    assert_eq!(again["plans"][0]["rewrapped"], false);
    drop(second);

    // The old key is gone.
    std::fs::remove_file(&old).unwrap();
    let (_third, address, _log) = coordinator(&demo, &new);
    let (_worker, _log) = worker(&demo, &address, "one");
    let url = format!("http://{address}");
    let ended = ok(&prestage(&demo, ["watch", &build, "--json", "--coordinator", &url]));
    assert_eq!(ended["state"], "done");
    let output = demo.path("out.wim");
    let build = ["build", "--json", "--plan", &plan, "--coordinator", &url, "--output"];
    let built = |output: &Path| {
        ok(&prestage(&demo, build.iter().copied().chain([output.to_str().unwrap()])))
    };
    // It is the same plan still: its medium is there.
    assert_eq!(built(&output)["report"]["content_bytes"]["made"], 0);
    let other = demo.path("other.wim");
    built(&other);
    assert!(std::fs::read(output).unwrap() == std::fs::read(other).unwrap());
}

#[test]
fn keys_come_from_the_environment_and_from_programs_too() {
    let demo = Demo::new();
    let run = |keys: &str, value: &str, args: &[&str]| {
        let data = demo.path("data");
        let mut command = command(&demo);
        command.args(args).args(["--json", "--data-dir", data.to_str().unwrap()]);
        command.env("PRESTAGE_SEAL_KEY", keys).env("THE_KEY", value).output().unwrap()
    };
    let spec = demo.spec().display().to_string();
    let (plan, output) = (demo.path("saved.plan"), demo.path("out.wim"));
    let (plan, output) = (plan.to_str().unwrap(), output.to_str().unwrap());
    let (one, other) = (
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    );
    let said = refused(&run("env:THE_KEY", "c2hvcnQ=", &["plan", &spec]), 1);
    assert!(said.contains("THE_KEY holds no seal key") && !said.contains("c2hvcnQ"), "{said}");
    ok(&run("env:THE_KEY", one, &["plan", &spec, "--save", plan]));
    assert!(!demo.path("data/seal.key").exists(), "no other key was needed");
    let build = ["build", "--plan", plan, "--output", output];
    let said = refused(&run("env:THE_KEY", other, &build), 2);
    assert!(said.contains("which this coordinator does not have"), "{said}");
    ok(&run("env:THE_KEY", one, &build));

    let said = refused(&run("command:false", one, &["plan", &spec]), 1);
    assert!(said.contains("'false id' ended with exit status: 1"), "{said}");
    let said = refused(&run("command:", one, &["plan", &spec]), 2);
    assert!(said.contains("names no seal key"), "{said}");
}

#[test]
fn a_password_is_not_taken_from_the_command_line() {
    let demo = Demo::new();
    let state = "postgres://prestage:Hidden-word@127.0.0.1:1/postgres";
    let start = ["coordinator", "--listen", "127.0.0.1:0", "--state", state];
    let said = refused(&prestage(&demo, start), 2);
    assert!(said.contains("PRESTAGE_STATE") && !said.contains("Hidden-word"), "{said}");
    // It is taken from the environment: then only the database is missing.
    let mut started = command(&demo);
    let started = started.args(&start[..3]).env("PRESTAGE_STATE", state).output().unwrap();
    let said = refused(&started, 1);
    assert!(said.contains("127.0.0.1:1") && !said.contains("Hidden-word"), "{said}");
}
