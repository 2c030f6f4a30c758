//! A WIM that lies somewhere, in one file or split into several, and is read by ranges.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    blob_table::{self, Blob},
    chunks::Chunks,
    error::{Result, WimError},
    hash::Sha1Hash,
    header::{Header, ResourceHeader},
    metadata::ImageTree,
    resource::ResourceReader,
    set::{Part, open_parts},
    solid::{self, SolidResource},
    source::RangeRead,
    xml::{self, ImageInfo},
};

/// Above this a table is not believed: 20 million blobs, or 500,000 files of the longest paths.
const TABLE_BYTES_MAX: u64 = 1 << 30;
const XML_BYTES_MAX: u64 = 64 << 20;
/// Nor are more bytes of a table for one stored byte: 100,000 empty files with names in sequence
/// shrink to a hundredth, and nothing real does better.
const TABLE_RATIO_MAX: u64 = 256;

/// More bytes of resources for one byte of the file than this are not believed: resources of one place would
/// be read again and again. Some tables name a content twice.
const OVERLAP_MAX: u64 = 2;

/// An open WIM: headers, blob tables and XML data are in memory.
pub struct Wim {
    parts: Vec<Part>,
    /// The header, of the first part if there are several.
    pub header: Header,
    /// Contents in the order of the blob tables, metadata included.
    pub blobs: Vec<Blob>,
    solid: Vec<SolidResource>,
    /// Where the metadata of the images are among the contents.
    metadata: Vec<usize>,
    /// The XML data.
    pub xml: String,
    file_resources_decompressed: AtomicU64,
}

impl Wim {
    /// Reads header, blob table and XML data of a WIM in one file.
    pub async fn open(source: Arc<dyn RangeRead>) -> Result<Self> {
        Self::open_set(vec![source]).await
    }

    /// The same of a WIM whose parts are given in any order: GUIDs, part numbers and totals must
    /// agree, and every part must be there once.
    pub async fn open_set(sources: Vec<Arc<dyn RangeRead>>) -> Result<Self> {
        let parts = open_parts(sources).await?;
        let header = parts[0].header.clone();
        let (mut blobs, mut solid) = (Vec::new(), Vec::new());
        for part in &parts {
            let table = plain(part, "blob table", part.header.blob_table, TABLE_BYTES_MAX).await?;
            let mut entries = blob_table::parse(&table, part.source.size())?;
            // As wimlib does: entries that say another part are not this part's.
            entries.retain(|entry| entry.part == part.header.part);
            refuse_unsaid_compression(part, &entries)?;
            refuse_overlaps(part, &entries)?;
            let entries = solid::assign(entries, &*part.source, &mut solid).await?;
            blobs.extend(entries.into_iter().filter(is_used));
        }
        let xml = plain(&parts[0], "XML data", header.xml, XML_BYTES_MAX).await?;
        let xml = xml::decode(&xml)?;
        let file_resources_decompressed = AtomicU64::new(0);
        let is_metadata = |(_, blob): &(usize, &Blob)| blob.resource.metadata;
        let metadata = blobs.iter().enumerate().filter(is_metadata).map(|(at, _)| at).collect();
        Ok(Self { parts, header, blobs, solid, metadata, xml, file_resources_decompressed })
    }

    /// Its files, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Where it is read from; the first part of a split WIM.
    pub fn source(&self) -> &Arc<dyn RangeRead> {
        &self.parts[0].source
    }

    /// Its solid resources, which blobs name by their index.
    pub fn solid_resources(&self) -> &[SolidResource] {
        &self.solid
    }

    /// What the XML data says of each image.
    pub fn images(&self) -> Result<Vec<ImageInfo>> {
        xml::images(&self.xml)
    }

    /// The metadata resource of image `index` (from 1).
    pub fn metadata_blob(&self, index: u32) -> Result<&Blob> {
        let at = index.checked_sub(1).and_then(|skip| self.metadata.get(skip as usize));
        let blob = at.and_then(|&at| self.blobs.get(at));
        blob.ok_or(WimError::NoSuchImage { index, count: self.header.image_count })
    }

    /// The uncompressed metadata of image `index`, its SHA-1 checked.
    pub async fn metadata(&self, index: u32) -> Result<Vec<u8>> {
        let blob = self.metadata_blob(index)?;
        let stored_in = blob.solid.map(|solid| &self.solid[solid as usize].resource);
        let limit = table_limit(stored_in.unwrap_or(&blob.resource), TABLE_BYTES_MAX);
        let metadata = self.open_blob(blob).await?.read_all(limit).await?;
        check(blob, Sha1Hash::of(&metadata))?;
        Ok(metadata)
    }

    /// The tree of image `index`.
    pub async fn tree(&self, index: u32) -> Result<ImageTree> {
        ImageTree::parse(self.metadata(index).await?)
    }

