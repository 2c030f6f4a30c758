//! S3's ListParts: which parts an upload has already.

use std::collections::HashMap;
use std::time::Duration;

use http::{Method, Request};
use object_store::PutPayload;
use object_store::aws::AmazonS3;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;

use super::cloud::Output;
use super::error::ComposeError;
use super::http::{Answer, Http, Step};

/// How long a signature holds; it only has to reach the server.
pub(super) const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

pub(super) struct PartList<'a> {
    pub http: &'a Http,
    pub client: &'a AmazonS3,
    pub upload: &'a str,
}

/// `ListPartsResult`. Numbers start at 1.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "IsTruncated")]
    is_truncated: bool,
    #[serde(rename = "NextPartNumberMarker")]
    next: Option<u32>,
    #[serde(rename = "Part", default)]
    parts: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "PartNumber")]
    number: u32,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "Size")]
    bytes: u64,
}

impl PartList<'_> {
    /// Bytes and tags of the parts from `first` to `last` (counted from 0) that are there.
    pub async fn between(
        &self,
        output: &Output,
        first: u32,
        last: u32,
    ) -> Result<HashMap<u32, (u64, String)>, ComposeError> {
        let mut there = HashMap::new();
        // S3 lists what comes behind the marker, and counts from 1: part 0 is behind marker 0.
        let mut after = Some(first);
        while let Some(marker) = after {
            let page = self.page(output, marker).await?;
            // A server that doesn't move on would be asked for ever.
            after = page.next.filter(|next| page.is_truncated && *next > marker && *next <= last);
            let parts = page.parts.into_iter().filter(|part| part.number > 0);
            there.extend(parts.map(|part| (part.number - 1, (part.bytes, part.etag))));
        }
        Ok(there)
    }

    async fn page(&self, output: &Output, marker: u32) -> Result<Page, ComposeError> {
        let options = SignedUrlOptions::new().with_query([
            ("uploadId", self.upload.to_owned()),
            ("part-number-marker", marker.to_string()),
        ]);
        let url =
            self.client.signed_url_opts(Method::GET, &output.path, SIGNED_FOR, &options).await;
        let url = url.map_err(|source| output.failed("sign a request for", source))?;
        let step = Step::new("list the parts of", output.url());
        let request = Request::get(url.as_str()).body(PutPayload::new());
        let request = request.map_err(|source| step.unsendable(source))?;
        let answer = self.http.send(&step, request).await?;
        judge(&answer).ok_or_else(|| refused(&answer, &step, output))
    }
}

fn judge(answer: &Answer) -> Option<Page> {
    answer.is_success().then(|| answer.xml()).flatten()
}

fn refused(answer: &Answer, step: &Step, output: &Output) -> ComposeError {
    let refusal = answer.refusal();
    match refusal.is(&["NoSuchUpload"]) {
        true => output.gone(),
        false => step.refused(answer.status, refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Option<Page> {
        judge(&Answer { status: 200, body: body.into() })
    }

    #[test]
    fn a_page_is_read_and_an_error_is_none() {
        let parts = "<Part><PartNumber>1</PartNumber><LastModified>2026-11-22T00:00:00Z\
                     </LastModified><ETag>&quot;a&quot;</ETag><Size>7</Size></Part>\
                     <Part><PartNumber>2</PartNumber><ETag>b</ETag><Size>8</Size></Part>";
        let list = page(&format!(
            "<ListPartsResult><Bucket>b</Bucket><IsTruncated>true</IsTruncated>\
             <NextPartNumberMarker>2</NextPartNumberMarker>{parts}</ListPartsResult>"
        ));
        let list = list.unwrap();
        assert_eq!((list.is_truncated, list.next, list.parts.len()), (true, Some(2), 2));
        assert_eq!((list.parts[0].etag.as_str(), list.parts[1].bytes), ("\"a\"", 8));
        let empty = "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>";
        assert!(page(empty).unwrap().parts.is_empty());
        assert!(page("<Error><Code>InternalError</Code></Error>").is_none());
    }
}
