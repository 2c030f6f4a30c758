//! Faults in a fleet of real processes, again and again while a build runs.
//!
//! Each scenario fires a few faults, drawn from a seed that it prints, asserts that each of them fired,
//! and then that nothing of them is left: see `chaos/aftermath.rs` and `docs/reliability/chaos.md`.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use prestage_test_servers::ports;
#[path = "../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

#[path = "chaos/aftermath.rs"]
mod aftermath;
#[path = "chaos/namespace.rs"]
mod namespace;
#[path = "chaos/relay.rs"]
mod relay;
#[path = "chaos/rig.rs"]
mod rig;
#[path = "chaos/service.rs"]
mod service;

use std::{sync::Mutex, time::Duration};

use namespace::Namespace;
use relay::{Line, Relay};
use rig::{Place, Rig};
use serde_json::Value;
use service::Worker;
use support::{
    fleet::{wait_for, wait_until},
    ok, prestage, refused,
};

/// One at a time: a fleet and its servers fill a small machine.
static TURN: Mutex<()> = Mutex::new(());
const STANDBY: &str = "is a standby";

/// A task that takes three workers down fails its build, and rightly so.
const KILLS_OF_A_TASK_MAX: usize = 2;

#[test]
fn workers_and_the_active_coordinator_are_killed_again_and_again() {
    let _turn = TURN.lock();
    let mut rig = Rig::start("SIGKILL", Place::Here);
    let build = rig.build();
    // Each lease is struck once: a worker that has started again does not know of it.
    let mut struck = Vec::<Value>::new();
    for _ in 0..6 {
        let active = rig.active();
        let spared = |task: &Value| {
            let before = struck.iter().filter(|struck| struck["task_id"] == task["task_id"]);
            let is_anew = before.clone().all(|struck| struck["generation"] != task["generation"]);
            is_anew && before.count() < KILLS_OF_A_TASK_MAX
        };
        let Some((worker, task)) = rig.busy(active, spared) else {
            break;
        };
        let service = match rig.draw(2) {
            0 => {
                struck.push(task.clone());
                &mut rig.workers[worker].service
            }
            _ => &mut rig.coordinators[active].service,
        };
        service.kill();
        service.start_again();
        let (name, label) = (service.name.clone(), &task["label"]);
        rig.fired(&format!("SIGKILL of {name} while {label} was leased to a worker"));
    }
    assert!(rig.faults() >= 3, "the build was over too soon");
    rig.assert_undisturbed(build);
}

#[test]
fn a_worker_and_the_active_coordinator_sleep_beyond_their_leases() {
    let _turn = TURN.lock();
    let rig = Rig::start("SIGSTOP", Place::Here);
    let build = rig.build();
    for _ in 0..2 {
        let active = rig.active();
        let (worker, task) = rig.busy(active, |_| true).expect("the build is over too soon");
        let sleeper = &rig.workers[worker].service;
        sleeper.stop();
        wait_until(|| rig.has_moved_on(active, &task));
        assert!(rig.lost(active) >= 1.0, "no lease was lost");
        sleeper.signal("-CONT");
        rig.fired(&format!("{} slept while {} went to another", sleeper.name, task["label"]));
        let leader = &rig.coordinators[active].service;
        let other = 1 - active;
        rig.busy(active, |_| true).expect("the build is over too soon");
        leader.stop();
        wait_until(|| rig.metric(&rig.coordinators[other], "prestage_leader") == Some(1.0));
        leader.signal("-CONT");
        wait_for(&leader.log, STANDBY);
        rig.fired(&format!("{} slept while the other one took over", leader.name));
    }
    rig.assert_undisturbed(build);
}

#[test]
fn the_database_is_killed_and_comes_back() {
    let _turn = TURN.lock();
    let mut rig = Rig::start("SIGKILL of PostgreSQL", Place::Here);
    let build = rig.build();
    for _ in 0..2 {
        let active = rig.active();
        rig.busy(active, |_| true).expect("the build is over too soon");
        let pid = rig.postgres.kill();
        // Longer than a lease: nobody leads.
        wait_for(&rig.coordinators[active].service.log, STANDBY);
        rig.postgres.start_again();
        rig.fired(&format!("SIGKILL of PostgreSQL ({pid}), and nobody led"));
    }
    rig.assert_undisturbed(build);
}

#[test]
fn the_object_store_is_killed_and_comes_back() {
    let _turn = TURN.lock();
    let mut rig = Rig::start("SIGKILL of SeaweedFS", Place::Here);
    let build = rig.build();
    let (worker, _) = rig.busy(rig.active(), |_| true).expect("the build is over too soon");
    let pid = rig.runtime.block_on(rig.seaweed.kill());
    // More often than the client library would ask by itself: it would have failed by then.
    wait_for(&rig.workers[worker].service.log, "retry 11 of");
    assert!(rig.workers[worker].store.unanswered() > 0, "the server answered");
    rig.runtime.block_on(rig.seaweed.start_again());
    rig.fired(&format!("SIGKILL of SeaweedFS ({pid}), and a worker found nobody there"));
    rig.assert_undisturbed(build);
}

