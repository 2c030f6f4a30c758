//! A WIM that lies somewhere and is read by ranges.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    blob_table::{self, Blob},
    error::{Result, WimError},
    hash::Sha1Hash,
    header::{HEADER_BYTES, Header},
    metadata::ImageTree,
    resource::ResourceReader,
    source::{RangeRead, read_structure},
    xml::{self, ImageInfo},
};

/// Above this a table is not believed: 20 million blobs, or 500,000 files of the longest paths.
const TABLE_BYTES_MAX: u64 = 1 << 30;
const XML_BYTES_MAX: u64 = 64 << 20;

/// An open WIM: header, blob table and XML data are in memory.
pub struct Wim {
    source: Arc<dyn RangeRead>,
    /// The header.
    pub header: Header,
    /// Resources in the order of the blob table, metadata included.
    pub blobs: Vec<Blob>,
    /// The XML data.
    pub xml: String,
    file_resources_decompressed: AtomicU64,
}

impl Wim {
    /// Reads header, blob table and XML data.
    pub async fn open(source: Arc<dyn RangeRead>) -> Result<Self> {
        let start = read_structure(&*source, "header", 0..HEADER_BYTES.min(source.size())).await?;
        let header = Header::parse(&start)?;
        let table = plain(&*source, &header, "blob table", TABLE_BYTES_MAX).await?;
        let blobs = blob_table::parse(&table, source.size())?;
        let xml = xml::decode(&plain(&*source, &header, "XML data", XML_BYTES_MAX).await?)?;
        Ok(Self { source, header, blobs, xml, file_resources_decompressed: AtomicU64::new(0) })
    }

    /// Where it is read from.
    pub fn source(&self) -> &Arc<dyn RangeRead> {
        &self.source
    }

    /// What the XML data says of each image.
    pub fn images(&self) -> Result<Vec<ImageInfo>> {
        xml::images(&self.xml)
    }

    /// The metadata resource of image `index` (from 1).
    pub fn metadata_blob(&self, index: u32) -> Result<&Blob> {
        let mut metadata = self.blobs.iter().filter(|blob| blob.resource.metadata);
        let blob = index.checked_sub(1).and_then(|skip| metadata.nth(skip as usize));
        blob.ok_or(WimError::NoSuchImage { index, count: self.header.image_count })
    }

    /// The uncompressed metadata of image `index`, its SHA-1 checked.
    pub async fn metadata(&self, index: u32) -> Result<Vec<u8>> {
        let blob = self.metadata_blob(index)?;
        let metadata = self.open_resource(blob).await?.read_all(TABLE_BYTES_MAX).await?;
        check(blob, Sha1Hash::of(&metadata))?;
        Ok(metadata)
    }

    /// The tree of image `index`.
    pub async fn tree(&self, index: u32) -> Result<ImageTree> {
        ImageTree::parse(self.metadata(index).await?)
    }

    /// File resources by the SHA-1 of their content.
    pub fn blobs_by_sha1(&self) -> HashMap<Sha1Hash, Blob> {
        let files = self.blobs.iter().filter(|blob| !blob.resource.metadata);
        files.map(|blob| (blob.sha1, *blob)).collect()
    }

    /// Reads a resource's content.
    pub async fn read_blob(&self, blob: &Blob) -> Result<ResourceReader<'_>> {
        if !blob.resource.metadata {
            self.file_resources_decompressed.fetch_add(1, Ordering::Relaxed);
        }
        self.open_resource(blob).await
    }

    async fn open_resource(&self, blob: &Blob) -> Result<ResourceReader<'_>> {
        let Header { format, chunk_bytes, .. } = self.header;
        ResourceReader::open(&*self.source, blob.resource, format, chunk_bytes).await
    }

    /// How many file resources were opened for their content. A splice leaves this at 0.
    pub fn file_resources_decompressed(&self) -> u64 {
        self.file_resources_decompressed.load(Ordering::Relaxed)
    }
}

pub(crate) fn check(blob: &Blob, actual: Sha1Hash) -> Result<()> {
    if actual == blob.sha1 {
        return Ok(());
    }
    Err(WimError::WrongHash { offset: blob.resource.offset, expected: blob.sha1, actual })
}

async fn plain(
    source: &dyn RangeRead,
    header: &Header,
    structure: &'static str,
    limit: u64,
) -> Result<Vec<u8>> {
    let resource = if structure == "blob table" { header.blob_table } else { header.xml };
    if resource.end()? > source.size() {
        let (start, end, size) = (resource.offset, resource.end()?, source.size());
        return Err(WimError::Truncated { structure, start, end, size });
    }
    ResourceReader::open(source, resource, header.format, header.chunk_bytes)
        .await?
        .read_all(limit)
        .await
}
