//! Composes an object in an S3 bucket: a multipart upload whose parts the server copies itself
//! where it holds the source, and that go through memory otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as StorePath;
use object_store::{Error as RequestError, ObjectMeta, ObjectStoreExt, PutPayload};

use super::error::ComposeError;
use super::local::pieces;
use super::s3_copy::{CopyRequest, PartCopier};
use super::token::S3Upload;
use super::{PIECES, Part, PartRules, Receipt, Source};
use crate::error::StoreError;
use crate::location::UrlError;
use crate::objects::{Objects, StoreKind};
use crate::options::StoreOptions;

const MIB: u64 = 1024 * 1024;

/// S3's own minimum for all parts but the last.
const MIN_PART: u64 = 5 * MIB;
/// S3's own maximum.
const MAX_PARTS: u32 = 10_000;
/// What is copied on the server at once; S3 allows 5 GiB, but then one answer takes minutes.
const MAX_COPY: u64 = 1024 * MIB;
/// What goes through memory at once.
const MAX_THROUGH_MEMORY: u64 = 40 * MIB;

pub(super) struct S3Composer {
    options: StoreOptions,
    server: String,
    copier: PartCopier,
    clients: Mutex<HashMap<String, Arc<AmazonS3>>>,
}

/// Where an upload goes, ready for requests.
struct Output {
    client: Arc<AmazonS3>,
    path: StorePath,
    url: String,
}

impl S3Composer {
    pub fn new(options: StoreOptions) -> Self {
        Self {
            server: options.s3_server(),
            options,
            copier: PartCopier::default(),
            clients: Mutex::new(HashMap::new()),
        }
    }

    pub fn part_rules(&self, from: &Objects) -> PartRules {
        PartRules {
            min_bytes: MIN_PART,
            max_bytes: match self.bucket_on_server(from) {
                Some(_) => MAX_COPY,
                None => MAX_THROUGH_MEMORY,
            },
            max_parts: MAX_PARTS,
            // The bucket copies them; we only wait.
            at_once: 4,
        }
    }

    pub async fn begin(
        &self,
        bucket: &str,
        key: &str,
        total: u64,
    ) -> Result<S3Upload, ComposeError> {
        let mut upload = S3Upload {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload: String::new(),
            total,
            before: None,
        };
        let output = self.output(&upload)?;
        upload.before = output.head().await?.as_ref().map(identity);
        let id = output.client.create_multipart(&output.path).await;
        upload.upload = id.map_err(|source| output.failed("begin the upload to", source))?;
        Ok(upload)
    }

    pub async fn place(&self, upload: &S3Upload, part: &Part) -> Result<Receipt, ComposeError> {
        let output = self.output(upload)?;
        if let Some(bucket) = self.bucket_on_server(&part.source.objects) {
            let request = CopyRequest {
                bucket,
                path: part.source.objects.store_path(&part.source.key)?,
                part,
                upload,
            };
            return self.copier.copy(&output.client, &output.path, request).await;
        }
        let body = through_memory(&output.url, part).await?;
        let number = part.number as usize;
        let put = output.client.put_part(&output.path, &upload.upload, number, body).await;
        match put {
            Ok(PartId { content_id }) => Ok(Receipt(content_id)),
            Err(source) => Err(output.not_open(source, "write a part of")),
        }
    }

    pub async fn finish(
        &self,
        upload: &S3Upload,
        parts: &[(Part, Receipt)],
    ) -> Result<(), ComposeError> {
        let output = self.output(upload)?;
        if let Some((part, _)) = parts.iter().find(|(_, receipt)| receipt.0.is_empty()) {
            let number = part.number;
            return Err(ComposeError::Receipt { number });
        }
        let ids = parts.iter().map(|(_, Receipt(etag))| PartId { content_id: etag.clone() });
        let ids = ids.collect();
        let done = output.client.complete_multipart(&output.path, &upload.upload, ids).await;
        match done {
            Ok(_) => output.reconcile(upload, None).await,
            Err(RequestError::NotFound { .. }) => {
                output.reconcile(upload, upload.before.as_deref()).await
            }
            Err(source) => Err(output.failed("complete", source)),
        }
    }