/// Whether workers can have networks of their own here; says what stands for them otherwise.
fn place_with_a_network() -> Place {
    match Namespace::new() {
        Ok(_) => {
            eprintln!("chaos: workers run in network namespaces");
            Place::Namespaces
        }
        Err(why) => {
            eprintln!("chaos: a relay stands for the network, for there are no namespaces: {why}");
            Place::Here
        }
    }
}

#[test]
fn workers_are_cut_off_beyond_their_leases_and_come_back() {
    let _turn = TURN.lock();
    let rig = Rig::start("partition", place_with_a_network());
    let build = rig.build();
    for _ in 0..3 {
        let active = rig.active();
        let (worker, task) = rig.busy(active, |_| true).expect("the build is over too soon");
        let (worker, lost) = (&rig.workers[worker], rig.lost(active));
        worker.cut_off();
        wait_until(|| rig.has_moved_on(active, &task));
        assert!(rig.lost(active) > lost, "no lease was lost");
        worker.reconnect();
        let name = &worker.service.name;
        rig.fired(&format!("{name} was cut off until {} was another's", task["label"]));
    }
    rig.assert_undisturbed(build);
}

#[test]
fn links_are_slow_and_lossy() {
    let _turn = TURN.lock();
    let rig = Rig::start("slow and lossy links", place_with_a_network());
    let mut netem = true;
    for worker in &rig.workers {
        let delay = Duration::from_millis(10);
        let slow = Line { delay, cuts_max: 2, ..Line::WHOLE };
        worker.store.set(Line { bytes_per_second: 800_000, cut_every: 600 << 10, ..slow });
        worker.coordinators.iter().for_each(|way| way.set(Line { cut_every: 4 << 10, ..slow }));
        let disturbed = worker.namespace.as_ref().map(|network| network.disturb(3, 10));
        if let Some(Err(why)) = disturbed {
            eprintln!("chaos: no packets are lost, but connections are cut: {why}");
            netem = false;
        }
        netem &= worker.namespace.is_some();
    }
    let build = rig.build();
    let cuts = |of: fn(&Worker) -> u64| rig.workers.iter().map(of).sum::<u64>();
    let store = || cuts(|worker| worker.store.cuts());
    let coordinators = || cuts(|worker| worker.coordinators.iter().map(Relay::cuts).sum());
    wait_until(|| store() >= 3 && coordinators() >= 3);
    rig.fired(&format!("{} connections to the store were cut", store()));
    rig.fired(&format!("{} connections to coordinators were cut", coordinators()));
    if netem {
        let lost = || rig.workers.iter().flat_map(|worker| &worker.namespace);
        wait_until(|| lost().any(|network| network.dropped() > 0));
        rig.fired("packets were lost");
    }
    rig.assert_undisturbed(build);
}

#[test]
fn a_disk_fills_up_under_one_worker_while_others_go_on() {
    let _turn = TURN.lock();
    let rig = Rig::start("full disk", Place::SmallDisks);
    let build = rig.build();
    let active = rig.active();
    let of_one = |task: &Value| task["worker"] == "one";
    let (worker, task) = rig.busy(active, of_one).expect("it never had a task");
    let worker = &rig.workers[worker];
    let filling = worker.disk.as_ref().unwrap().fill();
    // It says so itself where a write fails; where there was no room from the start, the build does.
    let is_told = |said: &str| said.contains("No space left") || said.contains("has room for");
    wait_until(|| rig.build_log().lines().any(|line| line.contains("one") && is_told(line)));
    rig.fired(&format!("the disk was full under one, which had {}", task["label"]));
    std::fs::remove_file(filling).unwrap();
    rig.assert_undisturbed(build);
}

/// Assembly is in the middle of its work and does not hear of it: what it writes then is nobody's.
#[test]
fn a_build_that_is_cancelled_while_it_is_assembled_leaves_nothing() {
    let _turn = TURN.lock();
    let rig = Rig::start("cancelled in the middle of assembly", Place::Here);
    let build = rig.build();
    let active = rig.active();
    let is_assembly = |task: &Value| task["kind"] == "assemble";
    rig.busy(active, is_assembly).expect("nobody was seen assembling");
    // Its objects appear one after the other: between the first and the next there is time now.
    wait_until(|| rig.keys("packs").iter().any(|key| key.contains("/glue.")));
    let delay = Duration::from_millis(500);
    rig.workers.iter().for_each(|one| one.store.set(Line { delay, ..Line::WHOLE }));
    let id = rig.shown(active)["build_id"].as_str().unwrap().to_owned();
    let url = format!("http://{}", rig.coordinators[active].address);
    ok(&prestage(&rig.demo, ["cancel", &id, "--json", "--coordinator", &url]));
    rig.fired("the build was cancelled while it was assembled");
    rig.mend_links();
    assert!(refused(&build.wait_with_output().unwrap(), 1).contains("cancelled"));
    rig.assert_nothing_left();
}