    /// Contents of files by their SHA-1.
    pub fn blobs_by_sha1(&self) -> HashMap<Sha1Hash, Blob> {
        let files = self.blobs.iter().filter(|blob| !blob.resource.metadata);
        files.map(|blob| (blob.sha1, *blob)).collect()
    }

    /// Reads a blob's content. In a solid resource that unpacks whole chunks of up to 64 MiB: to
    /// read many blobs use [`crate::unpack::Unpacker`].
    pub async fn read_blob(&self, blob: &Blob) -> Result<ResourceReader<'_>> {
        if !blob.resource.metadata {
            self.count_decompressed();
        }
        self.open_blob(blob).await
    }

    async fn open_blob(&self, blob: &Blob) -> Result<ResourceReader<'_>> {
        let (chunks, content) = self.chunks_of(blob).await?;
        ResourceReader::of(self.source_of(blob), chunks, content)
    }

    /// The chunks that a blob's content lies in, and where.
    pub(crate) async fn chunks_of(&self, blob: &Blob) -> Result<(Arc<Chunks>, Range<u64>)> {
        if let Some(solid) = blob.solid {
            let start = blob.resource.offset;
            let content = start..start + blob.resource.original_bytes;
            return Ok((self.solid[solid as usize].chunks.clone(), content));
        }
        let part = self.part_of(blob);
        let Header { format, chunk_bytes, .. } = part.header;
        let chunks = Chunks::read(&*part.source, &blob.resource, format, chunk_bytes).await?;
        let content = 0..chunks.original_bytes;
        Ok((Arc::new(chunks), content))
    }

    /// All of a solid resource's content.
    pub(crate) fn read_solid(&self, number: usize) -> Result<ResourceReader<'_>> {
        let SolidResource { part, chunks, .. } = &self.solid[number];
        let source = &*self.parts[usize::from(part - 1)].source;
        ResourceReader::of(source, chunks.clone(), 0..chunks.original_bytes)
    }

    fn part_of(&self, blob: &Blob) -> &Part {
        &self.parts[usize::from(blob.part - 1)]
    }

    /// The file that a blob lies in.
    pub(crate) fn source_of(&self, blob: &Blob) -> &dyn RangeRead {
        &*self.part_of(blob).source
    }

    pub(crate) fn count_decompressed(&self) {
        self.file_resources_decompressed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many file resources were opened for their content. A splice leaves this at 0.
    pub fn file_resources_decompressed(&self) -> u64 {
        self.file_resources_decompressed.load(Ordering::Relaxed)
    }
}

/// Entries that name nothing are left out, as wimlib does: empty contents, and metadata that no
/// image has (there is some in the WinPE images of the WAIK).
fn is_used(blob: &Blob) -> bool {
    let nothing = blob.sha1.is_zero() || blob.resource.original_bytes == 0;
    !(nothing || blob.resource.metadata && blob.references == 0)
}

/// A resource can be compressed only in the way that the header says.
fn refuse_unsaid_compression(part: &Part, entries: &[Blob]) -> Result<()> {
    let wrong = |blob: &&Blob| blob.resource.compressed && !blob.resource.solid;
    match entries.iter().find(wrong) {
        Some(blob) if part.header.format.is_none() => {
            let problem = "it is marked compressed in a WIM without compression";
            Err(WimError::malformed("resource", blob.resource.offset, problem))
        }
        _ => Ok(()),
    }
}

/// Resources lie beside one another. (Solid ones are counted when they are read.)
fn refuse_overlaps(part: &Part, entries: &[Blob]) -> Result<()> {
    let believed = part.source.size().saturating_mul(OVERLAP_MAX);
    let mut stored = 0u64;
    for blob in entries.iter().filter(|blob| !blob.resource.solid && is_used(blob)) {
        stored = stored.saturating_add(blob.resource.stored_bytes);
        if stored > believed {
            let problem = "resources lie over each other";
            return Err(WimError::malformed("blob table", blob.resource.offset, problem));
        }
    }
    Ok(())
}

pub(crate) fn check(blob: &Blob, actual: Sha1Hash) -> Result<()> {
    if actual == blob.sha1 {
        return Ok(());
    }
    Err(WimError::WrongHash { offset: blob.resource.offset, expected: blob.sha1, actual })
}

async fn plain(
    part: &Part,
    structure: &'static str,
    resource: ResourceHeader,
    limit: u64,
) -> Result<Vec<u8>> {
    let (source, header) = (&*part.source, &part.header);
    if resource.end()? > source.size() {
        let (start, end, size) = (resource.offset, resource.end()?, source.size());
        return Err(WimError::Truncated { structure, start, end, size });
    }
    ResourceReader::open(source, resource, header.format, header.chunk_bytes)
        .await?
        .read_all(table_limit(&resource, limit))
        .await
}

/// The most content that a structure may have which is held in memory.
fn table_limit(resource: &ResourceHeader, limit: u64) -> u64 {
    limit.min(resource.stored_bytes.saturating_mul(TABLE_RATIO_MAX))
}
