//! One directory entry ("dentry") as bytes: reading its fields, and making new ones.
//!
//! Layout from wimlib 1.14.4 `dentry.c`: 102 fixed bytes, name, short name, tagged items, each run
//! padded to 8; then, for files with more than one stream, extra stream entries.

use crate::{
    bytes::{Le, put, utf16_bytes, utf16_units},
    error::{Result, WimError},
    hash::Sha1Hash,
};

pub(crate) const FIXED_BYTES: usize = 102;
const STREAM_FIXED_BYTES: usize = 38;
/// NTFS's limit for one name, in UTF-16 code units.
const NAME_UNITS_MAX: usize = 255;

/// `FILE_ATTRIBUTE_DIRECTORY`.
pub const ATTRIBUTE_DIRECTORY: u32 = 0x10;
/// `FILE_ATTRIBUTE_REPARSE_POINT`.
pub const ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
/// The security id of an entry without a descriptor: it inherits its folder's when applied.
pub const NO_SECURITY: u32 = u32::MAX;

pub(crate) fn align8(n: usize) -> usize {
    n.div_ceil(8) * 8
}

/// A length that `bytes` claim for themselves, padded, if that many are there.
fn aligned_within(length: u64, bytes: &[u8]) -> Option<usize> {
    // Compared before it is padded: padding 2^64 - 1 overflows.
    let length = usize::try_from(length).ok().filter(|&length| length <= bytes.len())?;
    Some(align8(length)).filter(|&padded| padded <= bytes.len())
}

/// A stream of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name; `None` for the unnamed data and for reparse data.
    pub name: Option<Vec<u16>>,
    /// SHA-1 of its content; zero when it is empty.
    pub sha1: Sha1Hash,
}

/// A view of one entry's bytes, with its extra stream entries.
#[derive(Clone, Copy)]
pub struct EntryView<'a>(&'a [u8]);

impl<'a> EntryView<'a> {
    /// The entry at `at` in a metadata resource; `None` at the end of a directory.
    pub(crate) fn parse(metadata: &'a [u8], at: usize) -> Result<Option<Self>> {
        let malformed = |problem: &str| WimError::malformed("directory entry", at as u64, problem);
        let rest = metadata.get(at..).filter(|rest| rest.len() >= 8);
        let rest = rest.ok_or_else(|| malformed("it lies outside of the metadata"))?;
        let length = rest.u64_at(0);
        if length <= 8 {
            return Ok(None);
        }
        if rest.len() < FIXED_BYTES {
            return Err(malformed("it is cut off"));
        }
        let length = aligned_within(length, rest);
        let length = length.ok_or_else(|| malformed("it is longer than the metadata"))?;
        let names = usize::from(rest.u16_at(98)) + usize::from(rest.u16_at(100));
        if FIXED_BYTES + names > length || rest.u16_at(98) % 2 != 0 || rest.u16_at(100) % 2 != 0 {
            return Err(malformed("its names do not fit into it"));
        }
        let mut end = length;
        for _ in 0..rest.u16_at(96) {
            let stream = rest.get(end..).filter(|stream| stream.len() >= STREAM_FIXED_BYTES);
            let stream = stream.ok_or_else(|| malformed("its streams are cut off"))?;
            let bytes = aligned_within(stream.u64_at(0), stream);
            let bytes = bytes.filter(|&n| n >= STREAM_FIXED_BYTES);
            let bytes = bytes.ok_or_else(|| malformed("a stream of it is cut off"))?;
            let name = usize::from(stream.u16_at(36));
            if STREAM_FIXED_BYTES + name > bytes || name % 2 != 0 {
                return Err(malformed("a stream's name does not fit into it"));
            }
            end += bytes;
        }
        Ok(Some(Self(&rest[..end])))
    }

