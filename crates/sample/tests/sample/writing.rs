//! How the sample is written: its size, its repeatability, what is refused.

use std::{collections::BTreeMap, fs, path::PathBuf};

use prestage_configmgr::Site;
use prestage_sample::{SampleError, SampleOptions, write_sample};
use time::macros::datetime;

use super::{NOW, files, run, sample, text};

#[test]
fn it_is_small() {
    let usage = run("du", &["-sk", &text(&sample().folder)]);
    let kib: u64 = usage.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kib < 60 * 1024, "{kib} KiB on disk");
    let apparent: u64 =
        files(&sample().folder).values().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(apparent < 90 << 20, "{apparent} bytes where hard links are copies");
    assert!(sample().os_image_bytes > 8 << 20, "{:?}", sample());
}

/// A sample as small as can be.
fn small(seed: u64, threads: usize) -> SampleOptions {
    SampleOptions {
        seed,
        os_files: 100,
        os_bytes: 1 << 20,
        large_file_bytes: 1 << 20,
        driver_files: 32,
        driver_bytes: 1 << 16,
        payload_bytes: 1000,
        application_bytes: 1000,
        packages: 2,
        package_bytes: 70_000,
        packed_percent: 50,
        threads,
        password: Some("Sample-Password-of-the-tests-1".into()),
    }
}

#[test]
fn the_same_seed_and_clock_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, options: &SampleOptions| {
        let folder = dir.path().join(name);
        write_sample(&folder, options, NOW).unwrap();
        files(&folder)
            .into_iter()
            .map(|(name, path)| (name, fs::read(path).unwrap()))
            .collect::<BTreeMap<_, _>>()
    };
    let first = make("a", &small(7, 1));
    let second = make("b", &small(7, 2));
    assert!(first.keys().eq(second.keys()));
    for (name, bytes) in &first {
        assert!(second[name] == *bytes, "{name:?}");
    }
    assert!(!make("c", &small(8, 2)).keys().eq(first.keys()));
}

#[test]
fn nothing_is_written_over_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("mine.txt"), "mine").unwrap();
    for path in [taken.clone(), taken.join("mine.txt")] {
        let error = write_sample(&path, &small(1, 2), NOW).unwrap_err();
        assert!(matches!(error, SampleError::NotEmpty { .. }), "{error}");
    }
    let bad = SampleOptions { driver_files: 0, ..small(1, 2) };
    let error = write_sample(&dir.path().join("bad"), &bad, NOW).unwrap_err();
    assert!(error.to_string().contains("driver_files"), "{error}");
    // The clock is looked at late, when nearly all is written.
    let never = datetime!(1900-01-01 00:00 UTC);
    let error = write_sample(&dir.path().join("late/deep"), &small(1, 2), never).unwrap_err();
    assert!(matches!(error, SampleError::Clock { .. }), "{error}");
    let left: Vec<PathBuf> = files(dir.path()).into_values().collect();
    assert_eq!(left, [taken.join("mine.txt")]);
    // An empty folder will do, and stays the folder that it is.
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let summary = write_sample(&empty, &small(1, 2), NOW).unwrap();
    assert!(summary.spec.is_file() && Site::open(&summary.folder).is_ok());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}
