//! A few seeds with every test run; `./sim.sh --seeds N` plays more. What a seed has found has a test of its own where its
//! cause was: see `docs/reliability.md`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

fn sim(args: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    let output = command.args(args).arg("--folder").arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), format!("{said}{errors}"))
}

/// The first of them run twice, before all others: the same trace, byte for byte.
#[test]
fn promises_are_kept_whatever_goes_wrong() {
    let (kept, said) = sim(&["--first", "4", "--seeds", "2"]);
    assert!(kept && said.contains("the same traces"), "{said}");
}