    /// An entry that was parsed or made before.
    pub(crate) fn known(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All bytes of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// `FILE_ATTRIBUTE_*`.
    pub fn attributes(&self) -> u32 {
        self.0.u32_at(8)
    }

    /// Index of its security descriptor, or [`NO_SECURITY`].
    pub fn security_id(&self) -> u32 {
        self.0.u32_at(12)
    }

    pub(crate) fn subdir_offset(&self) -> u64 {
        self.0.u64_at(16)
    }

    /// Creation, last access and last write, as FILETIMEs.
    pub fn times(&self) -> [u64; 3] {
        [self.0.u64_at(40), self.0.u64_at(48), self.0.u64_at(56)]
    }

    /// The group of hard links it belongs to; 0 for none. Reparse points have none.
    pub fn hard_link_group(&self) -> u64 {
        if self.attributes() & ATTRIBUTE_REPARSE_POINT != 0 { 0 } else { self.0.u64_at(88) }
    }

    /// Whether it is a directory that has children (a junction hasn't).
    pub fn is_real_directory(&self) -> bool {
        self.attributes() & (ATTRIBUTE_DIRECTORY | ATTRIBUTE_REPARSE_POINT) == ATTRIBUTE_DIRECTORY
    }

    /// Its long name.
    pub fn name(&self) -> Vec<u16> {
        let len = usize::from(self.0.u16_at(100));
        utf16_units(&self.0[FIXED_BYTES..FIXED_BYTES + len])
    }

    /// How long its long name is, in UTF-16 code units.
    pub(crate) fn name_units(&self) -> usize {
        usize::from(self.0.u16_at(100)) / 2
    }

    /// Its long name for people.
    pub fn name_lossy(&self) -> String {
        String::from_utf16_lossy(&self.name())
    }

    /// Its 8.3 name, empty for none.
    pub fn short_name(&self) -> Vec<u16> {
        let (short, long) = (usize::from(self.0.u16_at(98)), usize::from(self.0.u16_at(100)));
        let at = FIXED_BYTES + if long > 0 { long + 2 } else { 0 };
        self.0.get(at..at + short).map(utf16_units).unwrap_or_default()
    }

    /// Every stream of it: the fixed part's first, unless the extra entries replace it.
    pub fn streams(&self) -> Vec<Stream> {
        let main = Sha1Hash(self.0.array_at(64));
        let extra = self.0.u16_at(96);
        let mut streams = Vec::with_capacity(usize::from(extra) + 1);
        if extra == 0 || !main.is_zero() {
            streams.push(Stream { name: None, sha1: main });
        }
        let mut at = align8(self.0.u64_at(0) as usize);
        for _ in 0..extra {
            let entry = &self.0[at..];
            let name = usize::from(entry.u16_at(36));
            let units = utf16_units(&entry[STREAM_FIXED_BYTES..STREAM_FIXED_BYTES + name]);
            let name = Some(units).filter(|units| !units.is_empty());
            streams.push(Stream { name, sha1: Sha1Hash(entry.array_at(16)) });
            at += align8(entry.u64_at(0) as usize);
        }
        streams
    }
}

/// A reparse point's tag and data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reparse {
    /// `IO_REPARSE_TAG_*`.
    pub tag: u32,
    /// WIM's reparse flags: 1 when the target is not to be fixed up.
    pub flags: u16,
    /// SHA-1 of the reparse data (without tag and length).
    pub sha1: Sha1Hash,
}

/// A new entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// `FILE_ATTRIBUTE_*`, with the directory and reparse bits where they apply.
    pub attributes: u32,
    /// Creation, last access and last write, as FILETIMEs.
    pub times: [u64; 3],
    /// Index of its security descriptor, or [`NO_SECURITY`].
    pub security_id: u32,
    /// Group of hard links, 0 for none.
    pub hard_link_group: u64,
    /// SHA-1 of the unnamed data; zero when empty, and for directories.
    pub data: Sha1Hash,
    /// Alternate data streams.
    pub named_streams: Vec<(String, Sha1Hash)>,
    /// For reparse points.
    pub reparse: Option<Reparse>,
    /// 8.3 name.
    pub short_name: Option<String>,
    /// Tagged items (object ID and the like) as they are on disk, each padded to 8 bytes.
    pub tagged_items: Vec<u8>,
}

