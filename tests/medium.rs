//! The sample's medium, looked at by tools that we did not write.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{collections::BTreeMap, path::Path};

use prestage_media::unverified::PRESTART_COMMAND_VARIABLE;
use prestage_wim::metadata::{EntryView, ImageTree, NO_SECURITY};
use support::{Demo, assert_clean, ok, open_wim, prestage, tool, wimlib};

fn built() -> (Demo, serde_json::Value) {
    let demo = Demo::new();
    let document = ok(&demo.build("out.wim", "data", &[]));
    (demo, document)
}

#[test]
fn independent_tools_accept_it() {
    let (demo, document) = built();
    let medium = demo.path("out.wim");
    let name = medium.to_str().unwrap();
    wimlib(["verify", name]);
    let listing = tool("7z", "p7zip-full", ["t", name]);
    assert!(listing.contains("Everything is Ok") && !listing.contains("WARN"), "{listing}");
    let info = wimlib(["info", name]);
    for line in [
        "Image Count:    1",
        "Boot Index:     0",
        "Name:                   w11-sample",
        "Edition ID:             Enterprise",
        // The media properties, which the spec has all three of.
        "Description:            Made by prestage sample: starts no computer; version 1.0; \
         created by Prestage sample",
        "Attributes:     Integrity info",
    ] {
        assert!(info.contains(line), "no '{line}' in\n{info}");
    }
    let listed = wimlib(["dir", name, "1"]);
    for path in ["/sources/boot.wim", "/EFI/Boot/bootx64.efi", "/boot/BCD", "/bootmgr"] {
        assert!(listed.lines().any(|line| line == path), "no {path}");
    }
    // The counts that wimlib prints are ours; 7-Zip makes its own.
    let count = |label: &str| -> u64 {
        let line = info.lines().find(|line| line.starts_with(label)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let entries = listed.lines().count() as u64;
    assert_eq!(count("Directory Count:") + count("File Count:"), entries);
    let report = &document["report"];
    assert_eq!(report["os_file_resources_decompressed"], 0);
    assert_eq!(report["medium"]["bytes"], std::fs::metadata(&medium).unwrap().len());
    assert_clean(&demo);
}

#[test]
fn verify_and_inspect_agree_and_a_flipped_bit_is_found() {
    let (demo, _) = built();
    let medium = demo.path("out.wim");
    let verified = ok(&prestage(&demo, ["verify", medium.to_str().unwrap(), "--json"]));
    assert_eq!(verified["ok"], true);
    assert_eq!(verified["manifest"], "agrees");
    let shown = ok(&prestage(&demo, ["inspect", medium.to_str().unwrap(), "--json"]));
    assert_eq!(shown["contents"].as_array().unwrap().len(), 8);
    assert_eq!(shown["variables"], "protected by a password: give --password-file");
    let bootstrap = &shown["bootstrap"];
    assert_eq!(
        (&bootstrap["MediaType"], &bootstrap["Unattended"]),
        (&"OEMMedia".into(), &"true".into())
    );
    assert_eq!(bootstrap["PasswordRequired"], "true");
    let mut bytes = std::fs::read(&medium).unwrap();
    bytes[5_000_000] ^= 1;
    std::fs::write(&medium, bytes).unwrap();
    let output = prestage(&demo, ["verify", medium.to_str().unwrap()]);
    let said = support::refused(&output, 1);
    assert!(said.contains("out.wim") && said.contains("offset"), "{said}");
}

#[test]
fn the_variables_open_with_an_independent_implementation() {
    let (demo, _) = built();
    let variables = support::variables(&demo, &demo.path("out.wim"), &demo.password());
    assert_eq!(variables["_SMSTSMediaType"], "OEMMedia");
    assert_eq!(variables["SampleGreeting"], "Grüße aus dem Depot");
    let points = "http://mp1.corp.example*http://mp2.corp.example";
    assert_eq!(variables["SMSTSLocationMPs"], points);
    for (name, value) in [
        ("_SMSTSBootMediaPackageID", "PS100005"),
        ("_SMSTSLaunchMode", "HD"),
        ("SMSTSAssignUsersMode", "Disabled"),
        ("OSDTimeZone", "UTC"),
        (PRESTART_COMMAND_VARIABLE, "cmd /c prestart.cmd"),
    ] {
        assert_eq!(variables[name], value, "{name}");
    }
    for unknown in ["_SMSTSx64UnknownMachineGUID", "_SMSTSx86UnknownMachineGUID"] {
        assert_eq!(variables[unknown].as_str().map(str::len), Some(36), "{unknown}");
    }
    assert!(support::media_certificate(&demo, &variables).contains("BEGIN CERTIFICATE"));
}

/// What an entry of an applied and recaptured volume is, in a form that can be compared.
fn facts(tree: &ImageTree, entry: EntryView<'_>) -> String {
    let [creation, _, write] = entry.times();
    let streams: Vec<String> = entry
        .streams()
        .iter()
        .filter(|stream| !stream.sha1.is_zero())
        .map(|stream| {
            let name = stream.name.as_deref().map(String::from_utf16_lossy);
            format!("{}={}", name.unwrap_or_default(), stream.sha1)
        })
        .collect();
    let security = match entry.security_id() {
        NO_SECURITY => String::new(),
        id => hex::encode(tree.security.get(id).unwrap()),
    };
    format!(
        "{:x} {creation} {write} [{}] '{}' {security}",
        entry.attributes(),
        streams.join(" "),
        String::from_utf16_lossy(&entry.short_name()),
    )
}

/// Entries by path, and the paths of each group of hard links.
type Volume = (BTreeMap<String, String>, Vec<Vec<String>>);

fn volume(tree: &ImageTree) -> Volume {
    let mut entries = BTreeMap::new();
    let mut links: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (path, node) in tree.walk() {
        let entry = tree.entry(node);
        entries.insert(path.clone(), facts(tree, entry));
        if entry.hard_link_group() != 0 {
            links.entry(entry.hard_link_group()).or_default().push(path);
        }
    }
    let mut groups: Vec<Vec<String>> = links.into_values().filter(|g| g.len() > 1).collect();
    for group in &mut groups {
        group.sort();
    }
    groups.sort();
    (entries, groups)
}

/// Applies an image to a new NTFS volume and captures that again.
async fn applied(demo: &Demo, wim: &Path, index: &str, name: &str) -> Volume {
    let image = demo.path(&format!("{name}.ntfs"));
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(600 << 20).unwrap();
    let image = image.to_str().unwrap().to_owned();
    tool("mkntfs", "ntfs-3g", ["-F", "-q", &image]);
    wimlib(["apply", wim.to_str().unwrap(), index, &image]);
    let again = demo.path(&format!("{name}-again.wim"));
    wimlib(["capture", &image, again.to_str().unwrap(), "--compress=none"]);
    let tree = open_wim(&again).await.tree(1).await.unwrap();
    volume(&tree)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_ntfs_it_is_the_os_image_plus_the_grafts() {
    let (demo, _) = built();
    let os = demo.path("os.wim");
    std::fs::copy(support::os_image_file(&demo), &os).unwrap();
    let (os_entries, os_links) = applied(&demo, &os, "2", "os").await;
    let (entries, links) = applied(&demo, &demo.path("out.wim"), "1", "medium").await;
    assert!(os_links.iter().any(|group| group.len() > 1), "the sample has hard links");
    assert_eq!(links, os_links);
    for (path, facts) in &os_entries {
        // The root's own write time changes when anything is added to it.
        if !path.is_empty() {
            assert_eq!(entries.get(path), Some(facts), "{path}");
        }
    }
    let grafts: Vec<&String> =
        entries.keys().filter(|path| !os_entries.contains_key(*path)).collect();
    assert!(grafts.len() > 700);
    for path in grafts {
        let top = path.split('/').next().unwrap();
        assert!(
            ["SMS", "sources", "EFI", "boot", "bootmgr", "MediaLabel.txt"].contains(&top),
            "{path}"
        );
    }
    for (what, mark) in [("a stream", "Zone.Identifier="), ("a short name", "~1")] {
        assert!(os_entries.values().any(|facts| facts.contains(mark)), "the sample has {what}");
    }
}

/// Packs of more than a chunk: the merge copies ranges of them, their hashes come from their
/// indexes. A pack that the disk has changed is found before it is copied, and made again by the next
/// build.
#[test]
fn large_packs_are_composed_and_checked() {
    let demo = Demo::of_mib(200);
    ok(&demo.build("out.wim", "data", &[]));
    let medium = demo.path("out.wim");
    wimlib(["verify", medium.to_str().unwrap()]);
    assert!(tool("7z", "p7zip-full", ["t", medium.to_str().unwrap()]).contains("Everything is Ok"));
    let verified = ok(&prestage(&demo, ["verify", medium.to_str().unwrap(), "--json"]));
    assert!(verified["integrity_chunks"].as_u64().unwrap() >= 5);
    let packs = demo.path("data/objects/packs");
    let files = support::files_below(&packs).into_iter().map(|path| packs.join(path));
    let largest = files.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    assert!(bytes.len() > 30 << 20, "the pack has chunks that are copied: {}", bytes.len());
    bytes[15 << 20] ^= 1;
    std::fs::write(&largest, &bytes).unwrap();
    let said = support::refused(&demo.build("again.wim", "data", &[]), 1);
    assert!(said.contains("chunk"), "{said}");
    assert!(!demo.path("again.wim").exists());
    assert_clean(&demo);
    ok(&demo.build("again.wim", "data", &[]));
    assert_ne!(std::fs::read(&largest).unwrap()[15 << 20], bytes[15 << 20]);
    wimlib(["verify", demo.path("again.wim").to_str().unwrap()]);
}

/// An OS image whose file contents are garbage builds as well, and every byte of them is in the
/// medium: so nothing looked into them. The digest of the file is made to agree.
#[tokio::test(flavor = "multi_thread")]
async fn no_resource_of_the_os_image_is_decompressed() {
    let demo = Demo::new();
    let file = support::os_image_file(&demo);
    let mut bytes = std::fs::read(&file).unwrap();
    let wim = open_wim(&file).await;
    let compressed = wim.blobs.iter().filter(|b| b.resource.compressed && !b.resource.metadata);
    let ranges: Vec<_> = compressed
        .map(|b| b.resource.offset as usize..b.resource.end().unwrap() as usize)
        .collect();
    assert!(ranges.len() > 100);
    for range in &ranges {
        bytes[range.clone()].fill(0xa5);
    }
    support::replace_everywhere(&demo, &file, &bytes);
    ok(&demo.build("out.wim", "data", &[]));
    let medium = std::fs::read(demo.path("out.wim")).unwrap();
    let ours = open_wim(&demo.path("out.wim")).await.blobs_by_sha1();
    let mut found = 0;
    for blob in wim.blobs.iter().filter(|blob| !blob.resource.metadata) {
        if let Some(our) = ours.get(&blob.sha1) {
            let theirs = blob.resource.offset as usize..blob.resource.end().unwrap() as usize;
            let here = our.resource.offset as usize..our.resource.end().unwrap() as usize;
            assert_eq!(medium[here], bytes[theirs], "{}", blob.sha1);
            found += 1;
        }
    }
    assert!(found > 100, "{found}");
}
