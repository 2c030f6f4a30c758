//! The tree of entries: read, graft, write.

use std::collections::{HashMap, HashSet};

use super::{
    EntryView, NewEntry, SecurityDescriptors,
    entry::{FIXED_BYTES, align8},
    upcased,
};
use crate::{
    bytes::put,
    error::{Result, WimError},
    hash::Sha1Hash,
};

/// Windows' limit for a path, in UTF-16 code units. Whoever walks a tree says each entry's path, so without it
/// folders in folders would take time by the square.
const PATH_UNITS_MAX: usize = 32_767;

/// An entry's number in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

struct Node {
    start: usize,
    len: usize,
    /// `None` for files and for reparse directories, which must not have a list of children.
    children: Option<Vec<NodeId>>,
}

/// What the XML data says of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeStatistics {
    /// Directories, the root among them.
    pub directories: u64,
    /// All other entries, hard links counted each.
    pub files: u64,
    /// Bytes of all streams, hard links counted each.
    pub total_bytes: u64,
    /// Bytes that hard links save.
    pub hard_link_bytes: u64,
}

/// Goes through a tree without keeping the paths of all its entries: they may have 32,767 characters
/// each.
pub struct Walk<'a> {
    tree: &'a ImageTree,
    path: String,
    /// Nodes to come, each with the length of its folder's path.
    waiting: Vec<(usize, NodeId)>,
}

impl Iterator for Walk<'_> {
    type Item = (String, NodeId);

    fn next(&mut self) -> Option<Self::Item> {
        let (folder, id) = self.waiting.pop()?;
        self.path.truncate(folder);
        if folder > 0 {
            self.path.push('/');
        }
        if id != ImageTree::ROOT {
            self.path.push_str(&self.tree.entry(id).name_lossy());
        }
        let below = self.path.len();
        let children = self.tree.children(id).iter().rev();
        self.waiting.extend(children.map(|&child| (below, child)));
        Some((self.path.clone(), id))
    }
}

/// An image's entries, as bytes with links between them: 500,000 of them take about 100 MB.
pub struct ImageTree {
    bytes: Vec<u8>,
    nodes: Vec<Node>,
    /// How many of them were read; the others were added.
    read: usize,
    /// The image's security descriptors.
    pub security: SecurityDescriptors,
    /// Names in each directory that was looked into, upper-cased.
    names: HashMap<NodeId, HashMap<Vec<u16>, NodeId>>,
    changed: HashSet<NodeId>,
}

impl ImageTree {
    /// The root.
    pub const ROOT: NodeId = NodeId(0);

    /// An image with nothing but a root.
    pub fn new(root: &NewEntry) -> Result<Self> {
        let bytes = root.encode(&[])?;
        let node = Node { start: 0, len: bytes.len(), children: Some(Vec::new()) };
        Ok(Self {
            bytes,
            nodes: vec![node],
            read: 0,
            security: SecurityDescriptors::default(),
            names: HashMap::new(),
            changed: HashSet::new(),
        })
    }

    /// Reads a metadata resource.
    pub fn parse(metadata: Vec<u8>) -> Result<Self> {
        let (security, root_at) = SecurityDescriptors::parse(&metadata)?;
        let mut tree = Self {
            bytes: metadata,
            nodes: Vec::new(),
            read: 0,
            security,
            names: HashMap::new(),
            changed: HashSet::new(),
        };
        let root = EntryView::parse(&tree.bytes, root_at)?.map(|view| view.bytes().len());
        let len = root.ok_or_else(|| {
            WimError::malformed("directory entry", root_at as u64, "the root is missing")
        })?;
        tree.push_parsed(root_at, len);
        tree.read_directories()?;
        tree.read = tree.nodes.len();
        Ok(tree)
    }

    fn push_parsed(&mut self, start: usize, len: usize) -> NodeId {
        let view = EntryView::known(&self.bytes[start..start + len]);
        let has_list = view.is_real_directory() || view.subdir_offset() != 0;
        let children = has_list.then(Vec::new);
        self.nodes.push(Node { start, len, children });
        NodeId(self.nodes.len() as u32 - 1)
    }

