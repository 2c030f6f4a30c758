//! What follows the file resources in a WIM: metadata resource, blob table, XML data, integrity
//! table. And the header, which can be written only when they are placed.

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

/// Header and tail of a WIM, planned before any payload has moved.
pub struct Closing {
    /// Goes to offset 0.
    pub header: Header,
    /// Goes to `tail_start`; without the integrity table.
    pub tail: Vec<u8>,
    /// Where in `tail` the blob table ends: so far reaches what the integrity table covers.
    pub covered: usize,
    tail_start: u64,
}

/// What a WIM is closed with.
pub struct ClosingInput<'a> {
    /// Where the tail begins.
    pub tail_start: u64,
    /// File resources at their final places.
    pub files: Vec<Blob>,
    /// The uncompressed metadata of each image.
    pub metadata: &'a [Vec<u8>],
    /// Codec of the metadata, whose format and chunk size are those of the whole WIM.
    pub codec: Codec,
    /// The WIM's GUID.
    pub guid: [u8; 16],
    /// Bootable image, 0 for none.
    pub boot_index: u32,
    /// Whether links are relative to the image's root.
    pub rpfix: bool,
}

impl Closing {
    /// Plans header and tail. `xml` makes the XML data, given its own offset.
    pub fn plan(
        input: ClosingInput<'_>,
        pool: &Arc<ThreadPool>,
        xml: impl FnOnce(u64) -> Result<String>,
    ) -> Result<Self> {
        let mut tail = Vec::new();
        let mut blobs = input.files;
        let mut boot_metadata = ResourceHeader::default();
        let encoder = Encoder::new(input.codec, pool.clone());
        for (index, metadata) in (1u32..).zip(input.metadata) {
            let encoded = encode_metadata(&encoder, metadata)?;
            let resource = ResourceHeader {
                offset: input.tail_start + tail.len() as u64,
                stored_bytes: encoded.file.stored_bytes,
                original_bytes: metadata.len() as u64,
                metadata: true,
                compressed: encoded.file.compressed,
                solid: false,
            };
            tail.extend_from_slice(&encoded.bytes[encoded.file.offset as usize..]);
            if index == input.boot_index {
                boot_metadata = resource;
            }
            blobs.push(Blob::new(resource, 1, encoded.file.sha1));
        }
        let blob_table = append(&mut tail, input.tail_start, &blob_table::write(&blobs));
        debug_assert_eq!(blob_table.stored_bytes as usize, blobs.len() * ENTRY_BYTES);
        let covered = tail.len();
        let text = xml(input.tail_start + tail.len() as u64)?;
        let xml = append(&mut tail, input.tail_start, &xml::encode(&text));
        let header = Header {
            format: Some(input.codec.format),
            chunk_bytes: input.codec.chunk_bytes,
            guid: input.guid,
            part: 1,
            parts: 1,
            image_count: input.metadata.len() as u32,
            boot_index: input.boot_index,
            rpfix: input.rpfix,
            blob_table,
            xml,
            boot_metadata,
            integrity: ResourceHeader::default(),
        };
        Ok(Self { header, tail, covered, tail_start: input.tail_start })
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

struct EncodedMetadata {
    bytes: Vec<u8>,
    file: EncodedFile,
}

fn encode_metadata(encoder: &Encoder, metadata: &[u8]) -> Result<EncodedMetadata> {
    let mut sink = MemorySink::default();
    let content = metadata.to_vec();
    let file = FileToEncode {
        bytes: metadata.len() as u64,
        open: Box::new(move || Ok(Box::new(std::io::Cursor::new(content.clone())))),
    };
    let mut files =
        encoder.encode(&[file], &mut sink, &Progress::default()).map_err(|(_, error)| error)?;
    let file = files.pop().ok_or_else(|| WimError::malformed("metadata", 0, "it is empty"))?;
    Ok(EncodedMetadata { bytes: sink.0, file })
}
