//! Every wait says for what, since when and until when.

use time::OffsetDateTime;

use super::*;
use crate::schedule::{Wait, task_statuses};

const WALL: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn waits(fleet: &Scheduler, build: &str, now: Duration) -> Vec<String> {
    let statuses = task_statuses(fleet, build, (now, WALL + time::Duration::days(1)));
    statuses.into_iter().map(|status| status.waiting_for).collect()
}

#[test]
fn what_is_waited_for_follows_the_fleet() {
    let mut fleet = Scheduler::new(Policy::default());
    let mut last = encode_from("2", &[]);
    last.deps = vec!["1".into()];
    add(&mut fleet, "a", "me", vec![encode_from("1", &["dp1", "dp2"]), last]);
    let one = |fleet: &Scheduler| waits(fleet, "a", SECOND)[0].clone();
    assert_eq!(
        waits(&fleet, "a", SECOND),
        ["a worker: none has reported", "1 of 1 tasks before it"]
    );
    let mut worker = call("w", 1);
    worker.reach = reach(&[("dp3", 0)]);
    fleet.synchronize(&worker, SECOND);
    assert_eq!(one(&fleet), "a worker that reaches dp1 or dp2: none of 1 does");
    worker.reach = Vec::new();
    worker.draining = true;
    fleet.synchronize(&worker, SECOND);
    assert_eq!(one(&fleet), "a worker: all 1 are draining");
    worker.draining = false;
    worker.kinds = vec!["merge".into()];
    fleet.synchronize(&worker, SECOND);
    assert_eq!(one(&fleet), "a worker of a newer release: none of 1 knows 'encode' tasks");
    worker.kinds.clear();
    fleet.synchronize(&worker, SECOND);
    assert_eq!(one(&fleet), "a free slot of the only worker that can do it");
    granted(&mut fleet, "w", SECOND);
    assert_eq!(waits(&fleet, "a", SECOND), ["", "1 of 1 tasks before it"]);
    add(&mut fleet, "b", "me", vec![encode_from("1", &["dp1"])]);
    assert_eq!(waits(&fleet, "b", SECOND), ["build a, which does the same work"]);
    let task = TaskRef::from_wire("a/1").unwrap();
    let mut report = call("w", 1);
    report.finished.push(failed(&task, 1, Retry::OtherWorker));
    fleet.synchronize(&report, SECOND);
    assert_eq!(one(&fleet), "another try: no");
}

#[test]
fn a_wait_that_ends_by_itself_says_when() {
    let mut fleet = Scheduler::new(Policy::default());
    add(&mut fleet, "a", "me", vec![encode_from("1", &["dp1"])]);
    let mut near = call("near", 1);
    near.reach = reach(&[("dp1", 0)]);
    fleet.synchronize(&near, SECOND);
    fleet.synchronize(&call("far", 1), SECOND);
    let mut far = call("far", 1);
    far.reach = reach(&[("dp1", 9)]);
    fleet.synchronize(&far, SECOND);
    let status = task_statuses(&fleet, "a", (SECOND, WALL + time::Duration::seconds(1))).remove(0);
    assert_eq!(status.waiting_for, "a worker near its content (near), then for any");
    let hold_out = i64::try_from(Policy::default().hold_out.as_secs()).unwrap();
    assert_eq!(status.since.unwrap().seconds, 0, "when it was added");
    assert_eq!(status.until.unwrap().seconds, hold_out);
}

#[test]
fn queues_are_counted_by_reason_with_the_age_of_the_oldest() {
    let mut fleet = Scheduler::new(Policy::default());
    let mut last = encode_from("3", &[]);
    last.deps = vec!["1".into(), "2".into()];
    let second = TaskRecord { work_key: "other".into(), ..encode_from("2", &["dp1"]) };
    add(&mut fleet, "a", "me", vec![encode_from("1", &["dp1"]), second, last]);
    fleet.synchronize(&call("w", 1), SECOND * 7);
    granted(&mut fleet, "w", SECOND * 7);
    let queue = fleet.queue(SECOND * 9);
    let depth = |reason: &str| queue.iter().find(|depth| depth.reason == reason).copied();
    assert_eq!(depth("slot").map(|depth| (depth.tasks, depth.oldest)), Some((1, SECOND * 9)));
    assert_eq!(depth("tasks").map(|depth| depth.tasks), Some(1));
    assert_eq!(fleet.slots(SECOND * 9), (0, 1));
    assert_eq!(Wait::Return.reason(), "return");
}