    fn read_directories(&mut self) -> Result<()> {
        let mut seen = HashSet::new();
        let mut read_bytes = 0;
        // Each with the length of its path.
        let mut waiting = vec![(Self::ROOT, 0)];
        let most = self.bytes.len() / FIXED_BYTES;
        while let Some((directory, path_units)) = waiting.pop() {
            let offset = self.entry(directory).subdir_offset();
            if offset == 0 {
                continue;
            }
            if !seen.insert(offset) {
                let problem = "two directories share one list of entries";
                return Err(WimError::malformed("directory entry", offset, problem));
            }
            let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
            let mut children = Vec::new();
            while let Some(len) = EntryView::parse(&self.bytes, at)?.map(|view| view.bytes().len())
            {
                if self.nodes.len() >= most {
                    let problem = "lists of entries lie over each other";
                    return Err(WimError::malformed("directory entry", at as u64, problem));
                }
                let child = self.push_parsed(at, len);
                children.push(child);
                if self.node(child).children.is_some() {
                    let units = path_units + 1 + self.entry(child).name_units();
                    if units > PATH_UNITS_MAX {
                        let problem = "its folders lie deeper in each other than a path can say";
                        return Err(WimError::malformed("directory entry", at as u64, problem));
                    }
                    waiting.push((child, units));
                }
                at += len;
                read_bytes += len;
                // Lists that begin at different places of each other would grow without end.
                if read_bytes > self.bytes.len() {
                    let problem = "lists of entries lie over each other";
                    return Err(WimError::malformed("directory entry", offset, problem));
                }
            }
            self.nodes[directory.0 as usize].children = Some(children);
        }
        Ok(())
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The entry of a node.
    pub fn entry(&self, id: NodeId) -> EntryView<'_> {
        let node = self.node(id);
        EntryView::known(&self.bytes[node.start..node.start + node.len])
    }

    /// The children of a directory; none for everything else.
    pub fn children(&self, id: NodeId) -> &[NodeId] {
        self.node(id).children.as_deref().unwrap_or_default()
    }

