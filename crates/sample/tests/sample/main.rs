//! The sample as its readers meet it: wimlib, 7-Zip, an NTFS volume, our own resolver and spec.
#![allow(clippy::unwrap_used, missing_docs)]

mod images;
mod site;
mod writing;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Instant,
};

use prestage_configmgr::{ContentRequest, Resolution, Site, resolve};
use prestage_media::spec::{CheckedSpec, MediaSpec};
use prestage_sample::{SampleOptions, SampleSummary, write_sample};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:34:56 UTC);

/// Runs a tool and returns what it printed. A missing tool is a failure that names its package.
fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|error| {
        panic!("{tool}: {error}: install Debian's packages wimtools, p7zip-full and ntfs-3g")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {text}{errors}");
    text
}

/// One default sample for all tests that only read.
fn sample() -> &'static SampleSummary {
    static SAMPLE: OnceLock<(TempDir, SampleSummary)> = OnceLock::new();
    let (_, summary) = SAMPLE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let summary =
            write_sample(&dir.path().join("sample"), &SampleOptions::default(), NOW).unwrap();
        assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
        (dir, summary)
    });
    summary
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn load(spec: &Path) -> CheckedSpec {
    MediaSpec::load(spec, NOW).unwrap_or_else(|error| panic!("{error}"))
}

fn request(spec: &MediaSpec) -> ContentRequest {
    ContentRequest {
        task_sequence: spec.task_sequence.to_string(),
        boot_image: spec.boot_image.to_string(),
        os_image_package: spec.os_image.package.to_string(),
        applications: spec.applications.iter().map(ToString::to_string).collect(),
        packages: spec.packages.iter().map(ToString::to_string).collect(),
        driver_packages: spec.driver_packages.iter().map(ToString::to_string).collect(),
        prestart_package: spec
            .customization
            .prestart
            .as_ref()
            .and_then(|prestart| prestart.package.as_ref())
            .map(ToString::to_string),
        detect_application_dependencies: spec.detect_application_dependencies,
        distribution_points: spec.distribution_points.clone(),
        strict_package_hash: true,
    }
}

fn resolved(spec: &Path) -> Resolution {
    let spec = load(spec).spec;
    let site = Site::open(&sample().folder).unwrap();
    resolve(&site, &request(&spec)).unwrap_or_else(|error| panic!("{error}"))
}

/// Every file below a folder, by relative path.
fn files(root: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), path);
            }
        }
    }
    found
}
