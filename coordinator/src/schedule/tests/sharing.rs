//! Who is served when: requesters, builds, priorities, deadlines, and work that several need.

use super::*;

/// Tasks of their own for a build.
fn tasks(build: &str, ids: &[&str]) -> Vec<TaskRecord> {
    let task =
        |id: &&str| TaskRecord { work_key: format!("{build}/{id}"), ..example_task(id, &[]) };
    ids.iter().map(task).collect()
}

fn order_of(fleet: &mut Scheduler, slots: u32) -> Vec<String> {
    fleet.synchronize(&call("w", slots), SECOND);
    granted(fleet, "w", SECOND).into_iter().map(|(task, _)| task).collect()
}

#[test]
fn a_requester_with_many_builds_gets_no_more_than_one_with_one() {
    let mut fleet = Scheduler::new(Policy::default());
    for build in ["a", "b", "c"] {
        add(&mut fleet, build, "many", tasks(build, &["1", "2"]));
    }
    add(&mut fleet, "z", "one", tasks("z", &["1", "2", "3"]));
    assert_eq!(order_of(&mut fleet, 6), ["a/1", "z/1", "b/1", "z/2", "c/1", "z/3"]);
}

#[test]
fn priorities_go_first_then_what_is_due_soon() {
    let mut fleet = Scheduler::new(Policy::default());
    let hours = |count: u64| Duration::from_secs(3600 * count);
    let builds = [
        ("late", 0, Some(hours(9))),
        ("due", 0, Some(hours(1))),
        ("first", 1, None),
        ("ordinary", 0, None),
    ];
    for (build, priority, deadline) in builds {
        let order = BuildOrder { requester: build.into(), priority, deadline };
        fleet.add_build(build, order, tasks(build, &["1"]), Duration::ZERO);
    }
    assert_eq!(order_of(&mut fleet, 9), ["first/1", "due/1", "late/1", "ordinary/1"]);
}

#[test]
fn work_of_several_builds_is_done_once_and_another_takes_over_when_its_build_ends() {
    let mut fleet = Scheduler::new(Policy::default());
    for build in ["a", "b", "c"] {
        add(&mut fleet, build, "me", vec![example_task("1", &[])]);
    }
    fleet.synchronize(&call("w", 9), SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/1".into(), 1)]);
    fleet.remove_build("a", SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND), [("b/1".into(), 1)]);
    assert!(finish(&mut fleet, "w", "b/1", 1, SECOND));
    let task = TaskRef::from_wire("b/1").unwrap();
    let same = fleet.finish(&task, &v1::TaskResult::default(), SECOND);
    assert_eq!(same, [TaskRef::from_wire("c/1").unwrap()]);
}

#[test]
fn the_largest_task_of_a_build_goes_first() {
    let mut fleet = Scheduler::new(Policy::default());
    let mut sized = tasks("a", &["1", "2", "3"]);
    sized[1].bytes_total = 1 << 30;
    add(&mut fleet, "a", "me", sized);
    assert_eq!(order_of(&mut fleet, 3), ["a/2", "a/1", "a/3"]);
}

#[test]
fn a_slow_task_is_run_twice_and_the_first_result_wins() {
    let mut fleet = Scheduler::new(Policy::default());
    let mut all = tasks("a", &["1", "2", "3", "4", "5", "6"]);
    all[5].bytes_total = 100 << 20;
    all[..5].iter_mut().for_each(|task| task.bytes_total = 100 << 20);
    add(&mut fleet, "a", "me", all);
    fleet.synchronize(&call("slow", 1), SECOND);
    assert_eq!(granted(&mut fleet, "slow", SECOND), [("a/1".into(), 1)]);
    let mut now = SECOND;
    fleet.synchronize(&call("quick", 1), now);
    for id in 2..=6 {
        assert_eq!(granted(&mut fleet, "quick", now), [(format!("a/{id}"), 1)]);
        now += SECOND * 2;
        fleet.synchronize(&call("slow", 1), now);
        assert!(finish(&mut fleet, "quick", &format!("a/{id}"), 1, now));
    }
    assert_eq!(granted(&mut fleet, "quick", now), [], "it is young");
    now += Policy::default().straggler_after;
    let mut report = call("slow", 1);
    report.running.push(v1::Running { task_id: "a/1".into(), generation: 1, bytes_done: 5 << 20 });
    fleet.synchronize(&report, now);
    fleet.synchronize(&call("quick", 1), now);
    assert_eq!(granted(&mut fleet, "quick", now), [("a/1".into(), 2)]);
    assert_eq!(fleet.desired("slow").len(), 1, "the first one goes on");
    assert_eq!(granted(&mut fleet, "third", now), []);
    // It is the older lease that comes first after all.
    assert!(finish(&mut fleet, "slow", "a/1", 1, now));
    assert!(fleet.desired("quick").is_empty() && fleet.desired("slow").is_empty());
    assert!(!finish(&mut fleet, "quick", "a/1", 2, now), "only one result counts");
    assert!(fleet.is_complete("a"));
}

#[test]
fn a_second_try_that_is_lost_leaves_the_first_alone() {
    let mut fleet = Scheduler::new(Policy::default());
    for (number, id) in (0u32..).zip(["1", "2", "3", "4", "5"]) {
        let now = SECOND * 2 * number;
        add(&mut fleet, id, "me", tasks(id, &["1"]));
        fleet.synchronize(&call("w", 1), now);
        granted(&mut fleet, "w", now);
        assert!(finish(&mut fleet, "w", &format!("{id}/1"), 1, now + SECOND));
    }
    add(&mut fleet, "a", "me", tasks("a", &["1"]));
    let began = SECOND * 100;
    fleet.synchronize(&call("slow", 1), began);
    assert_eq!(granted(&mut fleet, "slow", began), [("a/1".into(), 1)]);
    let now = began + Policy::default().straggler_after;
    fleet.synchronize(&call("w", 1), now);
    assert_eq!(granted(&mut fleet, "w", now), [("a/1".into(), 2)]);
    let later = now + Policy::default().lease_ttl + SECOND;
    fleet.synchronize(&call("slow", 1), later);
    assert!(fleet.expire(later).failed.is_empty());
    assert_eq!(fleet.desired("slow").len(), 1);
    assert!(finish(&mut fleet, "slow", "a/1", 1, later));
}
