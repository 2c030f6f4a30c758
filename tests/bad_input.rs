//! Bad input: one error that says what, where and what to do; no medium; nothing left behind.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use support::{Demo, assert_clean, files_below, ok, prestage, refused, small_disk::SmallDisk};

/// A build that must fail with this exit code and say all of this.
fn fails(demo: &Demo, code: i32, says: &[&str]) {
    let said = refused(&demo.build("out.wim", "data", &[]), code);
    for part in says {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    assert!(!demo.path("out.wim").exists(), "there is a medium");
    assert_clean(demo);
}

/// A file of the content library with at least so many bytes, at every distribution point.
fn library_files(demo: &Demo, bytes: u64) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for point in ["dp1", "dp2"] {
        let library = demo.path(&format!("site/{point}/SCCMContentLib/FileLib"));
        let files = files_below(&library).into_iter().map(|path| library.join(path));
        found.extend(files.filter(|path| std::fs::metadata(path).unwrap().len() >= bytes));
    }
    assert!(!found.is_empty());
    found
}

fn rewrite(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    // The distribution points of the sample share files by hard links.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_on_every_distribution_point() {
    let demo = Demo::new();
    for path in library_files(&demo, 3 << 20) {
        rewrite(&path, |bytes| bytes[1_000_000] ^= 1);
    }
    fails(&demo, 1, &["SHA-256", "where: dp1.corp.example", "try: redistribute"]);
}

#[test]
fn a_damaged_file_on_one_distribution_point_is_taken_from_the_other() {
    let demo = Demo::new();
    let damaged = library_files(&demo, 3 << 20);
    for path in damaged.iter().filter(|path| path.to_string_lossy().contains("/dp1/")) {
        rewrite(path, |bytes| bytes[1_000_000] ^= 1);
    }
    ok(&demo.build("out.wim", "data", &[]));
    assert_clean(&demo);
}

#[test]
fn a_truncated_os_image() {
    let demo = Demo::new();
    let largest = library_files(&demo, 1).iter().map(|p| std::fs::metadata(p).unwrap().len()).max();
    for path in library_files(&demo, largest.unwrap()) {
        rewrite(&path, |bytes| bytes.truncate(bytes.len() / 2));
    }
    fails(&demo, 2, &["PS100010", ".wim", "bytes"]);
}

#[test]
fn a_missing_content() {
    let demo = Demo::new();
    demo.edit_spec("[\"dp1.corp.example\", \"dp2.corp.example\"]", "[\"dp1.corp.example\"]");
    fails(&demo, 2, &["PS100077", "dp1.corp.example", "distribut"]);
}

#[test]
fn an_unknown_key() {
    let demo = Demo::new();
    demo.edit_spec("unattended = true", "unatended = true");
    fails(&demo, 2, &["spec.toml:", "unatended", "unattended"]);
}

#[test]
fn a_staging_folder_that_is_not_used_is_told() {
    let demo = Demo::new();
    demo.edit_spec("integrity_table", "staging_folder = \"staging\"\nintegrity_table");
    let output = demo.build("out.wim", "data", &[]);
    ok(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("output.staging_folder is not used"), "{said}");
    assert!(!demo.path("site/staging").exists());
}

#[test]
fn several_problems_are_told_at_once() {
    let demo = Demo::new();
    demo.edit_spec("unattended = true", "unatended = true");
    demo.edit_spec("PS100123", "PS1");
    demo.edit_spec(
        "file = \"out/w11-sample.wim\"",
        "file = \"out/w11-sample.wim\"\nsplit_mib = 4096",
    );
    fails(&demo, 2, &["unatended", "PS1", "split_mib", "from 16 to 4095"]);
}

#[test]
fn an_index_that_does_not_exist() {
    let demo = Demo::new();
    demo.edit_spec("index = 2", "index = 7");
    fails(&demo, 2, &["index 7 does not exist", "PS100010", "Enterprise"]);
}

#[test]
fn no_site_and_no_spec() {
    let demo = Demo::new();
    std::fs::remove_file(demo.path("site/site.toml")).unwrap();
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("--site"), "{said}");
    let said = refused(&prestage(&demo, ["build", "nowhere.toml"]), 2);
    assert!(said.contains("nowhere.toml"), "{said}");
}

#[test]
fn an_output_that_cannot_be_is_refused_before_any_work() {
    let demo = Demo::new();
    for (output, says) in [("ftp://host/w11.wim", "scheme"), ("s3://media", "name")] {
        let (spec, data) = (demo.spec(), demo.path("data"));
        let data = data.to_str().unwrap();
        let args = ["build", spec.to_str().unwrap(), "--output", output, "--data-dir", data];
        let said = refused(&prestage(&demo, args), 2);
        assert!(said.contains(says), "{said}");
    }
    std::fs::create_dir(demo.path("folder")).unwrap();
    let said = refused(&demo.build("folder", "data", &[]), 2);
    assert!(said.contains("is a folder"), "{said}");
    assert!(files_below(&demo.path("data/objects/packs")).is_empty(), "content was encoded");
}

#[test]
fn a_full_disk_under_the_packs() {
    let demo = Demo::new();
    let disk = SmallDisk::mount(demo.path("data"), 8);
    fails(&demo, 1, &["No space left on device", "the disk is full"]);
    // Staging files are gone: what is used are packs that are whole.
    let staged: Vec<_> = files_below(&disk.path().join("objects/.staging"));
    assert!(staged.is_empty(), "{staged:?}");
}

#[test]
fn a_full_disk_under_the_medium() {
    let demo = Demo::new();
    let disk = SmallDisk::mount(demo.path("small"), 8);
    let said = refused(&demo.build("small/out.wim", "data", &[]), 1);
    assert!(said.contains("the disk is full"), "{said}");
    let left = files_below(disk.path());
    assert!(left.is_empty(), "{left:?}");
    assert_clean(&demo);
}

/// A worker that is killed between opening a composition and saying so leaves a hidden file.
#[test]
fn what_a_killed_worker_left_beside_a_medium_is_removed_when_nobody_can_need_it() {
    let demo = Demo::new();
    ok(&demo.build("out.wim", "data", &[]));
    let left = |name: &str, age: Duration| {
        let path = demo.path(name);
        let file = std::fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        path
    };
    let day = Duration::from_secs(24 * 3600);
    let abandoned = left(".out.wim.AbCd12.partial", day + Duration::from_secs(60));
    let young = left(".out.wim.AbCd34.partial", day / 2);
    let other = left("out.wim.AbCd56.partial", 2 * day);
    ok(&demo.build("out.wim", "data", &[]));
    assert!(!abandoned.exists(), "an abandoned composition is still there");
    assert!(young.exists() && other.exists(), "something of somebody else's was removed");
}
