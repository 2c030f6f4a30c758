//! Several hundred seeds with every test run. A seed that is broken here is mended at its cause, and kept among
//! those that were broken once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// Seeds that found a bug, and which: see `docs/reliability.md`.
const BROKEN_ONCE: [u64; 3] = [3, 11, 34];

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
    let (kept, said) = sim(&["--first", "1", "--seeds", "300"]);
    assert!(kept && said.contains("the same traces"), "{said}");
}

#[test]
fn what_was_broken_once_stays_mended() {
    for seed in BROKEN_ONCE {
        let (kept, said) = sim(&["--first", &seed.to_string(), "--seeds", "1"]);
        assert!(kept, "{said}");
    }
}
