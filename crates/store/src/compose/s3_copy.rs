//! S3's UploadPartCopy: the server copies a range of one object into a part of another.
//!
//! The client library has no call for it, but it signs any request: a signed `PUT` with
//! `partNumber` and `uploadId` in the query and the source in signed headers is that call
//! (reference: server-side part copy).

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request};
use object_store::PutPayload;
use object_store::aws::AmazonS3;
use object_store::path::Path as StorePath;
use object_store::signer::{SignedUrlOptions, Signer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::Part;
use super::error::ComposeError;
use super::http::{Answer, Http, Step};
use crate::error::StoreError;

/// How long a signature holds; it only has to reach the server.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// What the source's path keeps unencoded: RFC 3986's unreserved characters and the slash.
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// One part to be copied.
pub(super) struct CopyRequest<'a> {
    /// Bucket of the source.
    pub bucket: &'a str,
    /// Path of the source in it.
    pub path: StorePath,
    pub part: &'a Part,
    /// S3's id of the upload.
    pub upload: &'a str,
    /// The output's address, for errors.
    pub dst: String,
}

/// `CopyPartResult`.
#[derive(Debug, Deserialize)]
struct Copied {
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

impl CopyRequest<'_> {
    /// Copies the part into the object `dst` of `client`; gives the part's tag.
    pub async fn send(
        &self,
        http: &Http,
        client: &AmazonS3,
        dst: &StorePath,
    ) -> Result<String, ComposeError> {
        let headers = self.headers()?;
        let mut options = SignedUrlOptions::new().with_query([
            ("partNumber", (self.part.number + 1).to_string()),
            ("uploadId", self.upload.to_owned()),
        ]);
        for (name, value) in &headers {
            options = options.with_signed_header(name.clone(), value.clone());
        }
        let url = client.signed_url_opts(Method::PUT, dst, SIGNED_FOR, &options).await;
        let url = url.map_err(|source| {
            StoreError::request("sign a request for", self.dst.clone(), source)
        })?;
        let mut put = Request::put(url.as_str());
        for (name, value) in headers {
            put = put.header(name, value);
        }
        let put = put.body(PutPayload::new()).map_err(|source| self.step().unsendable(source))?;
        self.judge(&http.send(&self.step(), put).await?)
    }

    fn step(&self) -> Step {
        Step::new(format!("copy part {} of", self.part.number), self.dst.as_str())
    }

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
                let value = HeaderValue::from_str(&value);
                let value = value.map_err(|_| source.changed())?;
                Ok((HeaderName::from_static(name), value))
            })
            .collect()
    }

    /// A part is in place only if the answer names its tag: an error may come with status 200,
    /// because the server answers before it knows.
    fn judge(&self, answer: &Answer) -> Result<String, ComposeError> {
        let copied: Option<Copied> = answer.is_success().then(|| answer.xml()).flatten();
        match copied.and_then(|copied| copied.etag).filter(|etag| !etag.is_empty()) {
            Some(etag) => Ok(etag),
            None => Err(self.refused(answer)),
        }
    }

    fn refused(&self, answer: &Answer) -> ComposeError {
        let (refusal, source) = (answer.refusal(), &self.part.source);
        if refusal.is(&["NoSuchUpload"]) {
            ComposeError::Gone { dst: self.dst.clone() }
        } else if refusal.is(&["NoSuchKey"]) {
            source.missing().into()
        } else if answer.status == 412 || refusal.is(&["PreconditionFailed"]) {
            source.changed().into()
        } else {
            self.step().refused(answer.status, refusal)
        }
    }
}

#[cfg(test)]
#[path = "s3_copy_tests.rs"]
mod tests;
