//! An independent reader of registry hives, strict where Windows is: cells fill the bins, offsets
//! name cells in use, subkeys are in order and have the right hashes.

const BASE: usize = 4096;
const NONE: u32 = u32::MAX;

/// A key with all below it.
#[derive(Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its name.
    pub name: String,
    /// Names and data.
    pub values: Vec<(String, Vec<u8>)>,
    /// Subkeys, by upper-case name.
    pub keys: Vec<Tree>,
}

impl Tree {
    /// A key with nothing below it.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), values: Vec::new(), keys: Vec::new() }
    }
}

/// Reads a hive whose keys all have that time.
///
/// # Panics
/// When the hive's structure is not sound.
pub fn read(file: &[u8], modified: u64) -> Tree {
    let hive = Hive { file, modified };
    hive.check_base_block();
    hive.check_cells();
    hive.key(hive.u32(36), 0)
}

struct Hive<'a> {
    file: &'a [u8],
    modified: u64,
}

impl<'a> Hive<'a> {
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.file[at], self.file[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn check_base_block(&self) {
        assert_eq!(&self.file[..4], b"regf");
        assert_eq!(self.u32(4), self.u32(8), "sequence numbers");
        let sum = (0..508).step_by(4).fold(0, |sum, at| sum ^ self.u32(at));
        let sum = if sum == 0 { 1 } else { sum };
        assert_eq!(self.u32(508), if sum == NONE { NONE - 1 } else { sum }, "checksum");
        assert_eq!(self.u32(40) as usize, self.file.len() - BASE, "length of the bins");
    }

    fn check_cells(&self) {
        let mut at = BASE;
        while at < self.file.len() {
            assert_eq!(&self.file[at..at + 4], b"hbin");
            assert_eq!(self.u32(at + 4) as usize, at - BASE);
            let end = at + self.u32(at + 8) as usize;
            at += 32;
            while at < end {
                let size = (self.u32(at) as i32).unsigned_abs() as usize;
                assert!(size >= 8 && size.is_multiple_of(8), "a cell of {size} bytes");
                at += size;
            }
            assert_eq!(at, end, "cells fill their bin");
        }
    }

    /// The content of a cell in use.
    fn cell(&self, offset: u32) -> (usize, &'a [u8]) {
        let at = BASE + offset as usize;
        let size = self.u32(at) as i32;
        assert!(size < 0, "a free cell is named at {offset:#x}");
        (at + 4, &self.file[at + 4..at + size.unsigned_abs() as usize])
    }

    fn key(&self, offset: u32, parent: u32) -> Tree {
        let (at, content) = self.cell(offset);
        assert_eq!(&content[..2], b"nk");
        assert_eq!(&content[4..12], &self.modified.to_le_bytes()[..]);
        assert_eq!(self.u32(at + 16), parent, "a subkey points back");
        let (_, security) = self.cell(self.u32(at + 44));
        assert_eq!(&security[..2], b"sk");
        let name_bytes = usize::from(self.u16(at + 72));
        let mut tree = Tree::named(&latin1(&content[76..76 + name_bytes]));
        tree.values = self.values(self.u32(at + 36) as usize, self.u32(at + 40));
        tree.keys = self.subkeys(self.u32(at + 20) as usize, self.u32(at + 28), offset);
        tree
    }

    fn subkeys(&self, count: usize, list: u32, parent: u32) -> Vec<Tree> {
        if count == 0 {
            assert_eq!(list, NONE);
            return Vec::new();
        }
        let (at, content) = self.cell(list);
        assert_eq!(&content[..2], b"lh");
        assert_eq!(usize::from(self.u16(at + 2)), count);
        let keys: Vec<Tree> = (0..count)
            .map(|number| {
                let key = self.key(self.u32(at + 4 + 8 * number), parent);
                let hash = key.name.bytes().fold(0u32, |hash, byte| {
                    hash.wrapping_mul(37).wrapping_add(byte.to_ascii_uppercase().into())
                });
                assert_eq!(self.u32(at + 8 + 8 * number), hash, "hash of {}", key.name);
                key
            })
            .collect();
        assert!(keys.is_sorted_by_key(|key| key.name.to_ascii_uppercase()));
        keys
    }

    fn values(&self, count: usize, list: u32) -> Vec<(String, Vec<u8>)> {
        if count == 0 {
            assert_eq!(list, NONE);
            return Vec::new();
        }
        let (at, content) = self.cell(list);
        assert!(content.len() >= 4 * count);
        (0..count).map(|number| self.value(self.u32(at + 4 * number))).collect()
    }

    fn value(&self, offset: u32) -> (String, Vec<u8>) {
        let (at, content) = self.cell(offset);
        assert_eq!(&content[..2], b"vk");
        let name = latin1(&content[20..20 + usize::from(self.u16(at + 2))]);
        let size = self.u32(at + 4);
        let bytes = (size & 0x7fff_ffff) as usize;
        let data = if size & 0x8000_0000 != 0 {
            &content[8..8 + bytes]
        } else {
            &self.cell(self.u32(at + 8)).1[..bytes]
        };
        (name, data.to_vec())
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
