//! Writing a registry hive (REGF), version 1.5.
//!
//! A hive is a base block of 4096 bytes and then bins; a bin holds cells, and a cell is a size
//! (negative while in use) and one of: `nk` key, `vk` value, `lh` list of subkeys, a plain list of
//! values, data, `sk` security. Offsets count from the end of the base block. This writer puts all
//! cells into one bin, which is small: a boot store has some 16 KiB. (Format facts: the published
//! descriptions of Windows' registry file; checked with an independent reader in the tests.)

const BASE_BLOCK_BYTES: usize = 4096;
const BIN_HEADER_BYTES: usize = 32;
const NONE: u32 = u32::MAX;

/// Names are stored as Latin-1.
const KEY_COMPRESSED_NAME: u16 = 0x20;
/// The root of a hive, which cannot be deleted.
const KEY_ROOT: u16 = 0x04 | 0x08;
const VALUE_COMPRESSED_NAME: u16 = 0x01;
/// Set in a value's length when its data stands in the offset field.
const DATA_IN_PLACE: u32 = 0x8000_0000;

const REG_SZ: u32 = 1;
const REG_BINARY: u32 = 3;
const REG_DWORD: u32 = 4;
const REG_MULTI_SZ: u32 = 7;

/// Self-relative security descriptor: owner and group Administrators; Administrators and SYSTEM
/// have full control, inherited by subkeys.
const SECURITY_DESCRIPTOR: &[u8] = &[
    // Revision 1, control SE_SELF_RELATIVE | SE_DACL_PRESENT; offsets of owner, group, SACL, DACL.
    1, 0, 0x04, 0x80, 0x48, 0, 0, 0, 0x58, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0,
    // DACL: revision 2, 0x34 bytes, 2 entries.
    2, 0, 0x34, 0, 2, 0, 0, 0,
    // Allow, container inherit, 0x18 bytes, KEY_ALL_ACCESS, S-1-5-32-544.
    0, 2, 0x18, 0, 0x3F, 0, 0x0F, 0, 1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0,
    // Allow, container inherit, 0x14 bytes, KEY_ALL_ACCESS, S-1-5-18.
    0, 2, 0x14, 0, 0x3F, 0, 0x0F, 0, 1, 1, 0, 0, 0, 0, 0, 5, 0x12, 0, 0, 0,
    // Owner, then group: S-1-5-32-544.
    1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0, 0x20, 2, 0, 0, 1, 2, 0, 0, 0, 0, 0, 5, 0x20, 0, 0, 0,
    0x20, 2, 0, 0,
];

/// A registry key to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    name: String,
    keys: Vec<Key>,
    values: Vec<Value>,
}

/// A registry value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    name: &'static str,
    kind: u32,
    data: Vec<u8>,
}

impl Key {
    /// An empty key. Names are ASCII here: boot stores have no others.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), keys: Vec::new(), values: Vec::new() }
    }

    /// The key with a subkey more. The writer puts subkeys into the order that lookups need.
    #[must_use]
    pub fn with_key(mut self, key: Self) -> Self {
        self.keys.push(key);
        self
    }

    /// The key with a value more.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }
}

impl Value {
    /// `REG_SZ`.
    #[must_use]
    pub fn text(name: &'static str, text: &str) -> Self {
        Self { name, kind: REG_SZ, data: wide(text) }
    }

    /// `REG_MULTI_SZ`.
    #[must_use]
    pub fn text_list(name: &'static str, texts: &[&str]) -> Self {
        let mut data: Vec<u8> = texts.iter().flat_map(|text| wide(text)).collect();
        data.extend([0, 0]);
        Self { name, kind: REG_MULTI_SZ, data }
    }

    /// `REG_DWORD`.
    #[must_use]
    pub fn number(name: &'static str, number: u32) -> Self {
        Self { name, kind: REG_DWORD, data: number.to_le_bytes().to_vec() }
    }

    /// `REG_BINARY`, at most 16344 bytes: more would need the cells for big data.
    #[must_use]
    pub const fn binary(name: &'static str, data: Vec<u8>) -> Self {
        Self { name, kind: REG_BINARY, data }
    }
}

