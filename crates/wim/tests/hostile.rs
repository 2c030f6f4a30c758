//! WIMs that nobody made by accident: what they claim is not believed. (Found by fuzzing.)
#![allow(clippy::unwrap_used, missing_docs)]

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use prestage_wim::{
    Blob, Header, RangeRead, ResourceHeader, Result, Sha1Hash, Wim, WimError, blob_table,
    codec::{CHUNK_BYTES, Codec, Compressor, Format},
    metadata::{ImageTree, NewEntry, TreeStatistics},
    resource::ResourceReader,
    xml::{self, NewImageInfo},
};

struct Memory(Bytes);

#[async_trait]
impl RangeRead for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

fn problem<T>(result: Result<T>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

/// A tree of `files` in the root, and where its root and the first file begin.
fn metadata(files: usize) -> (Vec<u8>, usize, usize) {
    let mut tree = ImageTree::new(&NewEntry::directory(1)).unwrap();
    for number in 0..files {
        tree.add(&format!("{number:04}"), &NewEntry::file(0x20, 1, Sha1Hash::ZERO)).unwrap();
    }
    // Security data of 8 bytes, the root of 104, the end of its list.
    (tree.write(), 8, 8 + 104 + 8)
}

#[test]
fn an_entry_as_long_as_the_address_space_is_refused() {
    let (whole, _, first) = metadata(1);
    for length in [u64::MAX, u64::MAX - 7, 1 << 63] {
        let mut cut = whole.clone();
        cut[first..first + 8].copy_from_slice(&length.to_le_bytes());
        assert!(problem(ImageTree::parse(cut)).contains("longer than the metadata"));
        let mut stream = whole.clone();
        stream[first + 96] = 1;
        let at = stream.len() - 8;
        stream.resize(at + 64, 0);
        stream[at..at + 8].copy_from_slice(&length.to_le_bytes());
        assert!(problem(ImageTree::parse(stream)).contains("stream"));
    }
}

/// Directories whose lists begin one entry after another inside one run of files: a megabyte of
/// them would become gigabytes of nodes.
#[test]
fn lists_of_entries_that_overlap_are_refused() {
    let files = 200;
    let (mut bytes, _, first) = metadata(files);
    let entry = (bytes.len() - 8 - first) / files;
    for number in 0..files / 2 {
        let at = first + number * entry;
        let inside = (first + (files / 2 + number) * entry) as u64;
        bytes[at + 8..at + 12].copy_from_slice(&0x10u32.to_le_bytes());
        bytes[at + 16..at + 24].copy_from_slice(&inside.to_le_bytes());
    }
    assert!(problem(ImageTree::parse(bytes)).contains("over each other"));
}

#[test]
fn xml_that_is_cut_off_is_refused() {
    let text = "<WIM><IMAGE INDEX=\"1\"><FLAGS>Enter";
    assert!(problem(xml::images(text)).contains("cut off"));
    let new = NewImageInfo {
        name: "n".into(),
        description: String::new(),
        time: 1,
        statistics: TreeStatistics::default(),
    };
    assert!(problem(xml::grafted(text, 1, &new, 7)).contains("cut off"));
}

#[test]
fn a_version_of_many_numbers_takes_time_by_their_number() {
    let numbers = "<MAJOR>10</MAJOR>".repeat(100_000);
    let text = format!(
        "<WIM><IMAGE INDEX=\"1\"><WINDOWS><VERSION>{numbers}</VERSION></WINDOWS></IMAGE></WIM>"
    );
    assert_eq!(xml::images(&text).unwrap()[0].version.len(), 3 * 100_000 - 1);
}

/// A resource of zeros: chunk table and chunks.
fn zeros(chunks: u64) -> (Vec<u8>, ResourceHeader) {
    let codec = Codec { format: Format::Lzx, chunk_bytes: CHUNK_BYTES, level: 20 };
    let content = vec![0; CHUNK_BYTES as usize];
    let mut chunk = vec![0; CHUNK_BYTES as usize - 1];
    let stored = Compressor::new(codec).unwrap().compress(&content, &mut chunk).unwrap().get();
    let table = (1..chunks).flat_map(|number| (number as u32 * stored as u32).to_le_bytes());
    let mut out: Vec<u8> = table.collect();
    (0..chunks).for_each(|_| out.extend_from_slice(&chunk[..stored]));
    let resource = ResourceHeader {
        stored_bytes: out.len() as u64,
        original_bytes: chunks * u64::from(CHUNK_BYTES),
        compressed: true,
        ..ResourceHeader::default()
    };
    (out, resource)
}

#[tokio::test]
async fn a_sparse_file_is_read_in_small_pieces() {
    let (stored, resource) = zeros(2048);
    assert!(stored.len() < 1 << 20);
    let source = Memory(stored.into());
    let mut reader =
        ResourceReader::open(&source, resource, Some(Format::Lzx), CHUNK_BYTES).await.unwrap();
    let (mut total, mut longest) = (0, 0);
    while let Some(piece) = reader.next().await.unwrap() {
        total += piece.len() as u64;
        longest = longest.max(piece.len());
    }
    assert_eq!(total, resource.original_bytes);
    assert!(longest <= 4 << 20, "{longest} bytes at once");
}

/// A WIM of one image with `stored` behind its header.
async fn open(format: Format, stored: &[u8], blobs: &[Blob]) -> Result<Wim> {
    let table = blob_table::write(blobs);
    let text = xml::encode("<WIM><IMAGE INDEX=\"1\"/></WIM>");
    let plain = |offset: usize, bytes: usize| ResourceHeader {
        offset: offset as u64,
        stored_bytes: bytes as u64,
        original_bytes: bytes as u64,
        ..ResourceHeader::default()
    };
    let mut file = vec![0; 208];
    file.extend(stored);
    let blob_table = plain(file.len(), table.len());
    file.extend(&table);
    let xml = plain(file.len(), text.len());
    file.extend(&text);
    let header = Header {
        format: Some(format),
        chunk_bytes: CHUNK_BYTES,
        guid: [7; 16],
        part: 1,
        parts: 1,
        image_count: 1,
        boot_index: 0,
        rpfix: false,
        blob_table,
        xml,
        boot_metadata: ResourceHeader::default(),
        integrity: ResourceHeader::default(),
    };
    file[..208].copy_from_slice(&header.write());
    Wim::open(Arc::new(Memory(file.into()))).await
}

/// Metadata of 64 MiB zeros in a file of less than 200 KB.
#[tokio::test]
async fn metadata_that_shrank_beyond_belief_is_refused() {
    let (stored, mut resource) = zeros(2048);
    (resource.offset, resource.metadata) = (208, true);
    let blob = Blob::new(resource, 1, Sha1Hash([1; 20]));
    let wim = open(Format::Lzx, &stored, &[blob]).await.unwrap();
    let refused = wim.metadata(1).await;
    assert!(matches!(refused, Err(WimError::Malformed { .. })), "{}", problem(refused));
}

/// Thousands of entries that name one solid resource would hold its table thousands of times.
#[tokio::test]
async fn solid_resources_that_overlap_are_refused() {
    let chunks = 1000u32;
    let mut stored = (u64::from(chunks) * u64::from(CHUNK_BYTES)).to_le_bytes().to_vec();
    stored.extend([CHUNK_BYTES, 3].map(u32::to_le_bytes).concat());
    stored.extend(1u32.to_le_bytes().repeat(chunks as usize));
    stored.extend(vec![0; chunks as usize]);
    let resource = ResourceHeader {
        offset: 208,
        stored_bytes: stored.len() as u64,
        original_bytes: 1 << 32,
        compressed: true,
        solid: true,
        ..ResourceHeader::default()
    };
    let entry = Blob::new(resource, 1, Sha1Hash([1; 20]));
    assert!(open(Format::Lzms, &stored, &[entry]).await.is_ok());
    assert!(problem(open(Format::Lzms, &stored, &[entry; 20]).await).contains("over each other"));
}

/// Thousands of entries that name one resource would have it read thousands of times.
#[tokio::test]
async fn resources_that_overlap_are_refused() {
    let stored = [7; 1000];
    let resource = ResourceHeader {
        offset: 208,
        stored_bytes: 1000,
        original_bytes: 1000,
        ..ResourceHeader::default()
    };
    let blobs = |count: u8| -> Vec<Blob> {
        (0..count).map(|number| Blob::new(resource, 1, Sha1Hash([number; 20]))).collect()
    };
    // Some tables name a content twice.
    open(Format::Lzx, &stored, &blobs(3)[1..]).await.unwrap();
    let refused = open(Format::Lzx, &stored, &blobs(200)[1..]).await;
    assert!(problem(refused).contains("over each other"));
}

/// Whoever walks such a tree says the path of each folder: a megabyte of them would be gigabytes of paths.
#[test]
fn folders_deeper_than_a_path_can_say_are_refused() {
    let deep = |depth: usize| {
        let mut tree = ImageTree::new(&NewEntry::directory(1)).unwrap();
        let path = vec!["f".repeat(255); depth].join("/");
        tree.ensure_directory(&path, &NewEntry::directory(1)).unwrap();
        tree.write()
    };
    let mut deepest = ImageTree::parse(deep(127)).unwrap();
    assert_eq!(deepest.walk().last().unwrap().0.len(), 127 * 256 - 1);
    assert_eq!(deepest.write(), deep(127));
    assert!(problem(ImageTree::parse(deep(129))).contains("deeper in each other"));
}
