//! Images from lists of entries, and WIM files from images.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use prestage_wim::{
    Sha1Hash, WimError,
    codec::{CHUNK_BYTES, Codec, FileToEncode, Format},
    metadata::{ATTRIBUTE_DIRECTORY, ATTRIBUTE_REPARSE_POINT, ImageTree, NewEntry, Reparse},
    writer::WimWriter,
};

use crate::{
    SampleError,
    body::Body,
    image_xml::{self, ImageDescription},
    reparse::Link,
    security::Security,
};

/// `FILE_ATTRIBUTE_READONLY`.
pub(crate) const READ_ONLY: u32 = 0x1;
/// `FILE_ATTRIBUTE_HIDDEN`.
pub(crate) const HIDDEN: u32 = 0x2;
/// `FILE_ATTRIBUTE_SYSTEM`.
pub(crate) const SYSTEM: u32 = 0x4;
/// `FILE_ATTRIBUTE_ARCHIVE`.
pub(crate) const ARCHIVE: u32 = 0x20;
/// `FILE_ATTRIBUTE_NOT_CONTENT_INDEXED`.
pub(crate) const NOT_INDEXED: u32 = 0x2000;
/// 2025-01-15 00:00 UTC as a FILETIME. File times do not follow the clock, so that two samples of a
/// seed have the same content.
pub(crate) const BASE_TIME: u64 = 133_813_728_000_000_000;
/// A second of a FILETIME.
pub(crate) const SECOND: u64 = 10_000_000;

/// A file, folder or link of an image.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `FILE_ATTRIBUTE_*` without the directory and reparse bits.
    pub(crate) attributes: u32,
    /// Creation, last access and last write, as FILETIMEs.
    pub(crate) times: [u64; 3],
    pub(crate) security: Security,
    /// Entries of one group are one file with several names; 0 for none.
    pub(crate) link_group: u64,
    pub(crate) kind: EntryKind,
    /// Alternate data streams.
    pub(crate) streams: Vec<(&'static str, Body)>,
    pub(crate) short_name: Option<&'static str>,
    /// NTFS object ID, unique in the image.
    pub(crate) object_id: Option<[u8; 16]>,
}

#[derive(Clone, Debug)]
pub(crate) enum EntryKind {
    File(Body),
    Folder,
    /// `true` for a link to a folder, as junctions always are.
    Link(Link, bool),
}

impl Entry {
    fn new(kind: EntryKind, attributes: u32) -> Self {
        Self {
            attributes,
            times: [BASE_TIME; 3],
            security: Security::System,
            link_group: 0,
            kind,
            streams: Vec::new(),
            short_name: None,
            object_id: None,
        }
    }

    /// A system file.
    pub(crate) fn file(body: Body) -> Self {
        Self::new(EntryKind::File(body), ARCHIVE)
    }

    /// A system folder.
    pub(crate) fn folder() -> Self {
        Self::new(EntryKind::Folder, 0)
    }

    /// A link, to a folder if `folder`.
    pub(crate) fn link(link: Link, folder: bool) -> Self {
        Self::new(EntryKind::Link(link, folder), 0)
    }

    /// With these attributes.
    pub(crate) fn attributes(mut self, attributes: u32) -> Self {
        self.attributes = attributes;
        self
    }

    /// With this descriptor.
    pub(crate) fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// With this 8.3 name.
    pub(crate) fn short_name(mut self, name: &'static str) -> Self {
        self.short_name = Some(name);
        self
    }

    /// With an alternate data stream more.
    pub(crate) fn stream(mut self, name: &'static str, body: Body) -> Self {
        self.streams.push((name, body));
        self
    }

    /// Created, read and written at different times: so many seconds after [`BASE_TIME`].
    pub(crate) fn at(mut self, created: u64, accessed: u64, written: u64) -> Self {
        self.times =
            [created, accessed, written].map(|seconds| BASE_TIME + seconds * SECOND + 1_234_567);
        self
    }

    fn bodies(&self) -> impl Iterator<Item = Body> + '_ {
        let main = match &self.kind {
            EntryKind::File(body) => Some(body.clone()),
            EntryKind::Folder => None,
            EntryKind::Link(link, _) => Some(Body::bytes(link.data())),
        };
        let streams = self.streams.iter().map(|(_, body)| body.clone());
        main.into_iter().chain(streams).filter(|body| body.len() > 0)
    }

    fn encode(&self, sha1: &HashMap<Body, Sha1Hash>, tree: &mut ImageTree) -> NewEntry {
        let hash = |body: &Body| sha1.get(body).copied().unwrap_or(Sha1Hash::ZERO);
        let (bits, data, reparse) = match &self.kind {
            EntryKind::File(body) => (0, hash(body), None),
            EntryKind::Folder => (ATTRIBUTE_DIRECTORY, Sha1Hash::ZERO, None),
            EntryKind::Link(link, folder) => {
                let reparse = Reparse {
                    tag: link.tag(),
                    // Targets are meant as they are written, wherever the image is applied.
                    flags: 1,
                    sha1: hash(&Body::bytes(link.data())),
                };
                let folder = if *folder { ATTRIBUTE_DIRECTORY } else { 0 };
                (ATTRIBUTE_REPARSE_POINT | folder, Sha1Hash::ZERO, Some(reparse))
            }
        };
        let streams = self.streams.iter();
        NewEntry {
            attributes: self.attributes | bits,
            times: self.times,
            security_id: tree.security.add(&self.security.descriptor()),
            hard_link_group: self.link_group,
            data,
            named_streams: streams.map(|(name, body)| ((*name).to_owned(), hash(body))).collect(),
            reparse,
            short_name: self.short_name.map(str::to_owned),
            tagged_items: self.object_id.map(object_id_item).unwrap_or_default(),
        }
    }
}