impl NewEntry {
    /// A plain file.
    pub fn file(attributes: u32, modified: u64, data: Sha1Hash) -> Self {
        Self {
            attributes,
            times: [modified; 3],
            security_id: NO_SECURITY,
            hard_link_group: 0,
            data,
            named_streams: Vec::new(),
            reparse: None,
            short_name: None,
            tagged_items: Vec::new(),
        }
    }

    /// A plain directory.
    pub fn directory(modified: u64) -> Self {
        Self::file(ATTRIBUTE_DIRECTORY, modified, Sha1Hash::ZERO)
    }

    /// The bytes of it under `name` (empty for the root), with its subdirectory offset still 0.
    pub(crate) fn encode(&self, name: &[u16]) -> Result<Vec<u8>> {
        if name.len() > NAME_UNITS_MAX {
            let name = String::from_utf16_lossy(name);
            let problem = format!("the name '{name}' has more than {NAME_UNITS_MAX} characters");
            return Err(WimError::malformed("new entry", 0, problem));
        }
        let short: Vec<u16> = self.short_name.iter().flat_map(|n| n.encode_utf16()).collect();
        let mut out = vec![0; FIXED_BYTES];
        put(&mut out, 8, &self.attributes.to_le_bytes());
        put(&mut out, 12, &self.security_id.to_le_bytes());
        for (index, time) in self.times.iter().enumerate() {
            put(&mut out, 40 + 8 * index, &time.to_le_bytes());
        }
        match self.reparse {
            Some(reparse) => {
                put(&mut out, 88, &reparse.tag.to_le_bytes());
                put(&mut out, 94, &reparse.flags.to_le_bytes());
            }
            None => put(&mut out, 88, &self.hard_link_group.to_le_bytes()),
        }
        put(&mut out, 98, &((short.len() * 2) as u16).to_le_bytes());
        put(&mut out, 100, &((name.len() * 2) as u16).to_le_bytes());
        for units in [name, &short] {
            if !units.is_empty() {
                out.extend_from_slice(&utf16_bytes(units));
                out.extend_from_slice(&[0, 0]);
            }
        }
        out.resize(align8(out.len()), 0);
        out.extend_from_slice(&self.tagged_items);
        out.resize(align8(out.len()), 0);
        let length = out.len() as u64;
        put(&mut out, 0, &length.to_le_bytes());
        self.encode_streams(&mut out);
        Ok(out)
    }

    /// DISM's rules, as wimlib 1.14.4 found them: with one unnamed stream and no named ones its
    /// hash is in the fixed part; else all streams are extra entries, reparse data first, then the
    /// unnamed data (never for a directory), then the named ones.
    fn encode_streams(&self, out: &mut Vec<u8>) {
        let mut unnamed: Vec<Sha1Hash> = self.reparse.iter().map(|reparse| reparse.sha1).collect();
        if self.attributes & ATTRIBUTE_DIRECTORY == 0 {
            unnamed.push(self.data);
        }
        if unnamed.len() <= 1 && self.named_streams.is_empty() {
            if let Some(sha1) = unnamed.first() {
                put(out, 64, &sha1.0);
            }
            return;
        }
        let count = (unnamed.len() + self.named_streams.len()) as u16;
        put(out, 96, &count.to_le_bytes());
        for sha1 in unnamed {
            encode_stream(out, &[], sha1);
        }
        for (name, sha1) in &self.named_streams {
            encode_stream(out, &name.encode_utf16().collect::<Vec<_>>(), *sha1);
        }
    }
}

fn encode_stream(out: &mut Vec<u8>, name: &[u16], sha1: Sha1Hash) {
    let start = out.len();
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&sha1.0);
    out.extend_from_slice(&((name.len() * 2) as u16).to_le_bytes());
    if !name.is_empty() {
        out.extend_from_slice(&utf16_bytes(name));
        out.extend_from_slice(&[0, 0]);
    }
    out.resize(align8(out.len()), 0);
    let length = (out.len() - start) as u64;
    put(out, start, &length.to_le_bytes());
}
