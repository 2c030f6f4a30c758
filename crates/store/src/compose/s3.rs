//! Composes an object in an S3 bucket: a multipart upload whose parts the server copies itself
//! where it holds the source, and that go through memory otherwise.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{Error as RequestError, PutMultipartOptions};

use super::PartRules;
use super::cloud::{AT_ONCE, InPlace, Output, PartStore};
use super::error::ComposeError;
use super::http::Http;
use super::memory::{MAX_THROUGH_MEMORY, read_part};
use super::reap::Kept;
use super::receipt::{MarkedPart, PlacedPart};
use super::s3_copy::CopyRequest;
use super::s3_list::PartList;
use super::s3_uploads::{Listed, OpenUploads};
use crate::keys::{ObjectKey, StoredObject};
use crate::location::ObjectUrl;
use crate::objects::{Objects, StoreKind};
use crate::options::StoreOptions;

const MIB: u64 = 1024 * 1024;

/// S3's own minimum for all parts but the last.
const MIN_PART: u64 = 5 * MIB;
/// S3's own maximum.
const MAX_PARTS: u32 = 10_000;
/// What is copied on the server at once; S3 allows 5 GiB, but then one answer takes minutes.
const MAX_COPY: u64 = 1024 * MIB;

pub(super) struct S3Parts {
    server: String,
    part_copy: bool,
    http: Http,
}

impl S3Parts {
    pub fn new(options: &StoreOptions) -> Self {
        let (server, part_copy) = (options.s3_server(), options.part_copy());
        Self { server, part_copy, http: Http::of(options) }
    }

    pub fn part_rules(&self, from: &Objects) -> PartRules {
        let max_bytes = match self.bucket_on_server(from) {
            Some(_) => MAX_COPY,
            None => MAX_THROUGH_MEMORY,
        };
        PartRules { min_bytes: MIN_PART, max_bytes, max_parts: MAX_PARTS, at_once: AT_ONCE }
    }

    /// Gives up uploads of the store's own objects that were begun longer ago than `older_than`.
    pub async fn give_up_uploads(
        &self,
        client: &AmazonS3,
        objects: &Objects,
        older_than: Duration,
        now: SystemTime,
    ) -> Result<u64, ComposeError> {
        let prefix = match objects.root() {
            ObjectUrl::Bucket { key, .. } if !key.is_empty() => format!("{key}/"),
            _ => String::new(),
        };
        let is_ours = |upload: &Listed| {
            let below = upload.key.strip_prefix(prefix.as_str());
            let key = below.and_then(|below| ObjectKey::new(below).ok());
            key.is_some_and(|key| StoredObject::parse(&key).is_ok())
        };
        let open = OpenUploads { http: &self.http, client, objects, prefix: &prefix };
        open.give_up(is_ours, older_than, now).await
    }

    /// Gives up uploads of an output in a bucket, and of its volumes, that were begun longer ago than `older_than`,
    /// but for the `kept` ones.
    pub async fn give_up_output(
        &self,
        bucket: &Objects,
        output: &ObjectUrl,
        kept: &Kept,
    ) -> Result<u64, ComposeError> {
        let StoreKind::S3 { client, .. } = bucket.kind() else {
            return Ok(0);
        };
        let is_ours = |upload: &Listed| {
            output.is_medium_key(&upload.key) && !kept.uploads.contains(&upload.upload)
        };
        let prefix = output.volumes_begin_with()?;
        let open = OpenUploads { http: &self.http, client, objects: bucket, prefix };
        open.give_up(is_ours, kept.older_than, kept.now).await
    }

    /// The source's bucket, if the server that holds the output holds it too and copies parts.
    fn bucket_on_server<'a>(&self, from: &'a Objects) -> Option<&'a str> {
        match from.kind() {
            StoreKind::S3 { bucket, server, .. } if *server == self.server && self.part_copy => {
                Some(bucket)
            }
            _ => None,
        }
    }
}

#[async_trait]
impl PartStore for S3Parts {
    async fn open(&self, output: &Output) -> Result<Option<String>, ComposeError> {
        let client = client(output)?;
        let options = PutMultipartOptions { attributes: output.attributes(), ..Default::default() };
        let id = client.create_multipart_opts(&output.path, options).await;
        id.map(Some).map_err(|source| output.failed("begin the upload to", source))
    }

    async fn place(&self, output: &Output, part: &MarkedPart<'_>) -> Result<InPlace, ComposeError> {
        let (client, upload, part) = (client(output)?, upload(output)?, part.part);
        if let Some(bucket) = self.bucket_on_server(&part.source.objects) {
            let path = part.source.objects.store_path(&part.source.key)?;
            let request = CopyRequest { bucket, path, part, upload, dst: output.url() };
            let copied = request.send(&self.http, client, &output.path).await;
            return copied.map(InPlace::Copied);
        }
        let body = read_part(&output.url(), part).await?;
        match client.put_part(&output.path, upload, part.number as usize, body).await {
            Ok(PartId { content_id }) => Ok(InPlace::Sent(content_id)),
            Err(RequestError::NotFound { .. }) => Err(output.gone()),
            Err(source) => Err(output.failed("write a part of", source)),
        }
    }

    /// S3 knows a part by its number and size alone.
    async fn placed(
        &self,
        output: &Output,
        parts: &[MarkedPart<'_>],
    ) -> Result<Vec<Option<String>>, ComposeError> {
        let list = PartList { http: &self.http, client: client(output)?, upload: upload(output)? };
        let numbers = parts.iter().map(|part| part.part.number);
        let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else {
            return Ok(Vec::new());
        };
        let there = list.between(output, first, last).await?;
        let tag = |part: &MarkedPart<'_>| {
            let (bytes, tag) = there.get(&part.part.number)?;
            (*bytes == part.part.len).then(|| tag.clone())
        };
        Ok(parts.iter().map(tag).collect())
    }

    async fn commit(&self, output: &Output, parts: &[PlacedPart<'_>]) -> Result<(), ComposeError> {
        let (client, upload) = (client(output)?, upload(output)?);
        let ids = parts.iter().map(|part| PartId { content_id: part.tag.to_owned() });
        match client.complete_multipart(&output.path, upload, ids.collect()).await {
            Ok(_) => {}
            Err(RequestError::NotFound { .. }) => return Err(output.gone()),
            Err(source) => return Err(output.failed("complete", source)),
        }
        match output.head().await? {
            Some(found) => output.check_size(found.meta.size),
            None => Err(output.gone()),
        }
    }

    async fn discard(&self, output: &Output) -> Result<(), ComposeError> {
        match client(output)?.abort_multipart(&output.path, upload(output)?).await {
            Ok(()) | Err(RequestError::NotFound { .. }) => Ok(()),
            Err(source) => Err(output.failed("give up the upload to", source)),
        }
    }
}

fn client(output: &Output) -> Result<&Arc<AmazonS3>, ComposeError> {
    match output.kind() {
        StoreKind::S3 { client, .. } => Ok(client),
        _ => Err(output.strange()),
    }
}

fn upload(output: &Output) -> Result<&String, ComposeError> {
    output.upload.upload.as_ref().ok_or_else(|| output.strange())
}
