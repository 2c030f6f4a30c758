//! The scheduler against examples and against random histories.

mod cancel;
mod faults;
mod locality;
mod model;
mod opinions;
mod protocol;
mod sharing;
mod waits;

use std::{collections::HashMap, time::Duration};

use prestage_proto::v1::{self, Retry, finished::Outcome, task::Work};
use proptest::prelude::*;
use prost::Message;

use super::{BuildOrder, Policy, Scheduler, TaskEntry, TaskPhase, TaskRef};
use crate::{records::TaskRecord, state::conformance::example_task};

const SECOND: Duration = Duration::from_secs(1);

fn call(worker: &str, slots: u32) -> v1::SynchronizeRequest {
    v1::SynchronizeRequest {
        worker_id: worker.into(),
        worker_name: worker.into(),
        slots,
        ..Default::default()
    }
}

fn done(task: &TaskRef, generation: u32) -> v1::Finished {
    let result = v1::TaskResult { bytes_read: 1, ..Default::default() };
    let outcome = Some(Outcome::Result(result.encode_to_vec().into()));
    v1::Finished { task_id: task.to_wire(), generation, outcome }
}

fn failed(task: &TaskRef, generation: u32, retry: Retry) -> v1::Finished {
    let failure = v1::Failure { what: "no".into(), retry: retry.into(), ..Default::default() };
    let outcome = Some(Outcome::Failure(failure));
    v1::Finished { task_id: task.to_wire(), generation, outcome }
}

/// A build and its tasks, each with the tasks before it.
type Example<'a> = (&'a str, &'a [(&'a str, &'a [&'a str])]);

