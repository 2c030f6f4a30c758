//! What a content consists of.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::LibraryError;
use crate::text::upcase;

/// One file of a content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFile {
    /// Path inside the content, `/` separated.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    #[serde(with = "hex::serde")]
    pub sha256: [u8; 32],
    /// Windows file attributes.
    pub attributes: u32,
    /// Time of last write, as a FILETIME (100 ns since 1601-01-01 UTC).
    pub modified: u64,
}

/// All files and folders of one content version, in one fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentListing {
    /// `PS100012.3` or `Content_<guid>.1`.
    pub content_id: String,
    /// The files, by upper-cased path.
    pub files: Vec<ListedFile>,
    /// Every folder below the content's own, `/` separated, by upper-cased path.
    pub directories: Vec<String>,
    /// The content hash the library itself records, as it is written there.
    pub hash: Option<String>,
}

impl ContentListing {
    /// Puts entries in order: folders that only files name are added, and names that are one name
    /// on Windows are refused.
    pub fn new(
        content_id: String,
        mut files: Vec<ListedFile>,
        directories: Vec<String>,
        hash: Option<String>,
    ) -> Result<Self, LibraryError> {
        let mut named: BTreeMap<Vec<u16>, String> = BTreeMap::new();
        for path in directories.iter().map(String::as_str).chain(files.iter().flat_map(parents)) {
            for folder in prefixes(path) {
                let known = named.entry(upcase(folder)).or_insert_with(|| folder.to_owned());
                if known != folder {
                    return Err(collision(&content_id, known, folder));
                }
            }
        }
        files.sort_by_cached_key(|file| (upcase(&file.path), file.path.clone()));
        for pair in files.windows(2) {
            if let [first, second] = pair
                && upcase(&first.path) == upcase(&second.path)
            {
                return Err(collision(&content_id, &first.path, &second.path));
            }
        }
        for file in &files {
            if let Some(folder) = named.get(&upcase(&file.path)) {
                return Err(collision(&content_id, folder, &file.path));
            }
        }
        let directories = named.into_values().collect();
        Ok(Self { content_id, files, directories, hash })
    }

    /// SHA-256 over everything that ends up on the medium: paths, sizes, hashes, attributes, times
    /// and folders. Equal listings have equal digests, whatever content ID or recorded hash they bear.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"prestage content listing 1\0");
        hash.update((self.directories.len() as u64).to_le_bytes());
        for directory in &self.directories {
            put_text(&mut hash, directory);
        }
        hash.update((self.files.len() as u64).to_le_bytes());
        for file in &self.files {
            put_text(&mut hash, &file.path);
            hash.update(file.size.to_le_bytes());
            hash.update(file.sha256);
            hash.update(file.attributes.to_le_bytes());
            hash.update(file.modified.to_le_bytes());
        }
        hash.finalize().into()
    }

    /// The sum of the files' sizes, bytes.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

/// The order of siblings on an NTFS volume: by upper-cased UTF-16, then as written.
pub(super) fn windows_order(a: &str, b: &str) -> Ordering {
    upcase(a).cmp(&upcase(b)).then_with(|| a.cmp(b))
}

fn collision(content_id: &str, first: &str, second: &str) -> LibraryError {
    LibraryError::Collision {
        content_id: content_id.to_owned(),
        first: first.to_owned(),
        second: second.to_owned(),
    }
}

fn put_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn parents(file: &ListedFile) -> Option<&str> {
    file.path.rsplit_once('/').map(|(folder, _)| folder)
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> ListedFile {
        ListedFile { path: path.into(), size: 3, sha256: [7; 32], attributes: 32, modified: 9 }
    }

    fn listing(files: &[&str], directories: &[&str]) -> Result<ContentListing, LibraryError> {
        ContentListing::new(
            "PS100012.3".into(),
            files.iter().map(|path| file(path)).collect(),
            directories.iter().map(|path| (*path).to_owned()).collect(),
            None,
        )
    }

    #[test]
    fn order_does_not_depend_on_how_it_was_read() {
        let one = listing(&["b/x", "a", "B/Z"], &["empty/deep"]);
        assert!(matches!(one, Err(LibraryError::Collision { .. })), "b and B");
        let one = listing(&["b/x", "a_", "aB", "b/Z"], &["empty/deep"]).unwrap();
        let other = listing(&["b/Z", "aB", "a_", "b/x"], &["empty", "empty/deep", "b"]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.digest(), other.digest());
        let paths: Vec<_> = one.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["aB", "a_", "b/x", "b/Z"]);
        assert_eq!(one.directories, ["b", "empty", "empty/deep"]);
        assert_eq!(one.total_bytes(), 12);
    }

    #[test]
    fn names_that_windows_takes_for_one_are_refused() {
        assert!(listing(&["A.txt", "a.TXT"], &[]).is_err());
        assert!(listing(&["a"], &["A"]).is_err());
        assert!(listing(&["ä"], &["Ä"]).is_err());
        assert!(listing(&["a"], &["b"]).is_ok());
    }

    #[test]
    fn every_part_is_in_the_digest() {
        let base = listing(&["a"], &["d"]).unwrap();
        let mut seen = vec![base.digest()];
        let mut change = |edit: &dyn Fn(&mut ContentListing)| {
            let mut changed = base.clone();
            edit(&mut changed);
            assert!(!seen.contains(&changed.digest()));
            seen.push(changed.digest());
        };
        change(&|l| l.files[0].path = "b".into());
        change(&|l| l.files[0].size = 4);
        change(&|l| l.files[0].sha256 = [8; 32]);
        change(&|l| l.files[0].attributes = 33);
        change(&|l| l.files[0].modified = 10);
        change(&|l| l.directories.clear());
        let mut renamed = base.clone();
        renamed.content_id = "PS100012.4".into();
        assert_eq!(renamed.digest(), base.digest());
    }
}
