//! Metadata of an image.

use prestage_wim::{
    Sha1Hash,
    metadata::{ImageTree, NewEntry},
};

use super::Row;

pub(super) const BOMBS: &[Row] = &[
    ("wim_metadata", "folders in folders", 20_000, |n| {
        // 8 bytes of security data, then root and each folder in the list of the one before.
        let mut metadata = vec![0; 8];
        metadata[0] = 8;
        for depth in 0..=n {
            let list = (metadata.len() + FOLDER_BYTES + 8) as u64;
            metadata.extend(folder(if depth < n { list } else { 0 }));
            metadata.extend([0; 8]);
        }
        metadata
    }),
    ("wim_metadata", "folders whose lists are one another's", 20_000, |n| {
        let mut metadata = vec![0; 8];
        metadata[0] = 8;
        metadata.extend(folder(8 + FOLDER_BYTES as u64 + 8));
        metadata.extend([0; 8]);
        let first = metadata.len();
        for number in 0..n {
            metadata.extend(folder((first + (number + 1) % n * FOLDER_BYTES) as u64));
        }
        metadata.extend([0; 8]);
        metadata
    }),
    ("wim_metadata", "a folder that is in itself", 1000, |n| {
        let mut metadata = vec![0; 8];
        metadata[0] = 8;
        metadata.extend(folder(8));
        metadata.resize(metadata.len() + n, 0);
        metadata
    }),
    ("wim_metadata", "files of one folder", 20_000, |n| {
        let mut tree = empty();
        for number in 0..n {
            let added = tree.add(&number.to_string(), &NewEntry::file(0x20, 1, Sha1Hash::ZERO));
            assert!(added.is_ok());
        }
        tree.write()
    }),
    ("wim_metadata", "files of one name", 20_000, |n| {
        let mut metadata = vec![0; 8];
        metadata[0] = 8;
        metadata.extend(folder(8 + FOLDER_BYTES as u64 + 8));
        metadata.extend([0; 8]);
        (0..n).for_each(|_| metadata.extend(folder(0)));
        metadata.extend([0; 8]);
        metadata
    }),
    ("wim_metadata", "streams of one file", 30_000, |n| {
        let file = NewEntry {
            named_streams: (0..n).map(|n| (n.to_string(), Sha1Hash([1; 20]))).collect(),
            ..NewEntry::file(0x20, 1, Sha1Hash([2; 20]))
        };
        let mut tree = empty();
        assert!(tree.add("a", &file).is_ok());
        tree.write()
    }),
    ("wim_metadata", "descriptors with nothing in them", 100_000, |n| {
        let total = 8 + 8 * n;
        let mut metadata = vec![0; total];
        metadata[..4].copy_from_slice(&(total as u32).to_le_bytes());
        metadata[4..8].copy_from_slice(&(n as u32).to_le_bytes());
        metadata.extend(folder(0));
        metadata.extend([0; 8]);
        metadata
    }),
    ("wim_metadata", "descriptors that are only claimed", 8, |n| {
        let mut metadata = vec![0xff; 8];
        metadata.resize(64 * n, 0);
        metadata
    }),
];

const FOLDER_BYTES: usize = 104;

/// A folder without a name whose list is at `list`.
fn folder(list: u64) -> [u8; FOLDER_BYTES] {
    let mut entry = [0; FOLDER_BYTES];
    entry[0] = FOLDER_BYTES as u8;
    entry[8] = 0x10;
    entry[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    entry[16..24].copy_from_slice(&list.to_le_bytes());
    entry
}

fn empty() -> ImageTree {
    match ImageTree::new(&NewEntry::directory(1)) {
        Ok(tree) => tree,
        Err(error) => panic!("an empty tree: {error}"),
    }
}
