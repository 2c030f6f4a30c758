//! Tries every bomb, and looks that every target has one.

use std::collections::BTreeSet;

use prestage_fuzzing::{TARGETS, bombs};

/// One test for all, since memory and processor time are those of the whole process.
#[test]
fn what_is_built_to_be_bad_takes_time_and_memory_by_its_size() {
    let failed = bombs().into_iter().filter_map(|bomb| {
        let tried = std::panic::catch_unwind(|| bomb.try_out());
        let broken = || Err(format!("{} ({}) breaks a promise", bomb.target, bomb.shape));
        tried.unwrap_or_else(|_| broken()).err()
    });
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_target_has_a_bomb() {
    let with: BTreeSet<&str> = bombs().iter().map(|bomb| bomb.target).collect();
    let all: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(with, all, "left: targets with bombs, right: all");
}
