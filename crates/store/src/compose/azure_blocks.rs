//! Azure's requests for blocks (Put Block From URL, Put Block, Get Block List, Put Block List),
//! signed by the client library.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::request::Builder;
use http::{Method, Request, header};
use object_store::PutPayload;
use object_store::azure::{AzureAuthorizer, AzureCredential, MicrosoftAzure};
use object_store::client::HttpRequestBody;
use object_store::path::Path as StorePath;
use object_store::signer::Signer;
use serde::Deserialize;
use url::Url;

use super::Part;
use super::cloud::{ID_METADATA, Output};
use super::error::ComposeError;
use super::http::{Answer, Http, Step};
use crate::azure_account::AzureAccount;
use crate::lent::LentBlobs;
use crate::objects::StoreKind;

/// How long Azure may read a source; it reads at once.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// The blocks of one output.
pub(super) struct Blocks<'a> {
    pub http: &'a Http,
    pub access: BlobAccess<'a>,
    pub output: &'a Output,
}

/// A container, and what opens its blobs.
pub(super) struct BlobAccess<'a> {
    pub client: &'a Arc<MicrosoftAzure>,
    pub container: &'a str,
    pub account: &'a AzureAccount,
    pub lent: Option<&'a LentBlobs>,
}

impl BlobAccess<'_> {
    async fn credential(&self, path: &StorePath) -> object_store::Result<Arc<AzureCredential>> {
        let Some(lent) = self.lent else {
            return self.client.credentials().get_credential().await;
        };
        let blob = format!("{}/{path}", self.container);
        let credential = lent.credentials.of_blob(&blob).map(Arc::new);
        let source = "nothing is lent of it".into();
        credential.ok_or(object_store::Error::PermissionDenied { path: blob, source })
    }
}

/// One part as a block.
pub(super) struct Block<'a> {
    /// Its id, before it is encoded.
    pub id: String,
    pub part: &'a Part,
}

/// What names a block in a request.
fn block_query(block: &Block<'_>) -> [(&'static str, String); 2] {
    [("comp", "block".to_owned()), ("blockid", BASE64_STANDARD.encode(&block.id))]
}

/// `BlockList` as Azure tells it.
#[derive(Debug, Deserialize)]
struct BlockList {
    #[serde(rename = "UncommittedBlocks")]
    uncommitted: Uncommitted,
}

#[derive(Debug, Deserialize)]
struct Uncommitted {
    #[serde(rename = "Block", default)]
    blocks: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Size")]
    bytes: u64,
}