    pub async fn abort(&self, upload: &S3Upload) -> Result<(), ComposeError> {
        let output = self.output(upload)?;
        match output.client.abort_multipart(&output.path, &upload.upload).await {
            Ok(()) | Err(RequestError::NotFound { .. }) => Ok(()),
            Err(source) => Err(output.failed("give up the upload to", source)),
        }
    }

    /// The source's bucket, if the server that holds the output holds it too and copies parts.
    fn bucket_on_server<'a>(&self, from: &'a Objects) -> Option<&'a str> {
        match from.kind() {
            StoreKind::S3 { bucket, server, .. }
                if *server == self.server && self.options.part_copy() =>
            {
                Some(bucket)
            }
            _ => None,
        }
    }

    fn output(&self, upload: &S3Upload) -> Result<Output, ComposeError> {
        let url = upload.dst().to_string();
        let path = StorePath::parse(&upload.key);
        let path = path.map_err(|_| UrlError::Path { url: url.clone() })?;
        let client = self.client(&upload.bucket)?;
        Ok(Output { client, path, url })
    }

    /// One client for each bucket, so that connections and credentials are used again.
    fn client(&self, bucket: &str) -> Result<Arc<AmazonS3>, StoreError> {
        // A panic elsewhere can't leave the map half changed.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(bucket) {
            return Ok(client.clone());
        }
        let client = Arc::new(self.options.s3(bucket)?);
        clients.insert(bucket.to_owned(), client.clone());
        Ok(client)
    }
}

/// Reads a part in pieces; it stays in memory until the server has it, for it may be sent again.
async fn through_memory(url: &str, part: &Part) -> Result<PutPayload, ComposeError> {
    if part.len > MAX_THROUGH_MEMORY {
        return Err(ComposeError::LargePart {
            number: part.number,
            dst: url.to_owned(),
            len: part.len,
            max: MAX_THROUGH_MEMORY,
        });
    }
    let Source { objects, key, offset, if_match } = &part.source;
    let read: Vec<Bytes> = stream::iter(pieces(part.len))
        .map(|(at, bytes)| {
            let range = offset + at..offset + at + bytes;
            objects.get_range_if(key, range, if_match.as_deref())
        })
        .buffered(PIECES)
        .try_collect()
        .await?;
    Ok(PutPayload::from_iter(read))
}

/// Tells one object under a key from the next.
fn identity(meta: &ObjectMeta) -> String {
    let etag = meta.e_tag.as_deref().unwrap_or_default();
    format!("{etag} {}", meta.last_modified.to_rfc3339())
}

impl Output {
    async fn head(&self) -> Result<Option<ObjectMeta>, ComposeError> {
        match self.client.head(&self.path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(RequestError::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed("look up", source)),
        }
    }

    /// Looks whether the output is there, whole, and not what was there `before`. This is so if an
    /// earlier answer was lost.
    async fn reconcile(&self, upload: &S3Upload, before: Option<&str>) -> Result<(), ComposeError> {
        let Some(meta) = self.head().await? else {
            return Err(self.gone());
        };
        if before.is_some_and(|before| before == identity(&meta)) {
            return Err(self.gone());
        }
        if meta.size != upload.total {
            return Err(ComposeError::Size {
                dst: self.url.clone(),
                found: meta.size,
                expected: upload.total,
            });
        }
        Ok(())
    }

    fn gone(&self) -> ComposeError {
        ComposeError::Gone { dst: self.url.clone() }
    }

    fn not_open(&self, source: RequestError, action: &'static str) -> ComposeError {
        match source {
            RequestError::NotFound { .. } => self.gone(),
            source => self.failed(action, source),
        }
    }

    fn failed(&self, action: &'static str, source: RequestError) -> ComposeError {
        StoreError::request(action, self.url.clone(), source).into()
    }
}
