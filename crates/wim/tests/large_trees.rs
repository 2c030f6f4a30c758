//! Trees at the limits: half a million files, the longest paths, names that Windows takes for one.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use prestage_wim::{
    Sha1Hash, WimError,
    metadata::{ImageTree, NewEntry, NodeId},
};
use support::TIME;

const FILES: usize = 500_000;
const GRAFTS: usize = 100_000;

fn folder() -> NewEntry {
    NewEntry::directory(TIME)
}

fn file(number: usize) -> NewEntry {
    let mut sha1 = [7; 20];
    sha1[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let mut entry = NewEntry::file(0x20, TIME + number as u64, Sha1Hash(sha1));
    entry.security_id = 0;
    entry
}

/// An OS image of [`FILES`] files: 2,000 folders of usual size, and one of 100,000 files, as the
/// component store has.
fn os_image() -> Vec<u8> {
    let mut tree = ImageTree::new(&folder()).unwrap();
    tree.security.add(&[1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in 0..FILES {
        let parent = match number % 5 {
            0 => "Windows/WinSxS/Manifests".to_owned(),
            _ => format!("Windows/System32/DriverStore/folder {:04}", number % 2_000),
        };
        tree.ensure_directory(&parent, &folder()).unwrap();
        tree.add(&format!("{parent}/some component {number:06}.dll"), &file(number)).unwrap();
    }
    tree.write()
}

#[test]
fn half_a_million_files_take_a_hundred_thousand_grafts() {
    let os = os_image();
    let mut tree = ImageTree::parse(os.clone()).unwrap();
    let before = tree.nodes().count();
    assert_eq!(tree.write(), os, "what is not changed keeps its bytes");
    for number in 0..GRAFTS {
        let parent = format!("SMS/PKG/PS1{:05}/folder {:02}", number / 1_000, number % 20);
        tree.ensure_directory(&parent, &folder()).unwrap();
        tree.add(&format!("{parent}/driver {number:06}.sys"), &file(FILES + number)).unwrap();
    }
    let written = tree.write();
    let mut again = ImageTree::parse(written.clone()).unwrap();
    let folders = 2 + 100 + 100 * 20;
    assert_eq!(again.nodes().count(), before + GRAFTS + folders);
    assert_eq!(again.write(), written);
    assert_eq!(again.references().len(), FILES + GRAFTS);
    let statistics = again.statistics(|_| 1);
    assert_eq!(statistics.files, (FILES + GRAFTS) as u64);
    let entry = |tree: &mut ImageTree, path: &str| -> NodeId { tree.find(path).unwrap() };
    let some = entry(&mut again, "sms/pkg/ps100099/FOLDER 19/driver 099999.SYS");
    assert_eq!(again.entry(some).times(), [TIME + (FILES + 99_999) as u64; 3]);
    let os_file = "Windows/WinSxS/Manifests/some component 499995.dll";
    let old = entry(&mut tree, os_file);
    let new = entry(&mut again, os_file);
    assert_eq!(again.entry(new).bytes(), tree.entry(old).bytes());
}

/// NTFS's longest path has 32,767 characters: 16,384 folders one in another, or 128 with names of
/// 255 characters.
#[test]
fn the_longest_paths() {
    let deep = vec!["d"; 16_383].join("/") + "/f";
    assert_eq!(deep.len(), 32_767);
    let wide = vec!["ü".repeat(255); 127].join("/") + "/" + &"w".repeat(255);
    assert_eq!(wide.chars().count(), 32_767);
    let mut tree = ImageTree::new(&folder()).unwrap();
    for (number, path) in [&deep, &wide].into_iter().enumerate() {
        let (parent, _) = path.rsplit_once('/').unwrap();
        tree.ensure_directory(parent, &folder()).unwrap();
        tree.add(path, &file(number)).unwrap();
    }
    let written = tree.write();
    let mut again = ImageTree::parse(written.clone()).unwrap();
    assert_eq!(again.write(), written);
    assert_eq!(again.nodes().count(), 1 + 16_384 + 128);
    for (number, path) in [&deep, &wide].into_iter().enumerate() {
        let found = again.find(&path.to_uppercase()).unwrap();
        assert_eq!(again.entry(found).times()[0], TIME + number as u64);
        assert_eq!(again.walk().filter(|(walked, _)| walked == path).count(), 1);
    }
    assert_eq!(again.walk().last().unwrap().0.len(), wide.len());
    let too_long = again.add(&"x".repeat(256), &file(0)).unwrap_err();
    assert!(too_long.to_string().contains("more than 255"), "{too_long}");
}

#[test]
fn names_that_windows_takes_for_one_collide() {
    let add = |tree: &mut ImageTree, path: &str| tree.add(path, &file(0)).map(drop);
    let mut tree = ImageTree::new(&folder()).unwrap();
    for path in ["Straße", "ΣΊΣΥΦΟΣ", "I", "µ", "ÿ", "dz", "𐐀", "folder of its own"] {
        add(&mut tree, path).unwrap();
    }
    let mut tree = ImageTree::parse(tree.write()).unwrap();
    for path in ["strASSe", "σίσυφος", "ı", "İ", "Μ", "𐐨", "ǆ"] {
        add(&mut tree, path).unwrap();
    }
    for path in ["STRAßE", "σίσυφοσ", "i", "Ÿ", "DZ"] {
        let error = add(&mut tree, path).unwrap_err();
        assert!(matches!(error, WimError::Collision { .. }), "{path}: {error}");
    }
    let again = add(&mut tree, "STRASSE").unwrap_err();
    assert!(matches!(again, WimError::WrittenTwice { .. }), "{again}");
    let through = tree.ensure_directory("FOLDER of its own/below/it", &folder()).unwrap_err();
    let named = "'FOLDER of its own' is in the OS image already (as 'folder of its own')";
    assert!(through.to_string().contains(named), "{through}");
}

/// Two lists that overlap could make more entries than the metadata has bytes for.
#[test]
fn lists_that_lie_over_each_other_are_refused() {
    let mut tree = ImageTree::new(&folder()).unwrap();
    for number in 0..200 {
        tree.ensure_directory(&format!("{number:03}"), &folder()).unwrap();
    }
    let mut bytes = tree.write();
    let root_list = bytes.len() - 200 * 8 - 8 - 200 * 112;
    for number in 0..200 {
        let at = root_list + number * 112;
        let later = (root_list + (number + 1) % 200 * 112) as u64;
        bytes[at + 16..at + 24].copy_from_slice(&later.to_le_bytes());
    }
    let error = ImageTree::parse(bytes).err().unwrap().to_string();
    assert!(error.contains("over each other") || error.contains("share one list"), "{error}");
}
