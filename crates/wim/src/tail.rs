//! What follows the file resources in a WIM: metadata resource, blob table, XML data, integrity
//! table. And the header, which can be written only when they are placed.
//!
//! Each part of a split WIM has all of these but the metadata, which is in the first (wimlib 1.14.4
//! `split.c`).

use std::sync::Arc;

use rayon::ThreadPool;

use crate::{
    blob_table::{self, Blob, ENTRY_BYTES},
    codec::{Codec, EncodedFile, Encoder, FileToEncode, MemorySink, Progress},
    error::{Result, WimError},
    hash::Sha1Hash,
    header::{Header, ResourceHeader},
    integrity, xml,
};

/// Header and tail of a WIM or of a part of one, planned before any payload has moved.
pub struct Closing {
    /// Goes to offset 0.
    pub header: Header,
    /// Goes to `tail_start`; without the integrity table.
    pub tail: Vec<u8>,
    /// Where in `tail` the blob table ends: so far reaches what the integrity table covers.
    pub covered: usize,
    tail_start: u64,
}

/// What a WIM, or a part of one, is closed with.
pub struct ClosingInput<'a> {
    /// Where the tail begins.
    pub tail_start: u64,
    /// File resources at their final places.
    pub files: Vec<Blob>,
    /// The metadata of all images; the first part has it.
    pub metadata: &'a EncodedMetadata,
    /// Codec of the metadata, whose format and chunk size are those of the whole WIM.
    pub codec: Codec,
    /// The WIM's GUID, which its parts share.
    pub guid: [u8; 16],
    /// Bootable image, 0 for none.
    pub boot_index: u32,
    /// Whether links are relative to the image's root.
    pub rpfix: bool,
    /// Which part it is, from 1.
    pub part: u16,
    /// Of how many.
    pub parts: u16,
}

impl ClosingInput<'_> {
    /// Where the XML data will start, in bytes.
    pub fn resources_end(&self) -> u64 {
        let own = self.own_metadata();
        let metadata: u64 = own.iter().map(|image| image.file.stored_bytes).sum();
        self.tail_start + metadata + entries_bytes(self.files.len() + own.len())
    }

    fn own_metadata(&self) -> &[EncodedImage] {
        if self.part == 1 { &self.metadata.images } else { &[] }
    }
}

/// Bytes of the blob table's entries for so many resources.
pub fn entries_bytes(resources: usize) -> u64 {
    (resources * ENTRY_BYTES) as u64
}

/// Bytes of XML data and, if asked for, integrity table of a WIM that has `wim_bytes` at most.
pub fn tables_bytes(xml: &str, integrity_table: bool, wim_bytes: u64) -> u64 {
    let integrity = if integrity_table { integrity::table_bytes(wim_bytes) } else { 0 };
    xml::encode(xml).len() as u64 + integrity
}

impl Closing {
    /// Plans header and tail. `xml` is the text of the XML data.
    pub fn plan(mut input: ClosingInput<'_>, xml: &str) -> Self {
        let end = input.resources_end();
        let mut tail = Vec::new();
        let mut boot_metadata = ResourceHeader::default();
        let mut blobs = std::mem::take(&mut input.files);
        for (index, image) in (1u32..).zip(input.own_metadata()) {
            let resource = ResourceHeader {
                offset: input.tail_start + tail.len() as u64,
                stored_bytes: image.file.stored_bytes,
                original_bytes: image.file.original_bytes,
                metadata: true,
                compressed: image.file.compressed,
                solid: false,
            };
            tail.extend_from_slice(&image.bytes[image.file.offset as usize..]);
            if index == input.boot_index {
                boot_metadata = resource;
            }
            blobs.push(Blob::new(resource, 1, image.file.sha1));
        }
        for blob in &mut blobs {
            blob.part = input.part;
        }
        let blob_table = append(&mut tail, input.tail_start, &blob_table::write(&blobs));
        let covered = tail.len();
        debug_assert_eq!(input.tail_start + covered as u64, end);
        let xml = append(&mut tail, input.tail_start, &xml::encode(xml));
        let header = Header {
            format: Some(input.codec.format),
            chunk_bytes: input.codec.chunk_bytes,
            guid: input.guid,
            part: input.part,
            parts: input.parts,
            image_count: input.metadata.images.len() as u32,
            boot_index: input.boot_index,
            rpfix: input.rpfix,
            blob_table,
            xml,
            boot_metadata,
            integrity: ResourceHeader::default(),
        };
        Self { header, tail, covered, tail_start: input.tail_start }
    }

    /// Adds the integrity table, whose hashes cover everything from the header's end to the blob
    /// table's end.
    pub fn add_integrity(&mut self, hashes: &[Sha1Hash]) {
        let table = integrity::write(hashes);
        self.header.integrity = append(&mut self.tail, self.tail_start, &table);
    }

    /// Bytes of an integrity table for a WIM that ends here.
    pub fn integrity_chunks(&self) -> u64 {
        let covered = self.tail_start + self.covered as u64 - crate::header::HEADER_BYTES;
        covered.div_ceil(integrity::INTEGRITY_CHUNK_BYTES)
    }
}

fn append(tail: &mut Vec<u8>, start: u64, bytes: &[u8]) -> ResourceHeader {
    let offset = start + tail.len() as u64;
    tail.extend_from_slice(bytes);
    let len = bytes.len() as u64;
    ResourceHeader { offset, stored_bytes: len, original_bytes: len, ..Default::default() }
}

/// The metadata resources of a WIM's images.
pub struct EncodedMetadata {
    images: Vec<EncodedImage>,
}

struct EncodedImage {
    bytes: Vec<u8>,
    file: EncodedFile,
}

impl EncodedMetadata {
    /// Encodes the metadata of each image.
    pub fn encode(codec: Codec, images: Vec<Vec<u8>>, pool: &Arc<ThreadPool>) -> Result<Self> {
        let encoder = Encoder::new(codec, pool.clone());
        let images = images.into_iter().map(|metadata| encode_metadata(&encoder, metadata));
        Ok(Self { images: images.collect::<Result<_>>()? })
    }

    /// How many bytes they add to the first part's tail, their entries in the blob table included.
    pub fn tail_bytes(&self) -> u64 {
        let stored: u64 = self.images.iter().map(|image| image.file.stored_bytes).sum();
        stored + entries_bytes(self.images.len())
    }
}

fn encode_metadata(encoder: &Encoder, metadata: Vec<u8>) -> Result<EncodedImage> {
    let mut sink = MemorySink::default();
    let file = FileToEncode {
        bytes: metadata.len() as u64,
        open: Box::new(move || Ok(Box::new(std::io::Cursor::new(metadata.clone())))),
    };
    let mut files =
        encoder.encode(&[file], &mut sink, &Progress::default()).map_err(|(_, error)| error)?;
    let file = files.pop().ok_or_else(|| WimError::malformed("metadata", 0, "it is empty"))?;
    Ok(EncodedImage { bytes: sink.0, file })
}
