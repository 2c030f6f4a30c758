//! S3's UploadPartCopy: the server copies a range of one object into a part of another.
//!
//! The client library has no call for it, but it signs any request: a signed `PUT` with
//! `partNumber` and `uploadId` in the query and the source in signed headers is that call
//! (reference: server-side part copy).

use std::time::Duration;

use object_store::aws::AmazonS3;
use object_store::path::Path as StorePath;
use object_store::signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::error::ComposeError;
use super::token::S3Upload;
use super::{Part, Receipt};
use crate::error::StoreError;

/// How long a signature holds; it only has to reach the server.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A server may be silent for long while it copies a gibibyte.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// What the source's path keeps unencoded: RFC 3986's unreserved characters and the slash.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Sends the requests.
#[derive(Debug, Clone, Default)]
pub(super) struct PartCopier {
    http: std::sync::OnceLock<reqwest::Client>,
}

/// One part to be copied.
pub(super) struct CopyRequest<'a> {
    /// Bucket of the source.
    pub bucket: &'a str,
    /// Path of the source in it.
    pub path: StorePath,
    pub part: &'a Part,
    pub upload: &'a S3Upload,
}

impl PartCopier {
    /// Copies a part into the object `dst` of `client`.
    pub async fn copy(
        &self,
        client: &AmazonS3,
        dst: &StorePath,
        request: CopyRequest<'_>,
    ) -> Result<Receipt, ComposeError> {
        let headers = request.headers()?;
        let mut options = SignedUrlOptions::new().with_query([
            ("partNumber", (request.part.number + 1).to_string()),
            ("uploadId", request.upload.upload.clone()),
        ]);
        for (name, value) in &headers {
            options = options.with_signed_header(name.clone(), value.clone());
        }
        let url = client.signed_url_opts(Method::PUT, dst, SIGNED_FOR, &options).await;
        let url =
            url.map_err(|source| StoreError::request("sign a request for", request.dst(), source))?;
        let mut put = self.http(&request)?.put(url);
        for (name, value) in headers {
            put = put.header(name, value);
        }
        let answer = put.send().await.map_err(|source| request.unreachable(source))?;
        let status = answer.status().as_u16();
        let body = limited(answer).await.map_err(|source| request.unreachable(source))?;
        request.judge(status, &body)
    }

    fn http(&self, request: &CopyRequest<'_>) -> Result<&reqwest::Client, ComposeError> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| request.unreachable(source))?;
        Ok(self.http.get_or_init(|| client))
    }
}

impl CopyRequest<'_> {
    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, ComposeError> {
        let source = &self.part.source;
        let range = format!("bytes={}-{}", source.offset, source.offset + self.part.len - 1);
        let from = format!("/{}/{}", self.bucket, self.path);
        let from = utf8_percent_encode(&from, KEPT).to_string();
        let mut headers = vec![("x-amz-copy-source", from), ("x-amz-copy-source-range", range)];
        if let Some(etag) = &source.if_match {
            headers.push(("x-amz-copy-source-if-match", etag.clone()));
        }
        headers
            .into_iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(&value).map_err(|_| self.changed())?;
                Ok((HeaderName::from_static(name), value))
            })
            .collect()
    }

    /// A part is in place only if the answer names its tag: an error may come with status 200,
    /// because the server answers before it knows.
    fn judge(&self, status: u16, body: &[u8]) -> Result<Receipt, ComposeError> {
        let text = String::from_utf8_lossy(body);
        let answer: Answer = quick_xml::de::from_str(&text).unwrap_or_default();
        match answer.etag.filter(|etag| status == 200 && !etag.is_empty()) {
            Some(etag) => Ok(Receipt(etag)),
            None => Err(self.refused(status, answer.code, answer.message)),
        }
    }

    fn refused(&self, status: u16, code: Option<String>, message: Option<String>) -> ComposeError {
        match (status, code.as_deref()) {
            (_, Some("NoSuchUpload")) => ComposeError::Gone { dst: self.dst() },
            (_, Some("NoSuchKey")) => StoreError::Missing { place: self.source() }.into(),
            (412, _) | (_, Some("PreconditionFailed")) => self.changed(),
            _ => ComposeError::Refused {
                number: self.part.number,
                dst: self.dst(),
                status,
                code: code.unwrap_or_else(|| "no code".to_owned()),
                message: message.unwrap_or_else(|| "no message".to_owned()),
            },
        }
    }

    fn changed(&self) -> ComposeError {
        let place = self.source();
        StoreError::Changed { place }.into()
    }

    fn unreachable(&self, source: reqwest::Error) -> ComposeError {
        ComposeError::Unreachable {
            number: self.part.number,
            dst: self.dst(),
            source: source.without_url(),
        }
    }

    fn source(&self) -> String {
        let source = &self.part.source;
        source.objects.url(&source.key).to_string()
    }

    fn dst(&self) -> String {
        self.upload.dst().to_string()
    }
}

/// Either answer: `CopyPartResult` has the tag, `Error` has code and message.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
}

async fn limited(mut answer: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_LIMIT {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
#[path = "s3_copy_tests.rs"]
mod tests;
