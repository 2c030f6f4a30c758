//! A cancellation is over when the workers have said that they stopped.

use super::*;

#[test]
fn a_worker_stops_before_its_slot_is_free_and_the_cancellation_over() {
    let mut fleet = scheduler(&[("a", &[("1", &[])]), ("b", &[("1", &[])])]);
    fleet.synchronize(&call("w", 1), SECOND);
    assert_eq!(granted(&mut fleet, "w", SECOND), [("a/1".into(), 1)]);
    fleet.remove_build("a", SECOND);
    assert_eq!(fleet.stopping("a"), ["w"]);
    assert!(fleet.desired("w").is_empty());
    assert_eq!(granted(&mut fleet, "w", SECOND), [], "it is still busy");
    let running = v1::Running { task_id: "a/1".into(), generation: 1, bytes_done: 0 };
    // It has not heard of it yet; then it gives the task up; then the task has ended.
    let unaware = v1::SynchronizeRequest { running: vec![running.clone()], ..call("w", 1) };
    let giving_up = v1::SynchronizeRequest { stopping: vec![running], ..call("w", 1) };
    for call in [unaware, giving_up] {
        fleet.synchronize(&call, SECOND);
        assert_eq!(fleet.stopping("a"), ["w"]);
    }
    fleet.synchronize(&call("w", 1), SECOND);
    assert!(fleet.stopping("a").is_empty());
    assert_eq!(granted(&mut fleet, "w", SECOND), [("b/1".into(), 1)]);
}

#[test]
fn a_lost_worker_holds_no_cancellation_up() {
    let mut fleet = scheduler(&[("a", &[("1", &[])])]);
    fleet.synchronize(&call("w", 1), SECOND);
    granted(&mut fleet, "w", SECOND);
    fleet.remove_build("a", SECOND);
    fleet.expire(SECOND * 60);
    assert!(fleet.stopping("a").is_empty());
}
