//! S3's ListMultipartUploads: uploads that nobody knows of, since a worker was killed or an answer was lost. They
//! take room that no listing of objects shows.

use std::time::{Duration, SystemTime};

use http::{Method, Request};
use object_store::PutPayload;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore;
use object_store::path::Path as StorePath;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::ComposeError;
use super::http::{Answer, Http, Step};
use super::s3_list::SIGNED_FOR;
use crate::error::StoreError;
use crate::objects::Objects;

/// Uploads into a bucket.
pub(super) struct OpenUploads<'a> {
    pub http: &'a Http,
    pub client: &'a AmazonS3,
    pub objects: &'a Objects,
    /// What their keys begin with.
    pub prefix: &'a str,
}

/// `ListMultipartUploadsResult`.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "IsTruncated")]
    is_truncated: bool,
    #[serde(rename = "NextKeyMarker", default)]
    next_key: String,
    #[serde(rename = "NextUploadIdMarker", default)]
    next_upload: String,
    #[serde(rename = "Upload", default)]
    uploads: Vec<Listed>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "Key")]
    pub key: String,
    #[serde(rename = "UploadId")]
    pub upload: String,
    #[serde(rename = "Initiated")]
    initiated: String,
}

impl OpenUploads<'_> {
    /// Gives up those that were begun longer ago than `older_than`, of those that are ours alone: others in the
    /// bucket are other people's. Gives how many.
    pub async fn give_up(
        &self,
        is_ours: impl Fn(&Listed) -> bool + Send + Sync,
        older_than: Duration,
        now: SystemTime,
    ) -> Result<u64, ComposeError> {
        let mut given_up = 0;
        let mut after = (String::new(), String::new());
        loop {
            let page = self.page(&after).await?;
            for upload in &page.uploads {
                if is_ours(upload) && upload.age(now) >= older_than {
                    self.abort(upload).await?;
                    given_up += 1;
                }
            }
            let next = (page.next_key, page.next_upload);
            // A server that doesn't move on would be asked for ever.
            if !page.is_truncated || next <= after {
                return Ok(given_up);
            }
            after = next;
        }
    }

    async fn page(&self, (key, upload): &(String, String)) -> Result<Page, ComposeError> {
        let mut query = vec![("uploads", String::new()), ("prefix", self.prefix.to_owned())];
        if !key.is_empty() {
            query.extend([("key-marker", key.clone()), ("upload-id-marker", upload.clone())]);
        }
        let options = SignedUrlOptions::new().with_query(query);
        let bucket = StorePath::default();
        let url = self.client.signed_url_opts(Method::GET, &bucket, SIGNED_FOR, &options).await;
        let url = url.map_err(|source| self.failed("sign a request for", source))?;
        let step = Step::new("list the uploads to", self.objects.root().to_string());
        let request = Request::get(url.as_str()).body(PutPayload::new());
        let request = request.map_err(|source| step.unsendable(source))?;
        let answer = self.http.send(&step, request).await?;
        judge(&answer).ok_or_else(|| step.refused(answer.status, answer.refusal()))
    }

    async fn abort(&self, upload: &Listed) -> Result<(), ComposeError> {
        let path = StorePath::parse(&upload.key);
        let path = path.map_err(|source| self.failed("name an upload to", source.into()))?;
        match self.client.abort_multipart(&path, &upload.upload).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {
                tracing::info!(key = upload.key, "gave up an abandoned upload");
                Ok(())
            }
            Err(source) => Err(self.failed("give up an upload to", source)),
        }
    }

    fn failed(&self, action: &'static str, source: object_store::Error) -> ComposeError {
        StoreError::request(action, self.objects.root().to_string(), source).into()
    }
}

impl Listed {
    /// None if the server's clock or its answer can't be understood: it is kept.
    fn age(&self, now: SystemTime) -> Duration {
        let begun = OffsetDateTime::parse(&self.initiated, &Rfc3339);
        let begun = begun.map_or(now, SystemTime::from);
        now.duration_since(begun).unwrap_or_default()
    }
}

fn judge(answer: &Answer) -> Option<Page> {
    answer.is_success().then(|| answer.xml()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_an_error_is_none() {
        let page = |body: &str| judge(&Answer { status: 200, body: body.into() });
        let upload = "<Upload><Key>k</Key><UploadId>u</UploadId><Initiator><ID>i</ID></Initiator>\
                      <Initiated>2026-11-22T00:00:01.000Z</Initiated></Upload>";
        let list = page(&format!(
            "<ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker/><NextKeyMarker>k\
             </NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker><IsTruncated>true\
             </IsTruncated>{upload}{upload}</ListMultipartUploadsResult>"
        ));
        let list = list.unwrap();
        assert_eq!((list.is_truncated, list.uploads.len()), (true, 2));
        assert_eq!((list.next_key.as_str(), list.next_upload.as_str()), ("k", "u"));
        let begun = OffsetDateTime::parse("2026-11-22T00:00:00Z", &Rfc3339).unwrap();
        let later = SystemTime::from(begun) + Duration::from_secs(61);
        assert_eq!(list.uploads[0].age(later), Duration::from_secs(60));
        let unclear =
            Listed { initiated: "yesterday".into(), ..list.uploads.into_iter().next().unwrap() };
        assert_eq!(unclear.age(later), Duration::ZERO);
        let none = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>\
                    </ListMultipartUploadsResult>";
        assert!(page(none).unwrap().uploads.is_empty());
        assert!(page("<Error><Code>InternalError</Code></Error>").is_none());
    }
}
