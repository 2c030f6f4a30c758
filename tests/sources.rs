//! OS images of every form that wimlib makes: what can be taken over as it is, what is encoded
//! anew, split ones, and those that can't be used.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use prestage_configmgr::content_library::writer::{EntryBody, LibraryEntry, LibraryWriter};
use prestage_wim::metadata::ImageTree;
use serde_json::Value;
use support::{
    Demo, assert_clean, files_below, ok, open_wim, os_image_file, refused, tool, wimlib,
};

/// The sample, its OS image beside it as `install.wim`.
fn demo() -> (Demo, PathBuf) {
    let demo = Demo::new();
    let original = demo.path("install.wim");
    std::fs::copy(os_image_file(&demo), &original).unwrap();
    (demo, original)
}

/// The OS image in another form.
fn exported(demo: &Demo, original: &Path, name: &str, options: &[&str]) -> PathBuf {
    let other = demo.path(name);
    let (from, to) = (original.to_str().unwrap(), other.to_str().unwrap());
    wimlib([&["export", from, "all", to], options].concat());
    other
}

/// Puts files in place of those of the OS image package, at both distribution points.
fn put_os_image(demo: &Demo, files: &[PathBuf]) {
    put(demo, "PS100010", 4, files);
}

fn put(demo: &Demo, package: &str, version: u32, files: &[PathBuf]) {
    for point in ["dp1", "dp2"] {
        let library = demo.path(&format!("site/{point}/SCCMContentLib"));
        let writer = LibraryWriter::new(&library).unwrap();
        let entries = files.iter().map(|path| LibraryEntry {
            path: path.file_name().unwrap().to_str().unwrap().to_owned(),
            body: EntryBody::Reader(Box::new(File::open(path).unwrap())),
            attributes: 0x20,
            modified: 133_813_728_000_000_000,
        });
        let content = format!("{package}.{version}");
        writer.add_content(&content, package, version, entries).unwrap();
    }
}

fn split(demo: &Demo, original: &Path, name: &str) -> Vec<PathBuf> {
    let first = demo.path(name);
    wimlib(["split", original.to_str().unwrap(), first.to_str().unwrap(), "4"]);
    let stem = name.strip_suffix(".swm").unwrap();
    let more = (2..).map(|number| demo.path(&format!("{stem}{number}.swm")));
    let parts: Vec<PathBuf> =
        std::iter::once(first).chain(more.take_while(|path| path.exists())).collect();
    assert!(parts.len() >= 3, "{parts:?}");
    parts
}

/// Everything that an image's entries say, but for where in the metadata they lie.
fn entries(tree: &ImageTree) -> Vec<(String, Vec<u8>, Option<Vec<u8>>)> {
    let entry = |(path, node)| {
        let entry = tree.entry(node);
        let mut bytes = entry.bytes().to_vec();
        bytes[16..24].fill(0);
        (path, bytes, tree.security.get(entry.security_id()).map(<[u8]>::to_vec))
    };
    tree.walk().map(entry).collect()
}

