//! Second opinions are of workers that can't have made what they are on.

use super::*;
use crate::pipeline::opinion_key;

/// An encode task, and the second opinion on its pack.
fn doubted() -> Vec<TaskRecord> {
    let encode = TaskRecord { work_key: "pack".into(), ..example_task("encode", &[]) };
    let mut verify = example_task("verify", &["encode"]);
    (verify.kind, verify.work_key) = ("verify".into(), opinion_key("pack"));
    vec![encode, verify]
}

fn asks(worker: &str) -> v1::SynchronizeRequest {
    v1::SynchronizeRequest { kinds: vec!["encode".into(), "verify".into()], ..call(worker, 1) }
}

/// As the engine does it: leases are durable before they are told.
fn grant(fleet: &mut Scheduler, worker: &str, now: Duration) -> Vec<(TaskRef, u32)> {
    fleet.synchronize(&asks(worker), now);
    let granted = fleet.grant(worker, now);
    granted.iter().for_each(|(task, _)| fleet.note_maker(task, worker));
    granted
}

fn waits_for(fleet: &Scheduler, now: Duration) -> String {
    let wall = time::OffsetDateTime::UNIX_EPOCH;
    let tasks = super::super::task_statuses(fleet, "b", (now, wall));
    tasks.into_iter().find(|task| task.kind == "verify").unwrap().waiting_for
}

#[test]
fn whoever_had_the_lease_in_any_build_gives_no_second_opinion() {
    let mut fleet = scheduler(&[]);
    let builds = ["a", "b"];
    builds.iter().for_each(|build| add(&mut fleet, build, "me", doubted()));
    let mut now = SECOND;
    // It publishes a pack, and is silent until its lease is over.
    assert_eq!(grant(&mut fleet, "rogue", now).len(), 1);
    now += SECOND * 60;
    assert!(fleet.expire(now).failed.is_empty());
    let (task, generation) = grant(&mut fleet, "honest", now).remove(0);
    // The other build's task is the same work: it is done, too.
    let mut report = asks("honest");
    report.finished.push(done(&task, generation));
    let (task, result) = fleet.synchronize(&report, now).finished.remove(0);
    for same in fleet.finish(&task, &result, now) {
        fleet.finish(&same, &result, now);
    }
    for worker in ["rogue", "honest"] {
        assert!(grant(&mut fleet, worker, now).is_empty(), "{worker} may have made it");
    }
    let waits = waits_for(&fleet, now);
    assert!(waits.contains("another worker than 'honest', 'rogue'"), "{waits}");
    let granted = grant(&mut fleet, "third", now);
    assert_eq!(
        granted.iter().map(|(task, _)| task.task_id.as_str()).collect::<Vec<_>>(),
        ["verify"]
    );
}

#[test]
fn who_made_it_and_saw_it_there_is_the_only_one_to_be_doubted() {
    let mut fleet = scheduler(&[]);
    add(&mut fleet, "b", "me", doubted());
    let mut now = SECOND;
    assert_eq!(grant(&mut fleet, "killed", now).len(), 1);
    now += SECOND * 60;
    assert!(fleet.expire(now).failed.is_empty());
    let (task, generation) = grant(&mut fleet, "honest", now).remove(0);
    let pack = v1::PackResult { pack_key: "pack".into(), made: true, ..Default::default() };
    let work = Some(v1::task_result::Work::Pack(pack));
    let result = v1::TaskResult { work, ..Default::default() };
    let outcome = v1::finished::Outcome::Result(prost::Message::encode_to_vec(&result).into());
    let mut report = asks("honest");
    report.finished.push(v1::Finished { outcome: Some(outcome), ..done(&task, generation) });
    let (task, result) = fleet.synchronize(&report, now).finished.remove(0);
    fleet.finish(&task, &result, now);
    assert!(grant(&mut fleet, "honest", now).is_empty());
    // It was started again, and what lies there is another one's.
    assert_eq!(grant(&mut fleet, "killed", now).len(), 1);
}

#[test]
fn what_was_found_is_nobody_elses_result_where_it_is_compared() {
    for (made, theirs) in [(true, 1), (false, 0)] {
        let mut fleet = scheduler(&[]);
        for build in ["a", "b"] {
            let mut tasks = doubted();
            let work = v1::EncodeTask { compare_found: build == "b", ..Default::default() };
            tasks[0].payload.work = Some(v1::task::Work::Encode(work));
            add(&mut fleet, build, "me", tasks);
        }
        let (task, _) = grant(&mut fleet, "one", SECOND).remove(0);
        assert_eq!(task.build_id, "a");
        let pack = v1::PackResult { pack_key: "pack".into(), made, ..Default::default() };
        let work = Some(v1::task_result::Work::Pack(pack));
        let result = v1::TaskResult { work, ..Default::default() };
        assert_eq!(fleet.finish(&task, &result, SECOND).len(), theirs);
        // It is done once more, for the other build.
        let granted = ["two", "three"].map(|worker| grant(&mut fleet, worker, SECOND)).concat();
        assert!(made || granted.iter().any(|(task, _)| *task == TaskRef::new("b", "encode")));
    }
}

#[test]
fn what_was_known_before_the_restart_counts() {
    let mut fleet = scheduler(&[]);
    let mut tasks = doubted();
    tasks[0].result = Some(v1::TaskResult::default());
    add(&mut fleet, "b", "me", tasks);
    fleet.add_makers(&TaskRef::new("b", "verify"), ["rogue".to_owned()]);
    assert!(grant(&mut fleet, "rogue", SECOND).is_empty());
    assert_eq!(grant(&mut fleet, "third", SECOND).len(), 1);
}

#[test]
fn makers_are_not_waited_for_when_a_second_opinion_failed() {
    let mut fleet = scheduler(&[]);
    let mut tasks = doubted();
    tasks[0].result = Some(v1::TaskResult::default());
    add(&mut fleet, "b", "me", tasks);
    fleet.add_makers(&TaskRef::new("b", "verify"), ["rogue".to_owned()]);
    fleet.synchronize(&asks("rogue"), SECOND);
    let granted = grant(&mut fleet, "third", SECOND);
    let mut report = asks("third");
    report.finished.push(failed(&granted[0].0, granted[0].1, Retry::OtherWorker));
    assert!(fleet.synchronize(&report, SECOND).failed.is_empty());
    // There is nobody else who could: it tries again.
    assert_eq!(grant(&mut fleet, "third", SECOND).len(), 1);
}
