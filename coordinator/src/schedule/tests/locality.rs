//! Who reaches what, and how long tasks are held out for those who are near.

use super::*;

fn near_and_far() -> Scheduler {
    let mut fleet = Scheduler::new(Policy::default());
    add(&mut fleet, "a", "me", vec![encode_from("1", &["dp1"]), encode_from("2", &["dp1"])]);
    let mut near = call("near", 1);
    near.reach = reach(&[("dp1", 0)]);
    let mut far = call("far", 1);
    far.reach = reach(&[("*", 10)]);
    fleet.synchronize(&far, SECOND);
    fleet.synchronize(&near, SECOND);
    fleet
}

#[test]
fn a_task_is_held_out_for_a_nearer_worker_but_not_for_long() {
    let mut fleet = near_and_far();
    let now = SECOND;
    assert_eq!(granted(&mut fleet, "far", now), [], "the near one is there");
    assert_eq!(granted(&mut fleet, "near", now), [("a/1".into(), 1)]);
    assert_eq!(granted(&mut fleet, "far", now), [], "the near one may soon be free");
    let later = now + Policy::default().hold_out;
    assert_eq!(granted(&mut fleet, "far", later), [("a/2".into(), 1)]);
}

#[test]
fn nobody_holds_out_for_a_worker_that_takes_nothing() {
    let mut fleet = near_and_far();
    let mut near = call("near", 1);
    near.draining = true;
    near.reach = reach(&[("dp1", 0)]);
    fleet.synchronize(&near, SECOND);
    assert_eq!(granted(&mut fleet, "near", SECOND), []);
    assert_eq!(granted(&mut fleet, "far", SECOND), [("a/1".into(), 1)]);
}

#[test]
fn a_worker_gets_only_what_it_reaches_and_knows() {
    let mut fleet = Scheduler::new(Policy::default());
    let mut unknown = encode_from("3", &["dp1"]);
    unknown.kind = "novel".into();
    let tasks = vec![encode_from("1", &["dp1"]), encode_from("2", &["dp2"]), unknown];
    add(&mut fleet, "a", "me", tasks);
    let mut worker = call("w", 5);
    worker.reach = reach(&[("dp2", 3)]);
    fleet.synchronize(&worker, SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND * 99), [("a/2".into(), 1)]);
    // One of the release before: it says neither what it reaches nor what it knows.
    fleet.synchronize(&call("old", 5), SECOND);
    assert_eq!(granted(&mut fleet, "old", SECOND * 99), [("a/1".into(), 1)]);
    let mut newer = call("new", 5);
    newer.kinds = vec!["novel".into()];
    fleet.synchronize(&newer, SECOND);
    assert_eq!(granted(&mut fleet, "new", SECOND * 99), [("a/3".into(), 1)]);
}

#[test]
fn what_no_worker_can_do_is_told_at_once_and_looked_at_again() {
    let mut fleet = Scheduler::new(Policy::default());
    let tasks = [encode_from("1", &["dp1"]), encode_from("2", &["dp2"])];
    assert_eq!(fleet.unsatisfiable(&tasks), [], "without workers nothing can be said");
    let mut worker = call("w", 1);
    worker.reach = reach(&[("dp2", 0)]);
    fleet.synchronize(&worker, SECOND);
    let told = fleet.unsatisfiable(&tasks);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1.to_string(), "a worker that reaches dp1: none of 1 does");
    let mut other = call("x", 1);
    other.reach = reach(&[("dp1", 0)]);
    fleet.synchronize(&other, SECOND);
    assert_eq!(fleet.unsatisfiable(&tasks), []);
}
