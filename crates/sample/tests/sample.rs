//! The sample as its readers meet it: wimlib, 7-Zip, an NTFS volume, our own resolver and spec.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Instant,
};

use object_store::local::LocalFileSystem;
use prestage_configmgr::{ContentRequest, Resolution, Site, resolve};
use prestage_media::{
    boot_files::{Architecture, boot_files},
    password,
    spec::{CheckedSpec, MediaSpec},
};
use prestage_sample::{SampleError, SampleOptions, SampleSummary, write_sample};
use prestage_wim::{ObjectSource, Wim, metadata::ImageTree, verify, xml};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:34:56 UTC);

/// Runs a tool and returns what it printed. A missing tool is a failure that names its package.
fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool)
        .args(args)
        .output()
        .unwrap_or_else(|error| {
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
        driver_packages: spec
            .driver_packages
            .iter()
            .map(ToString::to_string)
            .collect(),
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

/// The WIM of an image package, in the library that is preferred.
fn wim_of(content: &prestage_configmgr::resolve::ResolvedContent) -> PathBuf {
    let [file] = content.listing.files.as_slice() else {
        panic!("{:?}", content.listing.files)
    };
    let hash: String = file
        .sha256
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    content.sources[0]
        .content_library
        .join("FileLib")
        .join(&hash[..4])
        .join(hash)
}

/// A link with the usual extension: 7-Zip asks for it.
fn named(dir: &TempDir, wim: &Path, name: &str) -> String {
    let path = dir.path().join(name);
    fs::copy(wim, &path).unwrap();
    text(&path)
}

#[test]
fn other_tools_read_both_images() {
    let found = resolved(&sample().spec);
    let dir = tempfile::tempdir().unwrap();
    let os = named(&dir, &wim_of(&found.os_image), "install.wim");
    let boot = named(&dir, &wim_of(&found.boot_image), "boot.wim");
    for wim in [&os, &boot] {
        run("wimlib-imagex", &["verify", wim]);
        run("7z", &["t", wim]);
    }
    let info = run("wimlib-imagex", &["info", &os]);
    for line in [
        "Image Count:    2",
        "Compression:    LZX",
        "Chunk Size:     32768 bytes",
        "Boot Index:     0",
        "Name:                   Windows 11 Enterprise sample",
        "Architecture:           x86_64",
        "Edition ID:             Enterprise",
        "Edition ID:             Professional",
        "Build:                  26100",
    ] {
        assert!(info.contains(line), "{line} in {info}");
    }
    let info = run("wimlib-imagex", &["info", &boot]);
    assert!(
        info.contains("Boot Index:     1") && info.contains("Microsoft Windows PE (x64)"),
        "{info}"
    );
    let listed = run("wimlib-imagex", &["dir", &boot, "1"]).to_lowercase();
    let names: BTreeSet<&str> = listed.lines().collect();
    for file in boot_files(Architecture::X64) {
        let there = |source: &&str| names.contains(format!("/{source}").to_lowercase().as_str());
        assert!(
            file.sources.iter().any(|source| there(&source)),
            "{:?}",
            file.sources
        );
    }
}

/// Applying to NTFS with wimlib keeps everything that a Windows volume can; so what is captured
/// from there must be what the image said.
#[test]
fn the_os_image_applies_to_ntfs() {
    let found = resolved(&sample().spec);
    let dir = tempfile::tempdir().unwrap();
    let wim = named(&dir, &wim_of(&found.os_image), "install.wim");
    for (index, expect_awkward) in [("1", false), ("2", true)] {
        let volume = dir.path().join(format!("ntfs{index}.img"));
        fs::File::create(&volume)
            .unwrap()
            .set_len(300 << 20)
            .unwrap();
        let volume = text(&volume);
        run("/usr/sbin/mkntfs", &["-F", "-q", &volume]);
        run("wimlib-imagex", &["apply", &wim, index, &volume]);
        let again = text(&dir.path().join(format!("again{index}.wim")));
        run(
            "wimlib-imagex",
            &["capture", &volume, &again, "--compress=none"],
        );
        let (before, after) = (details(&wim, index), details(&again, "1"));
        for (path, lines) in &before {
            assert_eq!(Some(lines), after.get(path), "{path}");
        }
        let all: String = before
            .values()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n");
        for part in [
            "Zone.Identifier",
            "only in a stream",
            "Reparse Tag",
            "Object ID",
            "FILE_ATTRIBUTE_HIDDEN",
            "Short Name",
            "DOCUME~1",
        ] {
            assert_eq!(
                all.contains(part),
                expect_awkward || part == "Short Name" || part == "FILE_ATTRIBUTE_HIDDEN",
                "{part} in image {index}"
            );
        }
    }
}

/// What `wimlib-imagex dir --detailed` says of each path, less what numbers the volume gave anew.
fn details(wim: &str, index: &str) -> BTreeMap<String, Vec<String>> {
    let listed = run("wimlib-imagex", &["dir", "--detailed", wim, index]);
    let mut entries = BTreeMap::new();
    for block in
        listed.split("----------------------------------------------------------------------------")
    {
        let lines = block
            .trim()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        let path = lines.iter().find_map(|line| line.strip_prefix("Full Path"));
        if let Some(path) = path {
            let path = path
                .trim_start_matches([' ', '='])
                .trim_matches('"')
                .to_owned();
            let kept = lines.iter().filter(|line| !is_of_the_file(line));
            entries.insert(path, kept.cloned().collect());
        }
    }
    assert!(
        entries.len() > 300,
        "{} entries: {listed:.3000}",
        entries.len()
    );
    entries
}

/// Lines on where something lies in a WIM, not on what it is.
fn is_of_the_file(line: &str) -> bool {
    [
        "Link Group ID",
        "Raw Uncompressed",
        "Offset",
        "Compressed size",
        "Compressed =",
        "Reference Count",
        "Security Descriptor ID",
    ]
    .iter()
    .any(|start| line.to_lowercase().starts_with(&start.to_lowercase()))
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_reader_finds_two_editions_that_share_most() {
    let found = resolved(&sample().spec);
    let path = wim_of(&found.os_image);
    let store = LocalFileSystem::new_with_prefix(path.parent().unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let source = ObjectSource::open(Arc::new(store), name.into())
        .await
        .unwrap();
    let wim = Arc::new(Wim::open(Arc::new(source)).await.unwrap());
    verify::verify(&wim, 2, |_| {}).await.unwrap();
    let images = xml::images(&wim.xml).unwrap();
    assert_eq!(
        images[1].description,
        "A sample, not Windows: everything awkward (R&D ring), index 2"
    );
    assert_eq!(
        (images[1].architecture, images[1].version.as_str()),
        (Some(9), "10.0.26100.1742")
    );
    let mut contents = Vec::new();
    for index in [1, 2] {
        let tree = ImageTree::parse(wim.metadata(index).await.unwrap()).unwrap();
        assert!(tree.security.len() >= 3);
        contents.push(tree.references().into_keys().collect::<BTreeSet<_>>());
    }
    let shared = contents[0].intersection(&contents[1]).count();
    assert!(shared > 200, "{shared}");
    assert!(contents[0].len() > shared + 20 && contents[1].len() > shared + 20);
}

#[test]
fn the_site_resolves_with_nothing_to_complain_of() {
    let found = resolved(&sample().spec);
    assert!(found.warnings.is_empty(), "{:#?}", found.warnings);
    let by_id = |id: &str| {
        found
            .contents
            .iter()
            .find(|c| c.object_id == id || c.name == id)
            .unwrap_or_else(|| panic!("{id}"))
    };
    for id in [
        "PS100002",
        "PS100031",
        "PS100032",
        "PS100040",
        "PS100077",
        "Contoso Agent 2",
        "Contoso Runtime",
        "Contoso Viewer",
    ] {
        assert!(by_id(id).site_hash.is_some() || id == "PS100040", "{id}");
    }
    assert_eq!(found.contents.len(), 8);
    assert_eq!(
        by_id("Contoso Runtime").reasons[0],
        "dependency of 'Contoso Agent 2'"
    );
    let drivers = by_id("PS100077");
    assert!(drivers.listing.files.len() >= 600);
    let holders: Vec<_> = drivers
        .sources
        .iter()
        .map(|s| s.distribution_point.as_str())
        .collect();
    assert_eq!(holders, ["dp2.corp.example"]);
    assert_eq!(by_id("PS100031").sources.len(), 2);
    assert!(
        by_id("PS100031")
            .listing
            .directories
            .iter()
            .any(|d| d == "Logs/empty on purpose")
    );
    assert_eq!(found.boot_image.image_index, Some(1));
    assert_eq!(
        found.os_image.images[1].name.as_deref(),
        Some("Windows 11 Enterprise sample")
    );
    assert!(found.unknown_computers.x64.is_some() && found.unknown_computers.x86.is_some());
    assert!(
        found.notes.iter().any(|note| note.contains("PS100039")),
        "{:?}",
        found.notes
    );
    assert!(resolved(&sample().minimal_spec).warnings.is_empty());
}

#[test]
fn without_the_second_distribution_point_the_drivers_are_missed() {
    let site = Site::open(&sample().folder).unwrap();
    let request = ContentRequest {
        distribution_points: vec!["dp1.corp.example".into()],
        ..request(&load(&sample().spec).spec)
    };
    let error = resolve(&site, &request).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert!(error.to_string().contains("PS100077"), "{error}");
}

#[test]
fn the_specs_are_right_and_the_password_is_strong() {
    let checked = load(&sample().spec);
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let secret = checked.spec.security.password.unwrap().read().unwrap();
    assert_eq!(password::assess(&secret), Ok(None));
    assert_eq!(load(&sample().minimal_spec).warnings.len(), 1);
    #[cfg(unix)]
    {
        let metadata = fs::metadata(&sample().password_file).unwrap();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777,
            0o600
        );
    }
    let readme = fs::read_to_string(sample().folder.join("README.txt")).unwrap();
    assert!(
        readme.contains("prestage build  spec.toml")
            && readme.contains("DOES NOT START A COMPUTER")
    );
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

#[test]
fn it_is_small() {
    let usage = run("du", &["-sk", &text(&sample().folder)]);
    let kib: u64 = usage.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kib < 60 * 1024, "{kib} KiB on disk");
    let apparent: u64 = files(&sample().folder)
        .values()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(
        apparent < 90 << 20,
        "{apparent} bytes where hard links are copies"
    );
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
    let bad = SampleOptions {
        driver_files: 0,
        ..small(1, 2)
    };
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
