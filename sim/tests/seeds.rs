//! Three hundred seeds with every test run; `./sim.sh --seeds N` plays more. What was found also has a test of its
//! own where its cause was, if it can: see `docs/reliability.md`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// In the usual folder: a seed is the same run as by hand.
fn sim(args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), format!("{said}{errors}"))
}

/// The first of them run twice, before all others: the same trace, byte for byte.
#[test]
fn promises_are_kept_whatever_goes_wrong() {
    let (kept, said) = sim(&["--seeds", "300"]);
    assert!(kept && said.contains("the same traces"), "{said}");
}
