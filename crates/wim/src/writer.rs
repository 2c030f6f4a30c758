//! Writing a WIM from trees that were made here: for samples and tests. Media are composed from
//! packs instead.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use rayon::ThreadPool;

use crate::{
    blob_table::Blob,
    codec::{Codec, Encoder, FileToEncode, Progress, Reservation, ResourceSink},
    error::{Result, WimError},
    hash::Sha1Hash,
    header::{HEADER_BYTES, ResourceHeader},
    metadata::ImageTree,
    tail::{Closing, ClosingInput, EncodedMetadata},
};

/// A WIM file being written. Unfinished files are marked by their missing header.
pub struct WimWriter {
    file: FileSink,
    codec: Codec,
    pool: Arc<ThreadPool>,
    blobs: HashMap<Sha1Hash, Blob>,
}

struct FileSink {
    file: BufWriter<File>,
    position: u64,
}

impl ResourceSink for FileSink {
    fn position(&self) -> u64 {
        self.position
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.position += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation> {
        let offset = self.position;
        io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut self.file)?;
        self.position += bytes;
        Ok(Reservation { offset, bytes })
    }

    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(room.offset))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.position)).map(drop)
    }

    fn rewind(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.position = offset;
        self.file.get_ref().set_len(offset)
    }
}

impl WimWriter {
    /// Creates the file at `path`.
    pub fn create(path: &Path, codec: Codec, pool: Arc<ThreadPool>) -> Result<Self> {
        let mut file = FileSink { file: BufWriter::new(File::create(path)?), position: 0 };
        file.append(&[0; HEADER_BYTES as usize])?;
        Ok(Self { file, codec, pool, blobs: HashMap::new() })
    }

    /// Adds contents and returns their SHA-1s; a content that is there already is not kept twice.
    pub fn add(&mut self, files: &[FileToEncode]) -> Result<Vec<Sha1Hash>> {
        let encoder = Encoder::new(self.codec, self.pool.clone());
        let encoded = encoder
            .encode(files, &mut self.file, &Progress::default())
            .map_err(|(_, error)| error)?;
        Ok(encoded
            .into_iter()
            .map(|file| {
                let resource = ResourceHeader {
                    offset: file.offset,
                    stored_bytes: file.stored_bytes,
                    original_bytes: file.original_bytes,
                    compressed: file.compressed,
                    ..Default::default()
                };
                let blob = Blob::new(resource, 0, file.sha1);
                self.blobs.entry(file.sha1).or_insert(blob);
                file.sha1
            })
            .collect())
    }

    /// Size of a content that was added.
    pub fn size_of(&self, sha1: &Sha1Hash) -> u64 {
        self.blobs.get(sha1).map_or(0, |blob| blob.resource.original_bytes)
    }

    /// Writes the trees of all images and closes the file. `xml` makes the XML data's text, given
    /// its own offset.
    pub fn finish(
        mut self,
        trees: &mut [ImageTree],
        guid: [u8; 16],
        boot_index: u32,
        xml: impl FnOnce(u64) -> Result<String>,
    ) -> Result<()> {
        for tree in trees.iter() {
            for (sha1, count) in tree.references() {
                let blob = self.blobs.get_mut(&sha1).ok_or_else(|| {
                    WimError::malformed("tree", 0, format!("content {sha1} was not added"))
                })?;
                blob.references += count;
            }
        }
        let mut files: Vec<Blob> = self.blobs.into_values().collect();
        files.retain(|blob| blob.references > 0);
        files.sort_by_key(|blob| blob.resource.offset);
        let metadata = trees.iter_mut().map(ImageTree::write).collect();
        let codec = self.codec;
        let input = ClosingInput {
            tail_start: self.file.position(),
            files,
            metadata: &EncodedMetadata::encode(codec, metadata, &self.pool)?,
            codec,
            guid,
            boot_index,
            rpfix: false,
            part: 1,
            parts: 1,
        };
        let xml = xml(input.resources_end())?;
        let closing = Closing::plan(input, &xml);
        self.file.append(&closing.tail)?;
        self.file.fill(Reservation { offset: 0, bytes: HEADER_BYTES }, &closing.header.write())?;
        self.file.file.flush()?;
        Ok(())
    }
}
