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

use std::{collections::BTreeMap, sync::Mutex};

use rig::Rig;
use support::fleet::{wait_for, wait_until};

/// One at a time: a fleet and its servers fill a small machine.
static TURN: Mutex<()> = Mutex::new(());
const STANDBY: &str = "is a standby";

/// A task that takes three workers down fails its build, and rightly so.
const KILLS_OF_A_TASK_MAX: u32 = 2;

#[test]
fn workers_and_the_active_coordinator_are_killed_again_and_again() {
    let _turn = TURN.lock();
    let mut rig = Rig::start("SIGKILL", false);
    let build = rig.build();
    let mut kills = BTreeMap::<String, u32>::new();
    for _ in 0..6 {
        let active = rig.active();
        let of = |task: &serde_json::Value| task["task_id"].to_string();
        let spared = |task: &serde_json::Value| kills.get(&of(task)) < Some(&KILLS_OF_A_TASK_MAX);
        let Some((worker, task)) = rig.busy(active, spared) else {
            break;
        };
        let service = match rig.draw(2) {
            0 => {
                *kills.entry(of(&task)).or_default() += 1;
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
    let rig = Rig::start("SIGSTOP", false);
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
        wait_until(|| {
            rig.metric(&rig.coordinators[other], "prestage_leader") == Some(1.0)
        });
        leader.signal("-CONT");
        wait_for(&leader.log, STANDBY);
        rig.fired(&format!("{} slept while the other one took over", leader.name));
    }
    rig.assert_undisturbed(build);
}

#[test]
fn the_database_is_killed_and_comes_back() {
    let _turn = TURN.lock();
    let mut rig = Rig::start("SIGKILL of PostgreSQL", false);
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