/// UTF-16LE with its NUL.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The hive with this root key, as the bytes of its file. `modified` is a FILETIME.
#[must_use]
pub fn write(root: &Key, modified: u64) -> Vec<u8> {
    let mut cells = Cells { bytes: vec![0; BIN_HEADER_BYTES], modified, security: 0, keys: 0 };
    cells.security = cells.reserve(20 + SECURITY_DESCRIPTOR.len());
    let root_cell = cells.key(root, NONE);
    cells.write_security();
    let bins = cells.into_bin();
    let mut file = base_block(root_cell, length(bins.len()), modified);
    file.extend(bins);
    file
}

fn base_block(root: u32, bins_bytes: u32, modified: u64) -> Vec<u8> {
    let mut block = Vec::with_capacity(BASE_BLOCK_BYTES);
    block.extend(b"regf");
    // Both sequence numbers alike: nothing is half written.
    push(&mut block, &[1, 1]);
    block.extend(modified.to_le_bytes());
    // Version 1.5, a primary file, loaded directly; then the root and the length of the bins.
    push(&mut block, &[1, 5, 0, 1, root, bins_bytes, 1]);
    block.resize(508, 0);
    let checksum = block
        .chunks_exact(4)
        .fold(0, |sum, word| sum ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    // Two results are reserved.
    let checksum = match checksum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        other => other,
    };
    push(&mut block, &[checksum]);
    block.resize(BASE_BLOCK_BYTES, 0);
    block
}

/// The bin while it grows.
struct Cells {
    bytes: Vec<u8>,
    modified: u64,
    security: u32,
    keys: u32,
}

impl Cells {
    /// Room for a cell of this much content, zeroed; returns its offset.
    fn reserve(&mut self, content: usize) -> u32 {
        let at = self.bytes.len();
        let size = (content + 4).next_multiple_of(8);
        self.bytes.resize(at + size, 0);
        self.put(length(at), -4, &(-i64::from(length(size))).to_le_bytes()[..4]);
        length(at)
    }

    /// Writes into the cell at `cell`, `at` bytes into its content (-4 is its size field).
    fn put(&mut self, cell: u32, at: i32, bytes: &[u8]) {
        let start = (cell as usize + 4).wrapping_add_signed(at as isize);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn cell(&mut self, content: &[u8]) -> u32 {
        let cell = self.reserve(content.len());
        self.put(cell, 0, content);
        cell
    }

    /// Writes a key and all under it; its own cell comes first, so that subkeys can point back.
    fn key(&mut self, key: &Key, parent: u32) -> u32 {
        self.keys += 1;
        let cell = self.reserve(76 + key.name.len());
        let values = self.values(&key.values);
        let mut sorted: Vec<&Key> = key.keys.iter().collect();
        sorted.sort_by_key(|key| key.name.to_ascii_uppercase());
        let subkeys: Vec<(u32, &str)> =
            sorted.iter().map(|sub| (self.key(sub, cell), sub.name.as_str())).collect();
        let list = self.subkey_list(&subkeys);
        let content = self.key_content(key, parent, list, values);
        self.put(cell, 0, &content);
        cell
    }

    fn key_content(&self, key: &Key, parent: u32, subkeys: u32, values: u32) -> Vec<u8> {
        let flags = KEY_COMPRESSED_NAME | if parent == NONE { KEY_ROOT } else { 0 };
        // Longest names count in UTF-16 bytes.
        let longest = |lengths: &mut dyn Iterator<Item = usize>| length(lengths.max().unwrap_or(0));
        let longest_key = longest(&mut key.keys.iter().map(|key| key.name.len() * 2));
        let longest_value = longest(&mut key.values.iter().map(|value| value.name.len() * 2));
        let longest_data = longest(&mut key.values.iter().map(|value| value.data.len()));
        let mut content = b"nk".to_vec();
        content.extend(flags.to_le_bytes());
        content.extend(self.modified.to_le_bytes());
        push(&mut content, &[0, if parent == NONE { 0 } else { parent }]);
        push(&mut content, &[length(key.keys.len()), 0, subkeys, NONE]);
        push(&mut content, &[length(key.values.len()), values, self.security, NONE]);
        push(&mut content, &[longest_key, 0, longest_value, longest_data, 0]);
        content.extend(short(key.name.len()).to_le_bytes());
        content.extend([0, 0]);
        content.extend(key.name.as_bytes());
        content
    }

    fn subkey_list(&mut self, subkeys: &[(u32, &str)]) -> u32 {
        if subkeys.is_empty() {
            return NONE;
        }
        let mut content = b"lh".to_vec();
        content.extend(short(subkeys.len()).to_le_bytes());
        for (cell, name) in subkeys {
            push(&mut content, &[*cell, name_hash(name)]);
        }
        self.cell(&content)
    }

    fn values(&mut self, values: &[Value]) -> u32 {
        if values.is_empty() {
            return NONE;
        }
        let mut list = Vec::new();
        for value in values {
            let cell = self.value(value);
            push(&mut list, &[cell]);
        }
        self.cell(&list)
    }

    fn value(&mut self, value: &Value) -> u32 {
        let size = length(value.data.len());
        let (size, data) = if value.data.len() <= 4 {
            let mut in_place = [0; 4];
            in_place[..value.data.len()].copy_from_slice(&value.data);
            (size | DATA_IN_PLACE, u32::from_le_bytes(in_place))
        } else {
            (size, self.cell(&value.data))
        };
        let mut content = b"vk".to_vec();
        content.extend(short(value.name.len()).to_le_bytes());
        push(&mut content, &[size, data, value.kind]);
        content.extend(VALUE_COMPRESSED_NAME.to_le_bytes());
        content.extend([0, 0]);
        content.extend(value.name.as_bytes());
        self.cell(&content)
    }

    /// One security cell for all keys: it is its own neighbour in the ring of them.
    fn write_security(&mut self) {
        let cell = self.security;
        let mut content = b"sk\0\0".to_vec();
        push(&mut content, &[cell, cell, self.keys, length(SECURITY_DESCRIPTOR.len())]);
        content.extend(SECURITY_DESCRIPTOR);
        self.put(cell, 0, &content);
    }

    /// The bin, filled up to whole pages with one free cell.
    fn into_bin(mut self) -> Vec<u8> {
        let used = self.bytes.len();
        let size = used.next_multiple_of(4096);
        self.bytes.resize(size, 0);
        if size > used {
            self.bytes[used..used + 4].copy_from_slice(&length(size - used).to_le_bytes());
        }
        let mut header = b"hbin".to_vec();
        push(&mut header, &[0, length(size), 0, 0]);
        header.extend(self.modified.to_le_bytes());
        self.bytes[..header.len()].copy_from_slice(&header);
        self.bytes
    }
}

/// The hash in `lh` lists: over the upper-case name, times 37 each.
fn name_hash(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(37).wrapping_add(u32::from(byte.to_ascii_uppercase()))
    })
}

