//! Two contents with one SHA-1 never get onto a medium: WIM would keep one for both.
//!
//! The two blocks of 320 bytes are the beginnings of the documents published at shattered.io
//! (Stevens, Bursztein, Karpman, Albertini, Markov, 2017): equal in SHA-1, different in SHA-256.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::PathBuf;

use prestage_wim::Sha1Hash;
use support::{Demo, assert_clean, ok, refused, replace_everywhere, wimlib};

const ONE: &[u8] = include_bytes!("data/shattered-1.bin");
const OTHER: &[u8] = include_bytes!("data/shattered-2.bin");
const SHA1: &str = "f92d74e3874587aaf443d1db961d4e26dde13e9c";

/// The smallest files of the content library: files of packages.
fn small_files(demo: &Demo) -> Vec<PathBuf> {
    let library = demo.path("site/dp1/SCCMContentLib/FileLib");
    let files = support::files_below(&library).into_iter().map(|path| library.join(path));
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_none()).collect();
    files.sort_by_key(|path| (std::fs::metadata(path).unwrap().len(), path.clone()));
    files.retain(|path| std::fs::metadata(path).unwrap().len() > 0);
    files
}

/// Puts a file into the OS image.
fn add_to_os_image(demo: &Demo, content: &[u8]) {
    let file = support::os_image_file(demo);
    let (other, added) = (demo.path("other.wim"), demo.path("added"));
    std::fs::copy(&file, &other).unwrap();
    std::fs::write(&added, content).unwrap();
    let command = format!("--command=add {} /Windows/collides.pdf", added.to_str().unwrap());
    wimlib(["update", other.to_str().unwrap(), "2", &command]);
    replace_everywhere(demo, &file, &std::fs::read(&other).unwrap());
}

fn refuses(demo: &Demo) {
    let said = refused(&demo.build("out.wim", "data", &[]), 1);
    assert!(said.contains(SHA1) && said.contains("made to collide"), "{said}");
    assert!(!demo.path("out.wim").exists(), "there is a medium");
    assert_clean(demo);
}

#[test]
fn the_published_pair_is_what_it_says() {
    assert_ne!(ONE, OTHER);
    for block in [ONE, OTHER] {
        assert_eq!(Sha1Hash::of(block).to_string(), SHA1);
    }
}

#[test]
fn both_in_packages() {
    let demo = Demo::new();
    let files = small_files(&demo);
    replace_everywhere(&demo, &files[0], ONE);
    replace_everywhere(&demo, &files[1], OTHER);
    refuses(&demo);
}

/// The OS image's resources are not decompressed and say no SHA-256.
#[test]
fn one_in_the_os_image_and_one_in_a_package() {
    let demo = Demo::new();
    let file = small_files(&demo).remove(0);
    add_to_os_image(&demo, ONE);
    replace_everywhere(&demo, &file, OTHER);
    refuses(&demo);
}

#[test]
fn the_same_content_in_both_is_no_collision() {
    let demo = Demo::new();
    let file = small_files(&demo).remove(0);
    add_to_os_image(&demo, ONE);
    replace_everywhere(&demo, &file, ONE);
    ok(&demo.build("out.wim", "data", &[]));
    wimlib(["verify", demo.path("out.wim").to_str().unwrap()]);
}