fn scheduler(builds: &[Example<'_>]) -> Scheduler {
    let mut scheduler = Scheduler::new(Policy::default());
    for (build, tasks) in builds {
        let tasks = tasks.iter().map(|(id, deps)| {
            let mut task = example_task(id, deps);
            task.work_key = format!("{build}/{id}");
            task
        });
        scheduler.add_build(build, BuildOrder::default(), tasks.collect(), Duration::ZERO);
    }
    scheduler
}

fn encode_from(id: &str, sources: &[&str]) -> TaskRecord {
    let source = |name: &&str| v1::ContentSource {
        distribution_point: (*name).to_owned(),
        content_library: String::new(),
    };
    let sources = sources.iter().map(source).collect();
    let work = Some(Work::Encode(v1::EncodeTask { sources, ..Default::default() }));
    let payload = v1::Task { objects_url: "/objects".into(), work };
    TaskRecord { payload, ..example_task(id, &[]) }
}

fn reach(named: &[(&str, u32)]) -> Vec<v1::Reach> {
    let reach = |(name, cost): &(&str, u32)| v1::Reach {
        distribution_point: (*name).to_owned(),
        cost: *cost,
    };
    named.iter().map(reach).collect()
}

/// A build of tasks as they are.
fn add(scheduler: &mut Scheduler, build: &str, requester: &str, tasks: Vec<TaskRecord>) {
    let order = BuildOrder { requester: requester.into(), ..BuildOrder::default() };
    scheduler.add_build(build, order, tasks, Duration::ZERO);
}

/// Reports a result as the engine takes it.
fn finish(fleet: &mut Scheduler, worker: &str, task: &str, generation: u32, now: Duration) -> bool {
    let task = TaskRef::from_wire(task).unwrap();
    let mut report = call(worker, 1);
    report.finished.push(done(&task, generation));
    let outcome = fleet.synchronize(&report, now);
    for (task, result) in &outcome.finished {
        fleet.finish(task, result, now);
    }
    !outcome.finished.is_empty()
}

fn granted(scheduler: &mut Scheduler, worker: &str, now: Duration) -> Vec<(String, u32)> {
    let leases = scheduler.grant(worker, now).into_iter();
    leases.map(|(task, generation)| (task.to_wire(), generation)).collect()
}

#[test]
fn tasks_wait_for_those_before_them() {
    let mut fleet = scheduler(&[("a", &[("1", &[]), ("2", &["1"])])]);
    fleet.synchronize(&call("w", 5), SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/1".into(), 1)]);
    let task = TaskRef::from_wire("a/1").unwrap();
    let mut report = call("w", 5);
    report.finished.push(done(&task, 1));
    let outcome = fleet.synchronize(&report, SECOND);
    assert_eq!(outcome.finished.len(), 1);
    fleet.finish(&task, &outcome.finished[0].1, SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/2".into(), 1)]);
}

#[test]
fn builds_are_served_in_turn() {
    let mut fleet = scheduler(&[
        ("a", &[("1", &[]), ("2", &[]), ("3", &[])]),
        ("b", &[("1", &[]), ("2", &[]), ("3", &[])]),
    ]);
    fleet.synchronize(&call("w", 4), SECOND);
    let order: Vec<String> = granted(&mut fleet, "w", SECOND).into_iter().map(|(t, _)| t).collect();
    assert_eq!(order, ["a/1", "b/1", "a/2", "b/2"]);
}

#[test]
fn a_silent_worker_loses_its_leases_and_its_late_result_changes_nothing() {
    let mut fleet = scheduler(&[("a", &[("1", &[])])]);
    fleet.synchronize(&call("old", 1), SECOND);
    assert_eq!(granted(&mut fleet, "old", SECOND), [("a/1".into(), 1)]);
    assert!(fleet.expire(SECOND * 5).failed.is_empty());
    fleet.expire(SECOND * 60);
    fleet.synchronize(&call("new", 1), SECOND * 61);
    assert_eq!(granted(&mut fleet, "new", SECOND * 61), [("a/1".into(), 2)]);
    let task = TaskRef::from_wire("a/1").unwrap();
    let mut late = call("old", 1);
    late.finished.push(done(&task, 1));
    let outcome = fleet.synchronize(&late, SECOND * 62);
    assert!(outcome.finished.is_empty());
    assert!(fleet.desired("old").is_empty());
    assert_eq!(fleet.desired("new").len(), 1);
}

#[test]
fn a_restarted_coordinator_lets_the_holder_go_on() {
    let mut task = example_task("1", &[]);
    task.generation = 4;
    let mut fleet = Scheduler::new(Policy::default());
    fleet.add_build("a", BuildOrder::default(), vec![task], Duration::ZERO);
    let mut report = call("w", 1);
    report.running.push(v1::Running { task_id: "a/1".into(), generation: 4, bytes_done: 3 });
    fleet.synchronize(&report, SECOND);
    assert!(granted(&mut fleet, "w", SECOND).is_empty());
    assert_eq!(fleet.desired("w")[0].1, 4);
    assert_eq!(fleet.tasks("a").next().unwrap().bytes_done(), 3);
}

#[test]
fn wrong_input_fails_at_once_and_a_weak_worker_is_avoided() {
    let mut fleet = scheduler(&[("a", &[("1", &[]), ("2", &[])])]);
    for worker in ["w", "x"] {
        fleet.synchronize(&call(worker, 1), SECOND);
    }
    let task = TaskRef::from_wire("a/1").unwrap();
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/1".into(), 1)]);
    let mut report = call("w", 1);
    report.finished.push(failed(&task, 1, Retry::OtherWorker));
    assert!(fleet.synchronize(&report, SECOND).failed.is_empty());
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/2".into(), 1)]);
    assert_eq!(granted(&mut fleet, "x", SECOND), [("a/1".into(), 2)]);
    let mut report = call("x", 1);
    report.finished.push(failed(&task, 2, Retry::Never));
    assert_eq!(fleet.synchronize(&report, SECOND).failed.len(), 1);
}

#[test]
fn a_task_that_kills_its_workers_is_given_up() {
    let mut fleet = scheduler(&[("a", &[("1", &[])])]);
    let mut lost = Vec::new();
    for (number, worker) in (1u32..).zip(["w", "x", "y"]) {
        let now = SECOND * 100 * number;
        fleet.synchronize(&call(worker, 1), now);
        assert_eq!(granted(&mut fleet, worker, now), [("a/1".into(), number)]);
        lost = fleet.expire(now + SECOND * 60).failed;
    }
    assert_eq!(lost.len(), 1);
    assert!(lost[0].1.what.contains("3 workers were lost"), "{}", lost[0].1.what);
}

#[test]
fn the_same_work_is_done_once() {
    let mut fleet = Scheduler::new(Policy::default());
    for build in ["a", "b"] {
        fleet.add_build(build, BuildOrder::default(), vec![example_task("1", &[])], Duration::ZERO);
    }
    fleet.synchronize(&call("w", 2), SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/1".into(), 1)]);
    let task = TaskRef::from_wire("a/1").unwrap();
    let same = fleet.finish(&task, &v1::TaskResult::default(), SECOND);
    assert_eq!(same, [TaskRef::from_wire("b/1").unwrap()]);
}

/// What is kept up step by step is what a look at everything gives.
fn check_queue(fleet: &Scheduler) -> Result<(), TestCaseError> {
    let all = || fleet.builds.values().flat_map(|build| build.tasks.values());
    for (build_id, build) in &fleet.builds {
        let mut listed = Vec::new();
        for (class, tasks) in build.ready.classes() {
            listed.extend(tasks.map(|(bytes, task_id)| (class.clone(), bytes, task_id.to_owned())));
        }
        for (task_id, task) in &build.tasks {
            let is_open = |dep: &&String| build.tasks[*dep].record.result.is_none();
            let is_leased = |other: &TaskEntry| {
                other.phase == TaskPhase::Leased && other.record.work_key == task.record.work_key
            };
            let is_ready = task.phase == TaskPhase::Waiting
                && !task.record.deps.iter().any(|dep| is_open(&dep))
                && !all().any(is_leased);
            let entry = (task.class.clone(), task.record.bytes_total, task_id.clone());
            prop_assert_eq!(listed.contains(&entry), is_ready, "{}/{}", build_id, task_id);
            prop_assert_eq!(task.phase == TaskPhase::Leased, !task.leases.is_empty());
            for lease in &task.leases {
                let held = &fleet.workers[&lease.worker].leases;
                prop_assert!(held.contains_key(&TaskRef::new(build_id, task_id)));
            }
        }
        prop_assert_eq!(!build.ready.is_empty(), fleet.ready_builds.contains(build_id));
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Call { worker: u8, report: Option<(u8, bool)> },
    Silence { seconds: u8 },
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4, proptest::option::of((0u8..4, any::<bool>())))
            .prop_map(|(worker, report)| Step::Call { worker, report }),
        1 => (1u8..40).prop_map(|seconds| Step::Silence { seconds }),
        1 => Just(Step::Expire),
    ]
}

proptest! {
    /// No generation is given out twice, a done task stays done, a task has one holder or two of
    /// distinct workers, and a result counts only under a generation that was given out.
    #[test]
    fn random_histories_keep_the_promises(steps in proptest::collection::vec(step(), 1..200)) {
        let mut fleet = scheduler(&[
            ("a", &[("1", &[]), ("2", &["1"]), ("3", &["1"])]),
            ("b", &[("1", &[]), ("2", &[])]),
        ]);
        // Two builds that need the same work.
        for build in ["c", "d"] {
            add(&mut fleet, build, build, vec![example_task("1", &[])]);
        }
        let mut now = SECOND;
        let mut newest: HashMap<String, u32> = HashMap::new();
        let mut held: HashMap<u8, Vec<(TaskRef, u32)>> = HashMap::new();
        let mut done_tasks: Vec<TaskRef> = Vec::new();
        for step in steps {
            match step {
                Step::Silence { seconds } => now += SECOND * u32::from(seconds),
                Step::Expire => { fleet.expire(now); }
                Step::Call { worker, report } => {
                    let name = format!("w{worker}");
                    let mut request = call(&name, 2);
                    // A report of any lease that the worker ever had, however old.
                    if let Some((pick, succeeds)) = report
                        && let Some((task, generation)) =
                            held.get(&worker).and_then(|had| had.get(usize::from(pick)))
                    {
                        request.finished.push(if succeeds {
                            done(task, *generation)
                        } else {
                            failed(task, *generation, Retry::SameWorker)
                        });
                    }
                    let outcome = fleet.synchronize(&request, now);
                    for (task, result) in outcome.finished {
                        prop_assert!(!done_tasks.contains(&task), "{task:?} was done before");
                        let finished = &request.finished[0];
                        prop_assert!(finished.generation <= newest[&task.to_wire()]);
                        for same in fleet.finish(&task, &result, now) {
                            fleet.finish(&same, &result, now);
                            done_tasks.push(same);
                        }
                        done_tasks.push(task);
                    }
                    for (task, generation) in fleet.grant(&name, now) {
                        let before = newest.insert(task.to_wire(), generation).unwrap_or(0);
                        prop_assert!(generation > before);
                        prop_assert!(!done_tasks.contains(&task));
                        held.entry(worker).or_default().push((task, generation));
                    }
                    prop_assert!(fleet.desired(&name).len() <= 2);
                }
            }
            for task in &done_tasks {
                let mut tasks = fleet.tasks(&task.build_id);
                let entry = tasks.find(|entry| entry.record.task_id == task.task_id).unwrap();
                prop_assert_eq!(&entry.phase, &TaskPhase::Done);
            }
            check_queue(&fleet)?;
            // One holder, or a second one for a straggler: never one worker twice.
            for task in fleet.builds.values().flat_map(|build| build.tasks.values()) {
                let mut holders: Vec<&str> = task.leases.iter().map(|l| &*l.worker).collect();
                holders.dedup();
                prop_assert!(holders.len() == task.leases.len() && holders.len() <= 2);
            }
        }
    }
}