/// WIM's tagged item of an object ID (tag 1): the ID, then birth volume, birth object and domain.
fn object_id_item(id: [u8; 16]) -> Vec<u8> {
    let mut item = [1_u32.to_le_bytes(), 64_u32.to_le_bytes()].concat();
    item.extend_from_slice(&id);
    item.extend_from_slice(&[0x42; 16]);
    item.extend_from_slice(&id);
    item.extend_from_slice(&[0; 16]);
    item
}

/// One image: entries by path, '/' between names. Folders that no entry names are system folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    entries: BTreeMap<String, Entry>,
    link_groups: u64,
}

impl Image {
    /// Puts an entry, in place of one that was there.
    pub(crate) fn put(&mut self, path: impl Into<String>, entry: Entry) {
        self.entries.insert(path.into(), entry);
    }

    /// Puts one file under several names.
    pub(crate) fn put_linked(&mut self, paths: &[String], mut entry: Entry) {
        self.link_groups += 1;
        entry.link_group = self.link_groups;
        for path in paths {
            self.put(path, entry.clone());
        }
    }

    fn tree(&self, sha1: &HashMap<Body, Sha1Hash>) -> Result<ImageTree, WimError> {
        let mut root = NewEntry::directory(BASE_TIME);
        // The root is encoded before its descriptor can be added: it will be the first.
        root.security_id = 0;
        let mut tree = ImageTree::new(&root)?;
        tree.security.add(&Security::Root.descriptor());
        let plain = Entry::folder().encode(sha1, &mut tree);
        // Paths sort after those of their folders.
        for (path, entry) in &self.entries {
            if let Some((parent, _)) = path.rsplit_once('/') {
                tree.ensure_directory(parent, &plain)?;
            }
            let entry = entry.encode(sha1, &mut tree);
            tree.add(path, &entry)?;
        }
        Ok(tree)
    }
}

/// How a WIM is written.
pub(crate) struct WimSettings {
    pub(crate) pool: Arc<rayon::ThreadPool>,
    pub(crate) guid: [u8; 16],
    /// The image that boots, 0 for none.
    pub(crate) boot_index: u32,
}

/// Writes a WIM of these images, as Microsoft's tools do: LZX in chunks of 32 KiB.
pub(crate) fn write_wim(
    path: &Path,
    images: &[(Image, ImageDescription)],
    settings: WimSettings,
) -> Result<(), SampleError> {
    let written = try_write(path, images, settings);
    written.map_err(|source| SampleError::Wim { path: path.to_owned(), source })
}

fn try_write(
    path: &Path,
    images: &[(Image, ImageDescription)],
    settings: WimSettings,
) -> Result<(), WimError> {
    // Not a profile's level: the sample must not change when theirs do.
    let codec = Codec { format: Format::Lzx, chunk_bytes: CHUNK_BYTES, level: 20 };
    let mut writer = WimWriter::create(path, codec, settings.pool)?;
    let bodies = distinct_bodies(images);
    let files: Vec<FileToEncode> = bodies.iter().map(to_encode).collect();
    let hashes = writer.add(&files)?;
    let sha1: HashMap<Body, Sha1Hash> = bodies.into_iter().zip(hashes).collect();
    let mut trees = Vec::with_capacity(images.len());
    let mut described = Vec::with_capacity(images.len());
    for (image, description) in images {
        let tree = image.tree(&sha1)?;
        described.push((tree.statistics(|sha1| writer.size_of(sha1)), description));
        trees.push(tree);
    }
    let xml = |total| Ok(image_xml::text(total, BASE_TIME, &described));
    writer.finish(&mut trees, settings.guid, settings.boot_index, xml)
}

/// Every body once, in the order of the images' paths.
fn distinct_bodies(images: &[(Image, ImageDescription)]) -> Vec<Body> {
    let mut seen = std::collections::HashSet::new();
    let entries = images.iter().flat_map(|(image, _)| image.entries.values());
    entries.flat_map(Entry::bodies).filter(|body| seen.insert(body.clone())).collect()
}

fn to_encode(body: &Body) -> FileToEncode {
    let body = body.clone();
    FileToEncode { bytes: body.len(), open: Box::new(move || Ok(body.open())) }
}
