//! The content ("package") hash of a site, from a listing alone.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::listing::{ContentListing, ListedFile, windows_order};
use crate::text::downcase;

#[derive(Default)]
struct Folder<'a> {
    directories: Vec<&'a str>,
    files: Vec<&'a ListedFile>,
}

/// The hash the site and the client compute over a whole content: SHA-256 over a pre-order walk.
/// Each folder gives the lower-case relative paths (`\` separated, UTF-16LE) of its subfolders, then of
/// its files, then the upper-case hexadecimal SHA-256 (UTF-16LE) of each file; then the subfolders
/// follow, first in the alphabet first (reference: package hash, section 4.2).
///
/// The order among siblings is taken to be that of an NTFS folder (unverified, reference: open
/// question 11), which is why a difference is a warning unless the caller is strict.
pub fn package_hash(listing: &ContentListing) -> [u8; 32] {
    let folders = by_folder(listing);
    let mut hash = Sha256::new();
    let mut stack = vec![""];
    while let Some(path) = stack.pop() {
        let Some(folder) = folders.get(path) else {
            continue;
        };
        for directory in &folder.directories {
            put_units(&mut hash, downcase(&directory.replace('/', "\\")));
        }
        for file in &folder.files {
            put_units(&mut hash, downcase(&file.path.replace('/', "\\")));
        }
        for file in &folder.files {
            put_units(&mut hash, hex::encode_upper(file.sha256).encode_utf16());
        }
        stack.extend(folder.directories.iter().rev());
    }
    hash.finalize().into()
}

fn by_folder(listing: &ContentListing) -> BTreeMap<&str, Folder<'_>> {
    let mut folders: BTreeMap<&str, Folder<'_>> = BTreeMap::new();
    for directory in &listing.directories {
        folders.entry(parent(directory)).or_default().directories.push(directory);
        folders.entry(directory).or_default();
    }
    for file in &listing.files {
        folders.entry(parent(&file.path)).or_default().files.push(file);
    }
    for folder in folders.values_mut() {
        folder.directories.sort_by(|a, b| windows_order(a, b));
        folder.files.sort_by(|a, b| windows_order(&a.path, &b.path));
    }
    folders
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn put_units(hash: &mut Sha256, units: impl IntoIterator<Item = u16>) {
    let bytes: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
    hash.update(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, &[u8])], directories: &[&str]) -> ContentListing {
        let files = files.iter().map(|(path, body)| ListedFile {
            path: (*path).into(),
            size: body.len() as u64,
            sha256: Sha256::digest(body).into(),
            attributes: 0x20,
            modified: 0,
        });
        let directories = directories.iter().map(|path| (*path).to_owned()).collect();
        ContentListing::new("PS100012.3".into(), files.collect(), directories, None).unwrap()
    }

    /// Expected value from a separate Python implementation of the same description, run by hand.
    #[test]
    fn the_walk_matches_an_independent_implementation() {
        let listing = listing(
            &[
                ("Setup.EXE", b"setup"),
                ("read me.txt", b""),
                ("Drivers/NET/e1d.inf", b"[Version]"),
                ("Drivers/NET/E1D.sys", b"\x00\x01\x02"),
                ("Drivers/a.cab", b"cab"),
                ("drv_x/\u{dc}bung.txt", "\u{fc}".as_bytes()),
            ],
            &["Empty/Inner"],
        );
        assert_eq!(
            hex::encode_upper(package_hash(&listing)),
            "F5842AF753EF1B8A3F2D10E460AE3D0881BD08C08D530A3A63A5D5D92F410FBB"
        );
    }

    #[test]
    fn an_empty_content_hashes_nothing() {
        assert_eq!(
            hex::encode(package_hash(&listing(&[], &[]))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn empty_folders_and_bytes_count_but_times_do_not() {
        let base = listing(&[("a", b"1")], &[]);
        assert_ne!(package_hash(&base), package_hash(&listing(&[("a", b"1")], &["e"])));
        assert_ne!(package_hash(&base), package_hash(&listing(&[("a", b"2")], &[])));
        let mut later = base.clone();
        later.files[0].modified = 5;
        assert_eq!(package_hash(&base), package_hash(&later));
        assert_eq!(package_hash(&base), package_hash(&listing(&[("A", b"1")], &[])));
    }
}
