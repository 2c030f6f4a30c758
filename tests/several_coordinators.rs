//! Several coordinators on one PostgreSQL: one works, the others stand by for it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    os::unix::fs::PermissionsExt,
    sync::mpsc,
    time::{Duration, Instant},
};

use prestage_test_servers::postgres::{PASSWORD, Postgres};
use serde_json::Value;
use support::{
    Demo, Running, command,
    fleet::{
        first_build, saved_plan, service_with, start_build, tasks, undisturbed, until_clean,
        wait_for, wait_until, worker,
    },
    ok, prestage,
};

const ACTIVE: &str = "is the active one";
const STANDBY: &str = "is a standby";
/// Much longer than a takeover takes on a machine that has time.
const TAKEOVER_MAX: Duration = Duration::from_secs(30);

struct Coordinator {
    process: Running,
    address: String,
    log: mpsc::Receiver<String>,
}

/// A coordinator with a data folder of its own; objects, seal key and state are shared. The first one
/// has the password in the state's address, the others from the password file.
fn coordinator(demo: &Demo, postgres: &Postgres, name: &str) -> Coordinator {
    let (data, objects) = (demo.path(name), demo.path("objects"));
    let passwords = demo.path(".pgpass");
    std::fs::write(&passwords, postgres.password_line()).unwrap();
    std::fs::set_permissions(&passwords, PermissionsExt::from_mode(0o600)).unwrap();
    let state = if name == "first" { postgres.url() } else { postgres.url_without_password() };
    let seal_key = demo.path("data/seal.key");
    let args = [
        "coordinator",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.to_str().unwrap(),
        "--objects",
        objects.to_str().unwrap(),
        "--seal-key",
        seal_key.to_str().unwrap(),
    ];
    let state = [("PRESTAGE_STATE", state.as_str())];
    let (process, line, log) = service_with(demo, &args, &state, "coordinator is ready");
    assert!(line.contains("state=postgres://") && !line.contains(PASSWORD), "{line}");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    Coordinator { process, address, log }
}

/// The addresses of two coordinators, as what follows `http://` in a list.
fn both(one: &Coordinator, two: &Coordinator) -> String {
    format!("{},http://{}", one.address, two.address)
}

fn signal(process: &Running, name: &str) {
    support::tool("kill", "procps", [name, &process.0.id().to_string()]);
}

/// Waits until a coordinator says that it has taken over; tells how long it took.
fn taken_over(by: &Coordinator, since: Instant, how: &str) {
    wait_for(&by.log, ACTIVE);
    let took = since.elapsed();
    eprintln!("takeover after {how}: {:.2} s", took.as_secs_f64());
    assert!(took < TAKEOVER_MAX);
}

fn done(tasks: &[Value]) -> Vec<&Value> {
    tasks.iter().filter(|task| task["state"] == "done").collect()
}

fn task<'a>(tasks: &'a [Value], like: &Value) -> &'a Value {
    tasks.iter().find(|task| task["task_id"] == like["task_id"]).unwrap()
}

#[test]
fn a_killed_coordinator_is_followed_by_the_other_and_nothing_is_done_twice() {
    let (demo, postgres) = (Demo::new(), Postgres::start());
    let plan = saved_plan(&demo, "thorough", &[]);
    let expected = undisturbed(&demo, &plan);
    let first = coordinator(&demo, &postgres, "first");
    let second = coordinator(&demo, &postgres, "second");
    let addresses = both(&first, &second);
    let (_one, _l1) = worker(&demo, &addresses, "one");
    let (_two, _l2) = worker(&demo, &addresses, "two");
    let build = start_build(&demo, &addresses, &plan);
    let build_id = first_build(&demo, &first.address);
    let mut before = Vec::new();
    wait_until(|| {
        before = tasks(&demo, &first.address, &build_id);
        !done(&before).is_empty()
    });
    assert!(done(&before).len() < before.len(), "the fault comes in the middle");
    let killed = Instant::now();
    drop(first);
    taken_over(&second, killed, "SIGKILL");
    // The client goes on with the other one, too.
    let document = ok(&build.wait_with_output().unwrap());
    eprintln!("build done {:.2} s after the SIGKILL", killed.elapsed().as_secs_f64());
    assert_eq!(document["build_id"], build_id);
    let after = tasks(&demo, &second.address, &build_id);
    for finished in done(&before) {
        assert_eq!(task(&after, finished)["generation"], finished["generation"], "{finished}");
    }
    let again = after.iter().filter(|task| task["generation"].as_u64() > Some(1));
    eprintln!("{} of {} tasks were leased twice", again.count(), after.len());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    until_clean(&demo);
}

#[test]
fn a_leader_that_slept_changes_nothing_and_stands_by() {
    let (demo, postgres) = (Demo::new(), Postgres::start());
    let plan = saved_plan(&demo, "thorough", &[]);
    let expected = undisturbed(&demo, &plan);
    let first = coordinator(&demo, &postgres, "first");
    let second = coordinator(&demo, &postgres, "second");
    let addresses = both(&first, &second);
    let (_one, _l1) = worker(&demo, &addresses, "one");
    let build = start_build(&demo, &addresses, &plan);
    let build_id = first_build(&demo, &first.address);
    wait_until(|| !done(&tasks(&demo, &first.address, &build_id)).is_empty());
    let stopped = Instant::now();
    signal(&first.process, "-STOP");
    taken_over(&second, stopped, "SIGSTOP");
    // Its connections are open, but nothing comes: worker and client must find that out.
    let document = ok(&build.wait_with_output().unwrap());
    eprintln!("build done {:.2} s after the SIGSTOP", stopped.elapsed().as_secs_f64());
    assert_eq!(document["build_id"], build_id);
    let shown = tasks(&demo, &second.address, &build_id);
    // It wakes up in the middle of what it was told, and believes to lead.
    signal(&first.process, "-CONT");
    wait_for(&first.log, STANDBY);
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    assert_eq!(done(&shown).len(), shown.len());
    for coordinator in [&first, &second] {
        assert_eq!(tasks(&demo, &coordinator.address, &build_id), shown, "nothing has changed");
    }
    until_clean(&demo);
}

