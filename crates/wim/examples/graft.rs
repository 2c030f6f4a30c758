//! How long grafting takes: `graft FILES` adds FILES files in folders to the tree of an OS image of
//! as many, writes the metadata resource, and prints what that took as JSON.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{env, time::Instant};

use prestage_wim::{
    Sha1Hash,
    metadata::{ImageTree, NewEntry},
};

const TIME: u64 = 133_813_728_000_000_000;
const FILES_A_FOLDER: usize = 50;

fn main() {
    let files: usize = env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let mut made = ImageTree::new(&NewEntry::directory(TIME)).unwrap();
    add(&mut made, "Windows/WinSxS", files);
    let metadata = made.write();
    let mut tree = ImageTree::parse(metadata).unwrap();
    let start = Instant::now();
    add(&mut tree, "SMS/PKG", files);
    let grafted = start.elapsed().as_secs_f64();
    let bytes = tree.write().len();
    let seconds = start.elapsed().as_secs_f64();
    let entries = tree.nodes().count();
    let text = format!(
        r#"{{"grafted": {files}, "entries": {entries}, "seconds": {seconds}, "graft_seconds": {grafted}, "metadata_bytes": {bytes}}}"#
    );
    println!("{text}");
}

fn add(tree: &mut ImageTree, root: &str, files: usize) {
    for number in 0..files {
        let folder =
            format!("{root}/PS1{:05}/folder{:02}", number / 1000, number / FILES_A_FOLDER % 20);
        tree.ensure_directory(&folder, &NewEntry::directory(TIME)).unwrap();
        let mut sha1 = [0; 20];
        sha1[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        let entry = NewEntry::file(0x20, TIME, Sha1Hash(sha1));
        tree.add(&format!("{folder}/file{number:06}.dll"), &entry).unwrap();
    }
}