impl Blocks<'_> {
    /// Lets Azure copy the block. `false` if it doesn't do that, here or at all.
    pub async fn copy(&self, block: &Block<'_>) -> Result<bool, ComposeError> {
        let source = &block.part.source;
        let Some(from) = self.source_url(block.part).await? else {
            return Ok(false);
        };
        let range = format!("bytes={}-{}", source.offset, source.offset + block.part.len - 1);
        let mut put = self
            .request(Method::PUT, &block_query(block))?
            .header("x-ms-copy-source", from.as_str())
            .header("x-ms-source-range", range);
        if let Some(etag) = &source.if_match {
            put = put.header("x-ms-source-if-match", etag);
        }
        let step = self.step(format!("copy part {} of", block.part.number));
        let answer = self.send(&step, put, PutPayload::new()).await?;
        judge_copy(&answer, block.part, &step)
    }

    /// Writes the block.
    pub async fn put(&self, block: &Block<'_>, body: PutPayload) -> Result<(), ComposeError> {
        let put = self.request(Method::PUT, &block_query(block))?;
        let step = self.step(format!("write part {} of", block.part.number));
        accept(&self.send(&step, put, body).await?, &step)
    }

    /// Ids and bytes of the blocks that no list names yet.
    pub async fn uncommitted(&self) -> Result<HashMap<String, u64>, ComposeError> {
        let query = [("comp", "blocklist"), ("blocklisttype", "uncommitted")];
        let get = self.request(Method::GET, &query)?;
        let step = self.step("list the parts of");
        let answer = self.send(&step, get, PutPayload::new()).await?;
        judge_list(&answer, &step)
    }

    /// Makes the blob of these blocks, in this order.
    pub async fn list(&self, ids: &[String]) -> Result<(), ComposeError> {
        let entry = |id| format!("<Uncommitted>{}</Uncommitted>", BASE64_STANDARD.encode(id));
        let entries: String = ids.iter().map(entry).collect();
        let body =
            format!(r#"<?xml version="1.0" encoding="utf-8"?><BlockList>{entries}</BlockList>"#);
        let put = self
            .request(Method::PUT, &[("comp", "blocklist")])?
            .header("x-ms-blob-content-type", "application/octet-stream")
            .header(format!("x-ms-meta-{ID_METADATA}"), self.output.upload.id.as_str());
        let step = self.step("complete");
        accept(&self.send(&step, put, body.into()).await?, &step)
    }

    /// An address of the source that Azure may read, if it holds the source and we can give one.
    async fn source_url(&self, part: &Part) -> Result<Option<Url>, ComposeError> {
        let objects = &part.source.objects;
        let StoreKind::Azure { client, container, account, lent } = objects.kind() else {
            return Ok(None);
        };
        if account != self.access.account {
            return Ok(None);
        }
        let path = objects.store_path(&part.source.key)?;
        let source = BlobAccess { client, container, account, lent: lent.as_ref() };
        if let AzureCredential::SASToken(pairs) = &*self.credential(&source, &path).await? {
            let mut url = account.blob_url(container, &path)?;
            url.query_pairs_mut().extend_pairs(pairs);
            return Ok(Some(url));
        }
        // Without a key nothing can be signed; the bytes can still come here.
        Ok(client.signed_url(Method::GET, &path, SIGNED_FOR).await.ok())
    }

    fn request<V: AsRef<str>>(
        &self,
        method: Method,
        query: &[(&str, V)],
    ) -> Result<Builder, ComposeError> {
        let mut url = self.access.account.blob_url(self.access.container, &self.output.path)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(Request::builder().method(method).uri(url.as_str()))
    }

    async fn send(
        &self,
        step: &Step,
        request: Builder,
        body: PutPayload,
    ) -> Result<Answer, ComposeError> {
        let request = request
            .header(header::CONTENT_LENGTH, body.content_length())
            .body(HttpRequestBody::empty());
        let mut request = request.map_err(|source| step.unsendable(source))?;
        let credential = self.credential(&self.access, &self.output.path).await?;
        let authorizer = AzureAuthorizer::new(&credential, &self.access.account.name);
        let signed = authorizer.try_authorize(&mut request);
        signed.map_err(|source| self.output.failed("sign a request for", source))?;
        // Signatures cover the headers alone.
        self.http.send(step, request.map(|_| body)).await
    }

    async fn credential(
        &self,
        access: &BlobAccess<'_>,
        path: &StorePath,
    ) -> Result<Arc<AzureCredential>, ComposeError> {
        let credential = access.credential(path).await;
        credential.map_err(|source| self.output.failed("get credentials for", source))
    }

    fn step(&self, action: impl Into<String>) -> Step {
        Step::new(action, self.output.url())
    }
}

fn accept(answer: &Answer, step: &Step) -> Result<(), ComposeError> {
    match answer.status {
        201 => Ok(()),
        status => Err(step.refused(status, answer.refusal())),
    }
}

/// Azure's codes: <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>.
fn judge_copy(answer: &Answer, part: &Part, step: &Step) -> Result<bool, ComposeError> {
    let refusal = answer.refusal();
    let source = &part.source;
    match answer.status {
        201 => Ok(true),
        405 | 501 => Ok(false),
        // Azure may not read by the address that we gave: a firewall is before the source, or
        // its name has characters that the client library signs wrongly. We may read it.
        401 | 403 if refusal.is(&["CannotVerifyCopySource"]) => Ok(false),
        404 if refusal.is(&["CannotVerifyCopySource", "BlobNotFound"]) => {
            Err(source.missing().into())
        }
        412 => Err(source.changed().into()),
        status => Err(step.refused(status, refusal)),
    }
}

fn judge_list(answer: &Answer, step: &Step) -> Result<HashMap<String, u64>, ComposeError> {
    let refusal = answer.refusal();
    if answer.status == 404 && refusal.is(&["BlobNotFound"]) {
        return Ok(HashMap::new());
    }
    let list: Option<BlockList> = (answer.status == 200).then(|| answer.xml()).flatten();
    let list = list.ok_or_else(|| step.refused(answer.status, refusal))?;
    let blocks = list.uncommitted.blocks;
    // Ids of others may be anything.
    Ok(blocks.into_iter().filter_map(|block| Some((block.id()?, block.bytes))).collect())
}

impl Listed {
    fn id(&self) -> Option<String> {
        String::from_utf8(BASE64_STANDARD.decode(&self.name).ok()?).ok()
    }
}

#[cfg(test)]
#[path = "azure_blocks_tests.rs"]
mod tests;