/// The medium holds the OS image: every entry with all that it says, and every file's bytes, read
/// by wimlib.
async fn assert_holds_the_os_image(demo: &Demo, original: &Path) {
    let medium = demo.path("out.wim");
    wimlib(["verify", medium.to_str().unwrap()]);
    let os = open_wim(original).await.tree(2).await.unwrap();
    let ours = entries(&open_wim(&medium).await.tree(1).await.unwrap());
    let ours: std::collections::HashSet<_> = ours.into_iter().collect();
    for entry in entries(&os) {
        assert!(ours.contains(&entry), "{} is not as it was", entry.0);
    }
    let (there, here) = (demo.path("applied-os"), demo.path("applied-medium"));
    wimlib(["apply", original.to_str().unwrap(), "2", there.to_str().unwrap()]);
    wimlib(["apply", medium.to_str().unwrap(), "1", here.to_str().unwrap()]);
    let args =
        ["-r", "--brief", "--no-dereference", there.to_str().unwrap(), here.to_str().unwrap()];
    let output = std::process::Command::new("diff").args(args).output().unwrap();
    let differences = String::from_utf8(output.stdout).unwrap();
    let only_there = format!("Only in {}", there.display());
    for line in differences.lines() {
        assert!(line.starts_with("Only in ") && !line.starts_with(&only_there), "{line}");
    }
    for folder in [there, here] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn compression(demo: &Demo) -> String {
    let info = wimlib(["info", demo.path("out.wim").to_str().unwrap()]);
    let line = |label: &str| {
        let line = info.lines().find(|line| line.starts_with(label)).unwrap();
        line.rsplit("  ").next().unwrap().trim().to_owned()
    };
    format!("{} {}", line("Compression:"), line("Chunk Size:"))
}

fn reencoding_notice(document: &Value) -> Option<String> {
    let warnings = document["report"]["warnings"].as_array().unwrap();
    let mut warnings = warnings.iter().map(|warning| warning.as_str().unwrap().to_owned());
    warnings.find(|warning| warning.contains("can't be taken over as it is"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lzx_xpress_and_uncompressed_images_are_taken_over_as_they_are() {
    let (demo, original) = demo();
    let cases = [
        ("--compress=XPRESS", "balanced", "XPRESS 32768 bytes"),
        ("--compress=none", "balanced", "LZX 32768 bytes"),
        ("--compress=none", "fast", "XPRESS 32768 bytes"),
        ("--compress=LZX:20", "fast", "LZX 32768 bytes"),
    ];
    for (number, (option, profile, expected)) in cases.into_iter().enumerate() {
        let other = exported(&demo, &original, &format!("other{number}.wim"), &[option]);
        put_os_image(&demo, &[other]);
        let document = ok(&demo.build("out.wim", "data", &["--codec", profile]));
        assert_eq!(document["report"]["os_file_resources_decompressed"], 0);
        assert_eq!(reencoding_notice(&document), None);
        let warnings = document["report"]["warnings"].to_string();
        assert!(warnings.contains("package hash"), "the package has another hash now: {warnings}");
        assert_eq!(compression(&demo), expected, "{option} {profile}");
        assert_holds_the_os_image(&demo, &original).await;
        std::fs::remove_file(demo.path("out.wim")).unwrap();
    }
    let strict = demo.build("strict.wim", "data", &["--strict-package-hash"]);
    assert!(refused(&strict, 2).contains("package hash"));
    assert_clean(&demo);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_images_are_encoded_anew_once_with_a_notice() {
    let (demo, original) = demo();
    let cases: [(&str, &[&str], &str); 3] = [
        (
            "install.esd",
            &["--solid", "--compress=LZMS:20", "--solid-compress=LZMS:20"],
            "(solid LZMS, as in ESD files)",
        ),
        ("other.wim", &["--compress=LZMS:20"], "it is compressed with LZMS"),
        (
            "small.wim",
            &["--compress=XPRESS", "--chunk-size=4K"],
            "its XPRESS chunks have 4 KiB, not 32",
        ),
    ];
    for (name, options, reason) in cases {
        let other = exported(&demo, &original, name, options);
        put_os_image(&demo, &[other]);
        let document = ok(&demo.build("out.wim", "data", &[]));
        let notice = reencoding_notice(&document).unwrap();
        for part in ["PS100010", name, reason, "MB of content", "minute"] {
            assert!(notice.contains(part), "no '{part}' in {notice}");
        }
        let decompressed = document["report"]["os_file_resources_decompressed"].as_u64().unwrap();
        assert!(decompressed > 300, "{decompressed}");
        assert_eq!(compression(&demo), "LZX 32768 bytes");
        assert_holds_the_os_image(&demo, &original).await;
        let again = ok(&demo.build("again.wim", "data", &[]));
        assert_eq!(again["report"]["content_bytes"]["made"], 0, "its pack is there");
        for medium in ["out.wim", "again.wim"] {
            std::fs::remove_file(demo.path(medium)).unwrap();
        }
    }
    assert_clean(&demo);
}

#[test]
fn a_damaged_esd_is_taken_from_another_distribution_point() {
    let (demo, original) = demo();
    let options = ["--solid", "--solid-compress=XPRESS", "--solid-chunk-size=64K"];
    let esd = exported(&demo, &original, "install.esd", &options);
    put_os_image(&demo, std::slice::from_ref(&esd));
    let bytes = std::fs::metadata(&esd).unwrap().len();
    let copies = |point: &str| -> Vec<PathBuf> {
        let library = demo.path(&format!("site/{point}/SCCMContentLib/FileLib"));
        let files = files_below(&library).into_iter().map(|path| library.join(path));
        files.filter(|path| std::fs::metadata(path).unwrap().len() == bytes).collect()
    };
    let damage = |point: &str| {
        let path = copies(point).pop().unwrap();
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(path, content).unwrap();
    };
    damage("dp1");
    ok(&demo.build("out.wim", "data", &[]));
    damage("dp2");
    let said = refused(&demo.build("again.wim", "other-data", &[]), 1);
    assert!(said.contains("install.esd") && said.contains("SHA-256"), "{said}");
    assert_clean(&demo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_image_is_one_image() {
    let (demo, original) = demo();
    let mut parts = split(&demo, &original, "os.swm");
    parts.reverse();
    put_os_image(&demo, &parts);
    let document = ok(&demo.build("out.wim", "data", &[]));
    assert_eq!(document["report"]["os_file_resources_decompressed"], 0);
    assert_holds_the_os_image(&demo, &original).await;
    assert_clean(&demo);
}

#[test]
fn a_split_image_that_is_not_whole_is_refused_by_name() {
    let (demo, original) = demo();
    let parts = split(&demo, &original, "os.swm");
    put_os_image(&demo, &[parts[0].clone(), parts[2].clone()]);
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    let expected = format!("split WIM of {} parts, of which 2", parts.len());
    assert!(said.contains("PS100010.4 'os.swm'") && said.contains(&expected), "{said}");
    assert_eq!(said.matches("parts, of which").count(), 1, "one error: {said}");
    let other = exported(&demo, &original, "other.wim", &["--compress=XPRESS"]);
    let foreign = split(&demo, &other, "other.swm");
    let mut mixed = parts.clone();
    mixed[1] = foreign[1].clone();
    put_os_image(&demo, &mixed);
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("'other2.swm'") && said.contains("another split WIM"), "{said}");
    assert_clean(&demo);
}

#[test]
fn images_that_cannot_be_used_are_refused_with_the_way_out() {
    let (demo, original) = demo();
    let pipable = exported(&demo, &original, "pipe.wim", &["--pipable", "--compress=XPRESS"]);
    put_os_image(&demo, &[pipable]);
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("'pipe.wim'") && said.contains("--not-pipable"), "{said}");
    put_os_image(
        &demo,
        &[original.clone(), {
            let copy = demo.path("second.ESD");
            std::fs::copy(&original, &copy).unwrap();
            copy
        }],
    );
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("install.wim") && said.contains("second.ESD"), "{said}");
    put_os_image(&demo, std::slice::from_ref(&original));
    let boot = exported(&demo, &original, "boot.wim", &["--solid", "--solid-compress=XPRESS"]);
    put(&demo, "PS100005", 3, &[boot]);
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("can't be a boot image") && said.contains("solid XPRESS"), "{said}");
    assert_clean(&demo);
}

/// Everything that lies in the way of the medium's files is told at once, before any work: a file
/// in other case, a folder in the place of a file, a file in the place of a folder (once, not for
/// each file below it).
#[test]
fn what_collides_with_the_os_image_is_told_at_once() {
    let (demo, original) = demo();
    let own = demo.path("own");
    std::fs::write(&own, "a file of its own").unwrap();
    let own = own.to_str().unwrap();
    let script = format!(
        "add {own} /Boot/bcd\nadd {own} /SOURCES/Boot.wim/inside\nadd {own} /sms/pkg/ps100077\n"
    );
    let commands = demo.path("commands");
    std::fs::write(&commands, script).unwrap();
    let update = format!("wimlib-imagex update {} 2 < {}", original.display(), commands.display());
    tool("sh", "dash", ["-c", &update]);
    put_os_image(&demo, &[original]);
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    for collision in [
        "'boot/BCD' is in the OS image already (as 'bcd')",
        "'sources/boot.wim' is in the OS image already (as 'Boot.wim')",
        "PS100077.5: 'SMS/PKG/PS100077' is in the OS image already (as 'ps100077')",
    ] {
        assert!(said.contains(collision), "no {collision} in {said}");
    }
    assert_eq!(said.matches("is in the OS image already").count(), 3, "{said}");
    assert!(files_below(&demo.path("data/objects/packs")).is_empty(), "content was encoded");
    assert_clean(&demo);
}
