//! Whole WIMs.

use prestage_wim::{
    Blob, Header, ResourceHeader, Sha1Hash, blob_table,
    codec::{CHUNK_BYTES, Format},
    metadata::{ImageTree, NewEntry},
    xml,
};

use super::Row;

pub(super) const BOMBS: &[Row] = &[
    ("wim_file", "contents that all lie in one place", 20_000, |n| {
        let content = Sha1Hash::of(b"a");
        file(b"a", &vec![plain(208, 1, content); n], 0)
    }),
    ("wim_file", "images whose trees all lie in one place", 2_000, |n| {
        let tree = tree();
        let mut image = plain(208, tree.len() as u64, Sha1Hash::of(&tree));
        image.resource.metadata = true;
        file(&tree, &vec![image; n], n)
    }),
    ("wim_file", "solid resources that all lie in one place", 10_000, |n| {
        let mut solid = plain(208, 16, Sha1Hash([1; 20]));
        solid.resource.solid = true;
        solid.resource.compressed = true;
        solid.resource.original_bytes = 1 << 32;
        file(&[0; 16], &vec![solid; n], 0)
    }),
    ("wim_file", "solid resources, each with a content", 4_000, |n| {
        let mut stored = Vec::new();
        let mut blobs = Vec::new();
        for number in 0..n {
            let mut solid = plain(208 + stored.len() as u64, 21, Sha1Hash([1; 20]));
            solid.resource.solid = true;
            solid.resource.compressed = true;
            solid.resource.original_bytes = 1 << 32;
            blobs.push(solid);
            // One byte of content, LZX in chunks of 32 KiB, one chunk of one byte.
            stored.extend(1u64.to_le_bytes());
            stored.extend((1u32 << 15).to_le_bytes());
            stored.extend(2u32.to_le_bytes());
            stored.extend(1u32.to_le_bytes());
            stored.push(b'a');
            let mut content = plain(number as u64, 1, Sha1Hash::of(b"a"));
            content.resource.solid = true;
            content.resource.compressed = true;
            blobs.push(content);
        }
        blobs.sort_by_key(|blob| blob.resource.original_bytes != 1 << 32);
        file(&stored, &blobs, 0)
    }),
];

fn plain(offset: u64, bytes: u64, sha1: Sha1Hash) -> Blob {
    let resource = ResourceHeader {
        offset,
        stored_bytes: bytes,
        original_bytes: bytes,
        ..ResourceHeader::default()
    };
    Blob { resource, references: 1, sha1, part: 1, solid: None }
}

fn tree() -> Vec<u8> {
    match ImageTree::new(&NewEntry::directory(1)) {
        Ok(mut tree) => tree.write(),
        Err(error) => panic!("an empty tree: {error}"),
    }
}

/// A WIM with `stored` behind its header, and a table of `blobs`.
fn file(stored: &[u8], blobs: &[Blob], images: usize) -> Vec<u8> {
    let image = |number| format!("<IMAGE INDEX=\"{}\"></IMAGE>", number + 1);
    let text: String = (0..images).map(image).collect();
    let (table, text) = (blob_table::write(blobs), xml::encode(&format!("<WIM>{text}</WIM>")));
    let at =
        |offset: usize, bytes: usize| plain(offset as u64, bytes as u64, Sha1Hash::ZERO).resource;
    let mut file = vec![0; 208];
    file.extend(stored);
    let blob_table = at(file.len(), table.len());
    file.extend(table);
    let xml = at(file.len(), text.len());
    file.extend(text);
    let header = Header {
        format: Some(Format::Lzx),
        chunk_bytes: CHUNK_BYTES,
        guid: [7; 16],
        part: 1,
        parts: 1,
        image_count: images as u32,
        boot_index: 0,
        rpfix: false,
        blob_table,
        xml,
        boot_metadata: ResourceHeader::default(),
        integrity: ResourceHeader::default(),
    };
    file[..208].copy_from_slice(&header.write());
    file
}
