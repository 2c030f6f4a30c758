//! Workers that fail everything, tasks that fail everywhere, and coordinators that come back.

use super::*;

fn fail(fleet: &mut Scheduler, worker: &str, lease: &(String, u32), now: Duration) -> usize {
    let task = TaskRef::from_wire(&lease.0).unwrap();
    let mut report = call(worker, 1);
    report.finished.push(failed(&task, lease.1, Retry::OtherWorker));
    fleet.synchronize(&report, now).failed.len()
}

fn many(count: usize) -> Scheduler {
    let mut fleet = Scheduler::new(Policy::default());
    let task = |number| TaskRecord {
        work_key: String::new(),
        ..example_task(&format!("{number:03}"), &[])
    };
    add(&mut fleet, "a", "me", (0..count).map(task).collect());
    fleet
}

#[test]
fn a_worker_that_fails_everything_is_put_aside_while_others_do_well() {
    let mut fleet = many(20);
    fleet.synchronize(&call("good", 1), SECOND);
    let mut failed = 0;
    for round in 0..20 {
        fleet.synchronize(&call("bad", 1), SECOND);
        let Some(lease) = granted(&mut fleet, "bad", SECOND).pop() else {
            break;
        };
        assert_eq!(fail(&mut fleet, "bad", &lease, SECOND), 0, "no task suffers: round {round}");
        failed += 1;
    }
    assert_eq!(failed, Policy::default().faults_max);
    assert_eq!(fleet.worker_states(SECOND), [("taking", 1), ("draining", 0), ("resting", 1)]);
    // It is tried again with a single task, and put aside for longer.
    let later = SECOND + Policy::default().rest;
    fleet.synchronize(&call("good", 1), later);
    fleet.synchronize(&call("bad", 9), later);
    let again = granted(&mut fleet, "bad", later);
    assert_eq!(again.len(), 1);
    fail(&mut fleet, "bad", &again[0], later);
    fleet.synchronize(&call("bad", 9), later + Policy::default().rest);
    assert_eq!(granted(&mut fleet, "bad", later + Policy::default().rest), []);
    // A success, and it is trusted again.
    let later = later + Policy::default().rest * 2;
    fleet.synchronize(&call("bad", 9), later);
    let last = granted(&mut fleet, "bad", later);
    assert_eq!(last.len(), 1);
    assert!(finish(&mut fleet, "bad", &last[0].0, last[0].1, later));
    fleet.synchronize(&call("bad", 9), later);
    assert_eq!(granted(&mut fleet, "bad", later).len(), 9);
}

#[test]
fn when_all_fail_nobody_is_put_aside() {
    let mut fleet = many(9);
    for worker in ["w", "x"] {
        fleet.synchronize(&call(worker, 1), SECOND);
    }
    for _ in 0..4 {
        for worker in ["w", "x"] {
            fleet.synchronize(&call(worker, 1), SECOND);
            if let Some(lease) = granted(&mut fleet, worker, SECOND).pop() {
                fail(&mut fleet, worker, &lease, SECOND);
            }
        }
    }
    assert!(fleet.worker_states(SECOND)[2].1 < 2);
}

#[test]
fn a_task_that_fails_on_distinct_workers_is_given_up_and_others_go_on() {
    let mut fleet = many(1);
    let workers = ["w", "x", "y", "z"];
    for worker in workers {
        fleet.synchronize(&call(worker, 1), SECOND);
    }
    let mut given_up = Vec::new();
    for worker in workers {
        fleet.synchronize(&call(worker, 1), SECOND);
        if let Some(lease) = granted(&mut fleet, worker, SECOND).pop() {
            given_up.push(fail(&mut fleet, worker, &lease, SECOND));
        }
        if given_up.last() == Some(&1) {
            break;
        }
    }
    assert_eq!(given_up, [0, 0, 1], "after three distinct workers");
}

#[test]
fn a_worker_alone_tries_a_few_times() {
    let mut fleet = many(1);
    let mut attempts = Vec::new();
    for _ in 0..3 {
        fleet.synchronize(&call("w", 1), SECOND);
        let lease = granted(&mut fleet, "w", SECOND).pop().unwrap();
        attempts.push(fail(&mut fleet, "w", &lease, SECOND));
    }
    assert_eq!(attempts, [0, 0, 1]);
}

#[test]
fn tasks_are_kept_for_their_workers_after_a_restart() {
    let mut fleet = Scheduler::new(Policy::default());
    let leased = TaskRecord { generation: 4, ..example_task("1", &[]) };
    add(
        &mut fleet,
        "a",
        "me",
        vec![leased, TaskRecord { work_key: "x".into(), ..example_task("2", &[]) }],
    );
    fleet.synchronize(&call("hasty", 5), SECOND);
    assert_eq!(granted(&mut fleet, "hasty", SECOND), [("a/2".into(), 1)]);
    let mut holder = call("holder", 1);
    holder.running.push(v1::Running { task_id: "a/1".into(), generation: 4, bytes_done: 3 });
    fleet.synchronize(&holder, SECOND * 2);
    assert_eq!(fleet.desired("holder").len(), 1);
    assert!(finish(&mut fleet, "holder", "a/1", 4, SECOND * 3));
}

#[test]
fn a_worker_that_does_not_come_back_loses_its_task_after_the_grace() {
    let mut fleet = Scheduler::new(Policy::default());
    add(&mut fleet, "a", "me", vec![TaskRecord { generation: 4, ..example_task("1", &[]) }]);
    let grace = Policy::default().return_grace;
    fleet.synchronize(&call("w", 1), grace - SECOND);
    assert_eq!(granted(&mut fleet, "w", grace - SECOND), []);
    fleet.synchronize(&call("w", 1), grace);
    assert_eq!(granted(&mut fleet, "w", grace), [("a/1".into(), 5)]);
}
