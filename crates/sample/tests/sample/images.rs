//! The WIMs, read by other tools and applied to NTFS.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use object_store::local::LocalFileSystem;
use prestage_configmgr::distribution_point::ContentPlace;
use prestage_configmgr::resolve::ResolvedContent;
use prestage_media::boot_files::{Architecture, boot_files};
use prestage_wim::{ObjectSource, Wim, metadata::ImageTree, verify, xml};
use tempfile::TempDir;

use super::{resolved, run, sample, text};

/// The WIM of an image package, in the library that is preferred.
fn wim_of(content: &ResolvedContent) -> PathBuf {
    let [file] = content.listing.files.as_slice() else { panic!("{:?}", content.listing.files) };
    let hash: String = file.sha256.iter().map(|byte| format!("{byte:02X}")).collect();
    let ContentPlace::Library(library) = &content.sources[0].place else {
        panic!("the sample's libraries are folders");
    };
    library.join("FileLib").join(&hash[..4]).join(hash)
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
        assert!(file.sources.iter().any(there), "{:?}", file.sources);
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
        fs::File::create(&volume).unwrap().set_len(300 << 20).unwrap();
        let volume = text(&volume);
        run("/usr/sbin/mkntfs", &["-F", "-q", &volume]);
        run("wimlib-imagex", &["apply", &wim, index, &volume]);
        let again = text(&dir.path().join(format!("again{index}.wim")));
        run("wimlib-imagex", &["capture", &volume, &again, "--compress=none"]);
        let (before, after) = (details(&wim, index), details(&again, "1"));
        for (path, lines) in &before {
            assert_eq!(Some(lines), after.get(path), "{path}");
        }
        let all: String =
            before.values().flatten().map(String::as_str).collect::<Vec<_>>().join("\n");
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
        let lines = block.trim().lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        let path = lines.iter().find_map(|line| line.strip_prefix("Full Path"));
        if let Some(path) = path {
            let path = path.trim_start_matches([' ', '=']).trim_matches('"').to_owned();
            let kept = lines.iter().filter(|line| !is_of_the_file(line));
            entries.insert(path, kept.cloned().collect());
        }
    }
    assert!(entries.len() > 300, "{} entries: {listed:.3000}", entries.len());
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
        "Flags ",
        "WIM_RESHDR_FLAG",
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
    let source = ObjectSource::open(Arc::new(store), name.into()).await.unwrap();
    let wim = Arc::new(Wim::open(Arc::new(source)).await.unwrap());
    verify::verify(&wim, 2, |_| {}).await.unwrap();
    let images = xml::images(&wim.xml).unwrap();
    assert_eq!(
        images[1].description,
        "A sample, not Windows: everything awkward (R&D ring), index 2"
    );
    assert_eq!((images[1].architecture, images[1].version.as_str()), (Some(9), "10.0.26100.1742"));
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
