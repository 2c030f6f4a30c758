//! Random trees of everything that an entry can carry. The first entries of a seed's tree are the
//! same whatever its size is, so that a failing tree can be made smaller.

use prestage_wim::{
    Sha1Hash,
    metadata::{ATTRIBUTE_DIRECTORY, ATTRIBUTE_REPARSE_POINT, ImageTree, NewEntry, Reparse},
};

use super::{TIME, noise, text};

/// What stands for an unpaired surrogate until the tree's bytes are made: paths are strings.
pub const STAND_IN: &str = "\u{e123}\u{e124}";

/// A small generator (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Where trees are to go: NTFS takes less than a WIM does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Only a WIM.
    Wim,
    /// An NTFS volume that wimlib applies to.
    Ntfs,
}

/// An entry of a random tree.
#[derive(Clone, Debug)]
pub struct RandomEntry {
    /// '/' between names.
    pub path: String,
    /// All of it but its descriptor's index.
    pub entry: NewEntry,
    /// Its security descriptor.
    pub descriptor: Option<Vec<u8>>,
}

/// A random tree and its contents.
pub struct RandomTree {
    /// Parents before their children.
    pub entries: Vec<RandomEntry>,
    /// What entries name by SHA-1.
    pub contents: Vec<Vec<u8>>,
}

impl RandomTree {
    /// The first `size` entries of a seed's tree.
    pub fn new(seed: u64, size: usize, target: Target) -> Self {
        let mut maker = Maker {
            random: Random(seed),
            target,
            contents: contents(seed),
            folders: vec![String::new()],
            groups: 0,
            paths: 0,
        };
        let mut entries = Vec::new();
        while entries.len() < size {
            maker.add(&mut entries);
        }
        entries.truncate(size);
        Self { entries, contents: maker.contents }
    }

    /// The tree as a WIM has it.
    pub fn tree(&self) -> ImageTree {
        let mut tree = ImageTree::new(&NewEntry::directory(TIME)).unwrap();
        for random in &self.entries {
            let mut entry = random.entry.clone();
            if let Some(descriptor) = &random.descriptor {
                entry.security_id = tree.security.add(descriptor);
            }
            tree.add(&random.path, &entry).unwrap();
        }
        ImageTree::parse(with_unpaired_surrogates(tree.write())).unwrap()
    }
}

fn with_unpaired_surrogates(mut metadata: Vec<u8>) -> Vec<u8> {
    let stand_in: Vec<u8> = STAND_IN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let unpaired: Vec<u8> = [0xd812_u16, 0x0041].into_iter().flat_map(u16::to_le_bytes).collect();
    for at in 0..metadata.len() - stand_in.len() {
        if metadata[at..].starts_with(&stand_in) {
            metadata[at..at + stand_in.len()].copy_from_slice(&unpaired);
        }
    }
    metadata
}

/// A few contents, so that files share them.
fn contents(seed: u64) -> Vec<Vec<u8>> {
    let sizes = [1, 100, 32_768, 32_769, 70_000];
    let mut contents: Vec<Vec<u8>> = sizes.iter().map(|&size| text(size, seed)).collect();
    contents.push(noise(5_000, seed));
    contents
}

struct Maker {
    random: Random,
    target: Target,
    contents: Vec<Vec<u8>>,
    folders: Vec<String>,
    groups: u64,
    paths: usize,
}

const NAMES: [&str; 14] = [
    "a",
    "plain name.txt",
    "Straße Übergröße",
    "日本語の説明書",
    "🚀 rocket 👩‍💻",
    "e\u{301}t\u{e9}",
    "مرحبا",
    " leading and dots .. inside",
    "100% [a] {b} 'c' & d;e,f=g+h~i`j!k@l#m$n^o(p)",
    "İıſK",
    "\u{feff}bom and \u{200d} joiner",
    ".dotfile",
    "UPPER",
    "LONGNAM",
];

impl Maker {
    fn add(&mut self, entries: &mut Vec<RandomEntry>) {
        let path = self.path();
        let made = match self.random.below(10) {
            0..=2 => self.folder(&path),
            3 => self.symlink(),
            4 => self.junction(),
            _ => self.file(),
        };
        let mut made = RandomEntry { path, entry: made, descriptor: self.descriptor() };
        let is_file = made.entry.attributes & ATTRIBUTE_DIRECTORY == 0;
        if is_file && made.entry.reparse.is_none() && self.random.once_in(4) {
            self.groups += 1;
            made.entry.hard_link_group = self.groups;
            made.entry.short_name = None;
            for _ in 0..self.random.below(3) {
                let path = self.path();
                entries.push(RandomEntry { path, ..made.clone() });
            }
        }
        entries.push(made);
    }

    /// A path that is not there yet: the number makes it so, in any case.
    fn path(&mut self) -> String {
        self.paths += 1;
        let number = self.paths;
        let folder = self.random.pick(&self.folders).clone();
        let mut name = (*self.random.pick(&NAMES)).to_owned();
        if self.random.once_in(20) {
            name = "long ".repeat(48);
        }
        if self.target == Target::Wim && self.random.once_in(10) {
            name.push_str(STAND_IN);
        }
        let name = format!("{name} {number}");
        if folder.is_empty() { name } else { format!("{folder}/{name}") }
    }