#[test]
fn a_standby_reads_by_itself_and_sends_the_rest_on() {
    let (demo, postgres) = (Demo::new(), Postgres::start());
    let plan = saved_plan(&demo, "fast", &[]);
    let mut first = coordinator(&demo, &postgres, "first");
    let standby = coordinator(&demo, &postgres, "second");
    let url = format!("http://{}", standby.address);
    let ask = |args: &[&str]| {
        let more = ["--json", "--coordinator", &url];
        prestage(&demo, args.iter().chain(&more))
    };
    // A plan sealed there, a build submitted there, a worker that knows nobody else.
    let saved = demo.path("through.plan");
    let spec = demo.spec();
    ok(&ask(&["plan", spec.to_str().unwrap(), "--save", saved.to_str().unwrap()]));
    let waiting = start_build(&demo, &standby.address, &plan);
    let build_id = first_build(&demo, &standby.address);
    ok(&ask(&["cancel", &build_id]));
    assert!(support::refused(&waiting.wait_with_output().unwrap(), 1).contains("cancelled"));
    let (_worker, _log) = worker(&demo, &standby.address, "one");
    let output = demo.path("second.wim");
    let (saved, output) = (saved.to_str().unwrap(), output.to_str().unwrap());
    let built = ok(&ask(&["build", "--plan", saved, "--output", output]));
    let build_id = built["build_id"].as_str().unwrap();
    // The same from both, log and all.
    assert_eq!(ok(&ask(&["watch", build_id]))["report"], built["report"]);
    let there = format!("http://{}", first.address);
    for what in [&["show", build_id][..], &["list"], &["log", build_id]] {
        let active = ["--json", "--coordinator", &there];
        let active = ok(&prestage(&demo, what.iter().chain(&active)));
        assert_eq!(ok(&ask(what)), active);
    }
    // Asked to end, the active one gives the lead up: nobody waits for its lease to expire.
    let asked = Instant::now();
    signal(&first.process, "-TERM");
    taken_over(&standby, asked, "SIGTERM");
    assert!(first.process.0.wait().unwrap().success());
    ok(&ask(&["plan", spec.to_str().unwrap()]));
}

#[test]
fn a_plan_sealed_with_another_key_says_what_to_do() {
    let (demo, postgres) = (Demo::new(), Postgres::start());
    let plan = saved_plan(&demo, "fast", &[]);
    std::fs::remove_file(demo.path("data/seal.key")).unwrap();
    let one = coordinator(&demo, &postgres, "first");
    let refused = start_build(&demo, &one.address, &plan).wait_with_output().unwrap();
    assert!(support::refused(&refused, 2).contains("share one seal key (--seal-key)"));
}

#[test]
fn a_database_that_is_away_holds_a_build_up_and_no_more() {
    let (demo, mut postgres) = (Demo::new(), Postgres::start());
    let plan = saved_plan(&demo, "thorough", &[]);
    let expected = undisturbed(&demo, &plan);
    let first = coordinator(&demo, &postgres, "first");
    let second = coordinator(&demo, &postgres, "second");
    let addresses = both(&first, &second);
    let (_worker, _log) = worker(&demo, &addresses, "one");
    let build = start_build(&demo, &addresses, &plan);
    let build_id = first_build(&demo, &first.address);
    wait_until(|| !done(&tasks(&demo, &first.address, &build_id)).is_empty());
    postgres.crash();
    // Longer than a lease: nobody leads.
    wait_for(&first.log, STANDBY);
    postgres.start_again();
    ok(&build.wait_with_output().unwrap());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    until_clean(&demo);
}

#[test]
fn what_is_wrong_with_the_state_is_told_without_its_password() {
    let (demo, mut postgres) = (Demo::new(), Postgres::start());
    let data = demo.path("data");
    let start = |state: &str| {
        let mut command = command(&demo);
        command.args(["coordinator", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
        command.env("PRESTAGE_STATE", state).output().unwrap()
    };
    let mistaken = postgres.url().replace(PASSWORD, "not-the-password");
    let told = support::refused(&start(&mistaken), 1);
    assert!(told.contains("authentication failed") && !told.contains("not-the-password"), "{told}");
    postgres.crash();
    let told = support::refused(&start(&postgres.url()), 1);
    assert!(told.contains("127.0.0.1") && !told.contains(PASSWORD), "{told}");
    let told = support::refused(&start(&format!("pg://me:{PASSWORD}@db")), 2);
    assert!(told.contains("postgres://user@host/database") && !told.contains(PASSWORD), "{told}");
    // Nobody else could reach it.
    let state = postgres.url_without_password();
    let args = ["coordinator", "--insecure", "--listen", "0.0.0.0:0", "--state", &state];
    assert!(support::refused(&prestage(&demo, args), 2).contains("--advertise"));
}