fn push(bytes: &mut Vec<u8>, fields: &[u32]) {
    bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
}

// Hives here have some kilobytes, so every length fits.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn short(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_makes_the_base_block_cancel_out() {
        let file = write(&Key::new("Root"), 5);
        let words = file[..512].chunks_exact(4);
        let sum = words.fold(0, |sum, word| sum ^ u32::from_le_bytes(word.try_into().unwrap()));
        assert_eq!(sum, 0);
        assert_eq!(file.len() % 4096, 0);
        // Compressed name, no delete, hive entry.
        let root = 4096 + u32::from_le_bytes(file[36..40].try_into().unwrap()) as usize;
        assert_eq!(file[root + 4..root + 8], *b"nk\x2C\x00");
    }

    #[test]
    fn cells_fill_the_bin_without_a_gap() {
        let key = Key::new("Root")
            .with_key(Key::new("b").with_value(Value::text("x", "long enough for a cell")))
            .with_key(Key::new("A").with_value(Value::number("y", 7)));
        let file = write(&key, 0);
        let mut at = BASE_BLOCK_BYTES + BIN_HEADER_BYTES;
        while at < file.len() {
            let size = i32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            assert!(size != 0 && size % 8 == 0, "at {at:#x}: {size}");
            at += size.unsigned_abs() as usize;
        }
        assert_eq!(at, file.len());
    }

    #[test]
    fn subkeys_are_listed_by_upper_case_name_with_its_hash() {
        let key = Key::new("Root").with_key(Key::new("ab")).with_key(Key::new("B"));
        let file = write(&key.with_key(Key::new("A")), 0);
        let list = file.windows(4).position(|bytes| bytes == b"lh\x03\x00").unwrap();
        let hash = |index: usize| {
            let at = list + 8 + index * 8;
            u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
        };
        // "A" is 65, "AB" is 65 * 37 + 66, "B" is 66.
        assert_eq!([hash(0), hash(1), hash(2)], [65, 2471, 66]);
    }

    #[test]
    fn the_security_descriptor_is_as_long_as_its_offsets_say() {
        assert_eq!(SECURITY_DESCRIPTOR[0x48..0x58], SECURITY_DESCRIPTOR[0x58..]);
    }
}
