//! Replays the kept corpus through every target, on any toolchain.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prestage_fuzzing::TARGETS;

/// What libFuzzer is told too (`-timeout`), with an instrumented build.
const LONGEST_RUN: Duration = Duration::from_secs(5);
/// The corpus is kept in git.
const CORPUS_BYTES_MAX: u64 = 2 << 20;

type Fault = Box<dyn std::error::Error>;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Fault>>()?;
    files.sort();
    Ok(files)
}

/// One test for all, since memory is counted for the whole process.
#[test]
fn every_input_of_the_corpus_keeps_the_promises() -> Result<(), Fault> {
    let mut kept_bytes = 0;
    for target in TARGETS {
        let inputs = files(&fuzz_folder().join("corpus").join(target.name))?;
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for path in inputs {
            let input = fs::read(&path)?;
            kept_bytes += input.len() as u64;
            let began = Instant::now();
            let run = std::panic::catch_unwind(|| target.run(&input));
            assert!(run.is_ok(), "{} breaks a promise of {}", path.display(), target.name);
            let took = began.elapsed();
            assert!(took < LONGEST_RUN, "{} takes {took:?}", path.display());
        }
    }
    assert!(kept_bytes <= CORPUS_BYTES_MAX, "{kept_bytes} bytes of corpus");
    Ok(())
}

#[test]
fn every_target_has_its_program_for_cargo_fuzz_and_no_corpus_is_forgotten() -> Result<(), Fault> {
    let name = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut expected: Vec<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    expected.sort();
    for folder in ["fuzz_targets", "corpus"] {
        let found: Vec<String> =
            files(&fuzz_folder().join(folder))?.iter().filter_map(name).collect();
        assert_eq!(found, expected, "{folder}");
    }
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml"))?;
    for target in &expected {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} in Cargo.toml");
    }
    Ok(())
}