    /// Every node, parents before their children.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Every node with its path, '/' between names, the root's empty; in the order of the tree.
    pub fn walk(&self) -> Walk<'_> {
        Walk { tree: self, path: String::new(), waiting: vec![(0, Self::ROOT)] }
    }

    /// The child of `directory` by that name, as Windows compares names.
    pub fn find_child(&mut self, directory: NodeId, name: &str) -> Option<NodeId> {
        let key = upcased(&name.encode_utf16().collect::<Vec<_>>());
        self.names_in(directory).get(&key).copied()
    }

    /// The node at `path`, '/' between names.
    pub fn find(&mut self, path: &str) -> Option<NodeId> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(Self::ROOT, |at, name| self.find_child(at, name))
    }

    fn names_in(&mut self, directory: NodeId) -> &mut HashMap<Vec<u16>, NodeId> {
        if !self.names.contains_key(&directory) {
            let names = self.children(directory).iter();
            let names = names.map(|&child| (upcased(&self.entry(child).name()), child)).collect();
            self.names.insert(directory, names);
        }
        self.names.entry(directory).or_default()
    }

    /// The directory at `path`, made with `entry` where it is missing, parents too. A collision
    /// names the path of what is no directory.
    pub fn ensure_directory(&mut self, path: &str, entry: &NewEntry) -> Result<NodeId> {
        let mut at = Self::ROOT;
        let mut end = 0;
        for name in path.split('/') {
            end += name.len() + 1;
            at = match self.find_child(at, name) {
                _ if name.is_empty() => at,
                Some(child) if self.node(child).children.is_some() => child,
                Some(child) => return Err(self.collision(&path[..end - 1], child)),
                None => self.insert(at, name, entry)?,
            };
        }
        Ok(at)
    }

    /// Adds a file at `path`, whose directory must be there.
    pub fn add(&mut self, path: &str, entry: &NewEntry) -> Result<NodeId> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(directory) = self.find(parent) else {
            let problem = format!("the folder '{parent}' is missing");
            return Err(WimError::malformed("new entry", 0, problem));
        };
        if let Some(existing) = self.find_child(directory, name) {
            return Err(self.collision(path, existing));
        }
        self.insert(directory, name, entry)
    }

    fn collision(&self, path: &str, existing: NodeId) -> WimError {
        let (path, was_read) = (path.to_owned(), (existing.0 as usize) < self.read);
        let existing = self.entry(existing).name_lossy();
        if was_read {
            WimError::Collision { path, existing }
        } else {
            WimError::WrittenTwice { path, existing }
        }
    }

    fn insert(&mut self, directory: NodeId, name: &str, entry: &NewEntry) -> Result<NodeId> {
        let units: Vec<u16> = name.encode_utf16().collect();
        let encoded = entry.encode(&units)?;
        let (start, len) = (self.bytes.len(), encoded.len());
        self.bytes.extend_from_slice(&encoded);
        let child = self.push_parsed(start, len);
        self.names_in(directory).insert(upcased(&units), child);
        self.nodes[directory.0 as usize].children.get_or_insert_default().push(child);
        self.changed.insert(directory);
        Ok(child)
    }

    /// The metadata resource's bytes: descriptors, root, then each directory's entries, parents
    /// first, as wimlib and DISM write them.
    pub fn write(&mut self) -> Vec<u8> {
        self.sort_changed();
        let security = self.security.write();
        let order = self.directories_in_order();
        let root = self.node(Self::ROOT);
        let mut cursor = security.len() + align8(root.len) + 8;
        let mut offsets = HashMap::with_capacity(order.len());
        for &directory in &order {
            offsets.insert(directory, cursor as u64);
            let lists = self.children(directory).iter().map(|&child| self.node(child).len);
            cursor += lists.sum::<usize>() + 8;
        }
        let mut out = Vec::with_capacity(cursor);
        out.extend_from_slice(&security);
        self.write_entry(&mut out, Self::ROOT, &offsets);
        out.extend_from_slice(&[0; 8]);
        for &directory in &order {
            for &child in self.children(directory) {
                self.write_entry(&mut out, child, &offsets);
            }
            out.extend_from_slice(&[0; 8]);
        }
        debug_assert_eq!(out.len(), cursor, "the offsets were planned for these bytes");
        out
    }

    fn write_entry(&self, out: &mut Vec<u8>, id: NodeId, offsets: &HashMap<NodeId, u64>) {
        let start = out.len();
        out.extend_from_slice(self.entry(id).bytes());
        let offset = offsets.get(&id).copied().unwrap_or(0);
        put(&mut out[start..], 16, &offset.to_le_bytes());
    }

    /// Directories that were grafted into are sorted as NTFS sorts: upper-cased, then as they are.
    fn sort_changed(&mut self) {
        for directory in std::mem::take(&mut self.changed) {
            let mut children = self.children(directory).to_vec();
            children.sort_by_cached_key(|&child| {
                let name = self.entry(child).name();
                (upcased(&name), name)
            });
            self.nodes[directory.0 as usize].children = Some(children);
        }
    }

    fn directories_in_order(&self) -> Vec<NodeId> {
        let mut order = Vec::new();
        let mut waiting = vec![Self::ROOT];
        while let Some(id) = waiting.pop() {
            if self.node(id).children.is_none() {
                continue;
            }
            order.push(id);
            waiting.extend(self.children(id).iter().rev());
        }
        order
    }

    /// How often each content is named, hard links counted each.
    pub fn references(&self) -> HashMap<Sha1Hash, u32> {
        let mut references = HashMap::new();
        for id in self.nodes() {
            for stream in self.entry(id).streams() {
                if !stream.sha1.is_zero() {
                    *references.entry(stream.sha1).or_insert(0) += 1;
                }
            }
        }
        references
    }

    /// Counts for the XML data, given each content's size.
    pub fn statistics(&self, size_of: impl Fn(&Sha1Hash) -> u64) -> TreeStatistics {
        let mut statistics = TreeStatistics::default();
        let mut linked = HashSet::new();
        for id in self.nodes() {
            let entry = self.entry(id);
            if entry.attributes() & super::ATTRIBUTE_DIRECTORY != 0 {
                statistics.directories += 1;
            } else {
                statistics.files += 1;
            }
            let streams = entry.streams();
            let bytes: u64 = streams.iter().map(|stream| size_of(&stream.sha1)).sum();
            statistics.total_bytes += bytes;
            let group = entry.hard_link_group();
            if group != 0 && !linked.insert((group, streams.first().map(|stream| stream.sha1))) {
                statistics.hard_link_bytes += bytes;
            }
        }
        statistics
    }
}