    fn attributes(&mut self, bits: u32) -> u32 {
        bits | *self.random.pick(&[0x20, 0x21, 0x26, 0x2020, 0x2])
    }

    fn times(&mut self) -> [u64; 3] {
        let mut time = || match self.random.below(8) {
            0 => 1,
            1 => 188_850_000_000_000_001,
            _ => TIME + self.random.next() % 1_000_000_000_000_000,
        };
        [time(), time(), time()]
    }

    fn content(&mut self) -> Sha1Hash {
        if self.random.once_in(4) {
            return Sha1Hash::ZERO;
        }
        let number = self.random.below(self.contents.len());
        Sha1Hash::of(&self.contents[number])
    }

    /// What any entry may have.
    fn common(&mut self, bits: u32) -> NewEntry {
        let mut entry = NewEntry::file(self.attributes(bits), 0, Sha1Hash::ZERO);
        entry.times = self.times();
        if self.random.once_in(4) {
            for name in &["Zone.Identifier", "second ström 日"][..1 + self.random.below(2)] {
                entry.named_streams.push(((*name).to_owned(), self.content()));
            }
        }
        if self.random.once_in(5) {
            entry.short_name = Some(format!("SHORT{:03}.TXT", self.random.below(1_000)));
        }
        if self.target == Target::Wim && self.random.once_in(5) {
            let (tag, bytes) = if self.random.once_in(2) { (1, 64) } else { (0x7777, 16) };
            entry.tagged_items = [tag, bytes].map(u32::to_le_bytes).concat();
            let data = (0..bytes).map(|_| self.random.next() as u8);
            entry.tagged_items.extend(data);
        }
        entry
    }

    fn file(&mut self) -> NewEntry {
        let mut entry = self.common(0);
        entry.data = self.content();
        entry
    }

    fn folder(&mut self, path: &str) -> NewEntry {
        let depth = path.matches('/').count();
        if depth < 6 {
            self.folders.push(path.to_owned());
        }
        self.common(ATTRIBUTE_DIRECTORY)
    }

    fn symlink(&mut self) -> NewEntry {
        let folder = self.random.once_in(2);
        let bits = ATTRIBUTE_REPARSE_POINT | if folder { ATTRIBUTE_DIRECTORY } else { 0 };
        let target = ["plain name.txt", "日本語", "..\\a"][self.random.below(3)];
        // Name offsets and lengths, then 1 for a relative link, then both names.
        self.reparse(bits, 0xa000_000c, Some(1), target)
    }

    fn junction(&mut self) -> NewEntry {
        let bits = ATTRIBUTE_REPARSE_POINT | ATTRIBUTE_DIRECTORY;
        self.reparse(bits, 0xa000_0003, None, "\\??\\C:\\Users")
    }

    fn reparse(&mut self, bits: u32, tag: u32, flags: Option<u32>, target: &str) -> NewEntry {
        let name: Vec<u8> = target.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (bytes, zero) = (name.len() as u16, if flags.is_some() { 0 } else { 2 });
        let fields = [0, bytes, bytes + zero, bytes];
        let mut data: Vec<u8> = fields.into_iter().flat_map(u16::to_le_bytes).collect();
        data.extend(flags.into_iter().flat_map(u32::to_le_bytes));
        let end = vec![0; usize::from(zero)];
        data.extend([&name[..], &end, &name, &end].concat());
        let mut entry = self.common(bits);
        entry.reparse = Some(Reparse { tag, flags: 1, sha1: Sha1Hash::of(&data) });
        if !self.contents.contains(&data) {
            self.contents.push(data);
        }
        entry
    }

    /// A self-relative descriptor: owner, group, and a list of a few rights.
    fn descriptor(&mut self) -> Option<Vec<u8>> {
        if self.target == Target::Wim && self.random.once_in(5) {
            return None;
        }
        const SIDS: [&[u8]; 3] = [
            &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
            &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0],
            &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        ];
        let mut aces = Vec::new();
        let count = 1 + self.random.below(3);
        for _ in 0..count {
            let sid = *self.random.pick(&SIDS);
            let mask = *self.random.pick(&[0x001f_01ff_u32, 0x0012_00a9, 0x0013_01bf]);
            aces.extend([0, 0x03, 8 + sid.len() as u8, 0]);
            aces.extend(mask.to_le_bytes());
            aces.extend(sid);
        }
        let (owner, group) = (*self.random.pick(&SIDS), *self.random.pick(&SIDS));
        let acl_bytes = 8 + aces.len() as u16;
        let owner_at = 20 + u32::from(acl_bytes);
        let group_at = owner_at + owner.len() as u32;
        let mut out = vec![1, 0, 0x04, 0x80];
        out.extend([owner_at, group_at, 0, 20].into_iter().flat_map(u32::to_le_bytes));
        out.extend([2, 0]);
        out.extend([acl_bytes, count as u16, 0].into_iter().flat_map(u16::to_le_bytes));
        out.extend([&aces[..], owner, group].concat());
        Some(out)
    }
}
