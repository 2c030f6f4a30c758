//! An object store that speaks S3, in memory: what the product asks of one, and no more.
//!
//! It does what S3 does where it matters here: a put, a completed upload and a delete happen all at once; a
//! part but the last has 5 MiB; a completed upload is unknown afterwards; conditions are judged when the
//! change is made.

use std::{collections::BTreeMap, ops::Range};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, request::Parts};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{
    OffsetDateTime,
    format_description::well_known::{Rfc2822, Rfc3339},
};

/// Keys of one page of a list.
const PAGE: usize = 40;
/// All parts but the last have so many bytes at least.
const PART_BYTES_MIN: usize = 5 << 20;

/// All buckets. They are made when something is put into them.
#[derive(Default)]
pub struct Store {
    /// By bucket and key.
    objects: BTreeMap<(String, String), Object>,
    uploads: BTreeMap<String, Upload>,
    /// Tags and ids are numbers that are never used twice.
    numbers: u64,
}

#[derive(Clone)]
struct Object {
    body: Bytes,
    etag: String,
    modified: OffsetDateTime,
    metadata: Vec<(HeaderName, HeaderValue)>,
}

struct Upload {
    bucket: String,
    key: String,
    initiated: OffsetDateTime,
    metadata: Vec<(HeaderName, HeaderValue)>,
    parts: BTreeMap<u32, (Bytes, String)>,
}

/// What the store says.
pub struct Answer {
    /// HTTP's.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// What was to be kept with the object.
    pub metadata: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
    /// The object that is another one now.
    pub changed: Option<(String, String)>,
}

/// A request, taken apart.
struct Asked<'a> {
    method: &'a Method,
    bucket: String,
    key: String,
    query: BTreeMap<String, String>,
    head: &'a Parts,
    body: Bytes,
    now: OffsetDateTime,
}

/// The same for the same bytes, as S3 has it where a bucket is not encrypted by a key service.
fn tag_of(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(body)[..16]))
}

impl Store {
    /// Does what a request asks for.
    pub fn answer(&mut self, head: &Parts, body: Bytes, now: OffsetDateTime) -> Answer {
        let path = percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let query = query.into_owned().collect();
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let asked = Asked { method: &head.method, bucket, key, query, head, body, now };
        self.dispatch(&asked)
    }

    fn dispatch(&mut self, asked: &Asked<'_>) -> Answer {
        let has = |name: &str| asked.query.contains_key(name);
        match (asked.method.as_str(), asked.key.is_empty()) {
            ("GET", true) if has("uploads") => self.list_uploads(asked),
            ("GET", true) => self.list(asked),
            ("POST", true) if has("delete") => self.delete_many(asked),
            ("GET", false) if has("uploadId") => self.list_parts(asked),
            ("GET" | "HEAD", false) => self.get(asked),
            ("PUT", false) if has("partNumber") => self.put_part(asked),
            ("PUT", false) => self.put(asked),
            ("POST", false) if has("uploads") => self.create_upload(asked),
            ("POST", false) if has("uploadId") => self.complete(asked),
            ("DELETE", false) if has("uploadId") => self.abort(asked),
            ("DELETE", false) => self.delete(asked),
            _ => refused(501, "NotImplemented"),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn get(&self, asked: &Asked<'_>) -> Answer {
        let Some(object) = self.objects.get(&asked.name()) else {
            return refused(404, "NoSuchKey");
        };
        if asked.header("if-match").is_some_and(|tag| tag != object.etag) {
            return refused(412, "PreconditionFailed");
        }
        let whole = object.body.len();
        let (status, range) = match asked.header("range").map(|range| range_of(range, whole)) {
            None => (200, 0..whole),
            Some(Some(range)) => (206, range),
            Some(None) => return refused(416, "InvalidRange"),
        };
        let mut headers = object.headers();
        headers.push(("content-length", range.len().to_string()));
        if status == 206 {
            let (first, last) = (range.start, range.end - 1);
            headers.push(("content-range", format!("bytes {first}-{last}/{whole}")));
        }
        let body = match asked.method.as_str() {
            "HEAD" => Bytes::new(),
            _ => object.body.slice(range),
        };
        Answer { status, headers, body, metadata: object.metadata.clone(), changed: None }
    }

    fn put(&mut self, asked: &Asked<'_>) -> Answer {
        let there = self.objects.get(&asked.name());
        if asked.header("if-none-match") == Some("*") && there.is_some() {
            return refused(412, "PreconditionFailed");
        }
        if let Some(tag) = asked.header("if-match")
            && there.is_none_or(|object| object.etag != tag)
        {
            return refused(412, "PreconditionFailed");
        }
        let etag = self.store(asked, asked.body.clone(), asked.metadata());
        Answer { headers: vec![("etag", etag)], changed: Some(asked.name()), ..done("") }
    }

    fn store(
        &mut self,
        asked: &Asked<'_>,
        body: Bytes,
        metadata: Vec<(HeaderName, HeaderValue)>,
    ) -> String {
        let etag = tag_of(&body);
        let object = Object { body, etag: etag.clone(), modified: asked.now, metadata };
        self.objects.insert(asked.name(), object);
        etag
    }

    fn delete(&mut self, asked: &Asked<'_>) -> Answer {
        self.objects.remove(&asked.name());
        Answer { status: 204, changed: Some(asked.name()), ..done("") }
    }

    fn delete_many(&mut self, asked: &Asked<'_>) -> Answer {
        #[derive(Deserialize)]
        struct Delete {
            #[serde(rename = "Object", default)]
            objects: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "Key")]
            key: String,
        }
        let text = String::from_utf8_lossy(&asked.body);
        let Ok(delete) = quick_xml::de::from_str::<Delete>(&text) else {
            return refused(400, "MalformedXML");
        };
        let mut deleted = String::new();
        for Named { key } in delete.objects {
            self.objects.remove(&(asked.bucket.clone(), key.clone()));
            deleted += &format!("<Deleted>{}</Deleted>", element("Key", &key));
        }
        done(&format!("<DeleteResult>{deleted}</DeleteResult>"))
    }

    fn list(&self, asked: &Asked<'_>) -> Answer {
        let text = |name: &str| asked.query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (text("prefix"), text("delimiter"));
        let after = text("continuation-token").max(text("start-after"));
        let mut lines = BTreeMap::new();
        let of_bucket = self.objects.iter().filter(|((bucket, _), _)| *bucket == asked.bucket);
        for ((_, key), object) in of_bucket {
            let Some(below) = key.strip_prefix(prefix) else {
                continue;
            };
            let folder = below.find(delimiter).filter(|_| !delimiter.is_empty());
            let (name, line) = match folder {
                Some(end) => {
                    let name = format!("{prefix}{}", &below[..end + delimiter.len()]);
                    let shown = element("Prefix", &name);
                    (name, format!("<CommonPrefixes>{shown}</CommonPrefixes>"))
                }
                None => (key.clone(), object.listed(key)),
            };
            if name.as_str() > after {
                lines.insert(name, line);
            }
        }
        let more = lines.len() > PAGE;
        let page: Vec<(String, String)> = lines.into_iter().take(PAGE).collect();
        let next = page.last().filter(|_| more).map(|(name, _)| name.clone());
        let next = next.map(|name| element("NextContinuationToken", &name)).unwrap_or_default();
        let lines: String = page.into_iter().map(|(_, line)| line).collect();
        let is_truncated = element("IsTruncated", &more.to_string());
        done(&format!("<ListBucketResult>{is_truncated}{next}{lines}</ListBucketResult>"))
    }

    fn create_upload(&mut self, asked: &Asked<'_>) -> Answer {
        let id = format!("upload-{}", self.number());
        let (bucket, key) = asked.name();
        let (initiated, metadata) = (asked.now, asked.metadata());
        let upload = Upload { bucket, key, initiated, metadata, parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        let inside = element("UploadId", &id);
        done(&format!("<InitiateMultipartUploadResult>{inside}</InitiateMultipartUploadResult>"))
    }

    fn put_part(&mut self, asked: &Asked<'_>) -> Answer {
        let copied = asked.header("x-amz-copy-source").map(|source| self.source(asked, source));
        let is_copy = copied.is_some();
        let body = match copied {
            None => asked.body.clone(),
            Some(Ok(body)) => body,
            Some(Err((status, code))) => return refused(status, code),
        };
        let etag = format!("\"{}\"", self.number());
        let number = asked.query.get("partNumber").and_then(|number| number.parse().ok());
        let (Some(upload), Some(number)) = (self.upload(asked), number) else {
            return refused(404, "NoSuchUpload");
        };
        upload.parts.insert(number, (body, etag.clone()));
        if is_copy {
            let inside = element("ETag", &etag);
            return done(&format!("<CopyPartResult>{inside}</CopyPartResult>"));
        }
        Answer { headers: vec![("etag", etag)], ..done("") }
    }

    /// The bytes that a part is copied from.
    fn source(&self, asked: &Asked<'_>, source: &str) -> Result<Bytes, (u16, &'static str)> {
        let source = percent_decode_str(source).decode_utf8_lossy().into_owned();
        let name = source.trim_start_matches('/').split_once('/');
        let (bucket, key) = name.ok_or((400, "InvalidArgument"))?;
        let object = self.objects.get(&(bucket.to_owned(), key.to_owned()));
        let object = object.ok_or((404, "NoSuchKey"))?;
        let tag = asked.header("x-amz-copy-source-if-match");
        if tag.is_some_and(|tag| tag != object.etag) {
            return Err((412, "PreconditionFailed"));
        }
        let range = asked.header("x-amz-copy-source-range");
        match range.map(|range| range_of(range, object.body.len())) {
            None => Ok(object.body.clone()),
            Some(Some(range)) => Ok(object.body.slice(range)),
            Some(None) => Err((400, "InvalidArgument")),
        }
    }

    fn upload(&mut self, asked: &Asked<'_>) -> Option<&mut Upload> {
        let upload = self.uploads.get_mut(asked.query.get("uploadId")?)?;
        (upload.bucket == asked.bucket && upload.key == asked.key).then_some(upload)
    }

    fn list_parts(&mut self, asked: &Asked<'_>) -> Answer {
        let marker = asked.query.get("part-number-marker").and_then(|marker| marker.parse().ok());
        let Some(upload) = self.upload(asked) else {
            return refused(404, "NoSuchUpload");
        };
        let from = marker.unwrap_or(0) + 1;
        let behind: Vec<_> = upload.parts.range(from..).take(PAGE + 1).collect();
        let more = behind.len() > PAGE;
        let page = &behind[..behind.len().min(PAGE)];
        let mut inside = element("IsTruncated", &more.to_string());
        if let Some((number, _)) = page.last() {
            inside += &element("NextPartNumberMarker", &number.to_string());
        }
        for (number, (body, etag)) in page {
            let size = element("Size", &body.len().to_string());
            let number = element("PartNumber", &number.to_string());
            inside += &format!("<Part>{number}{}{size}</Part>", element("ETag", etag));
        }
        done(&format!("<ListPartsResult>{inside}</ListPartsResult>"))
    }

    fn list_uploads(&self, asked: &Asked<'_>) -> Answer {
        let prefix = asked.query.get("prefix").map_or("", String::as_str);
        let mut inside = element("IsTruncated", "false");
        for (id, upload) in &self.uploads {
            if upload.bucket == asked.bucket && upload.key.starts_with(prefix) {
                let (key, id) = (element("Key", &upload.key), element("UploadId", id));
                let initiated = upload.initiated.format(&Rfc3339).unwrap_or_default();
                let initiated = element("Initiated", &initiated);
                inside += &format!("<Upload>{key}{id}{initiated}</Upload>");
            }
        }
        done(&format!("<ListMultipartUploadsResult>{inside}</ListMultipartUploadsResult>"))
    }

    fn complete(&mut self, asked: &Asked<'_>) -> Answer {
        #[derive(Deserialize)]
        struct Complete {
            #[serde(rename = "Part", default)]
            parts: Vec<Listed>,
        }
        #[derive(Deserialize)]
        struct Listed {
            #[serde(rename = "PartNumber")]
            number: u32,
            #[serde(rename = "ETag")]
            etag: String,
        }
        let text = String::from_utf8_lossy(&asked.body);
        let Ok(complete) = quick_xml::de::from_str::<Complete>(&text) else {
            return refused(400, "MalformedXML");
        };
        let Some(upload) = self.upload(asked) else {
            return refused(404, "NoSuchUpload");
        };
        let mut whole = BytesMut::new();
        for (at, Listed { number, etag }) in complete.parts.iter().enumerate() {
            let part = upload
                .parts
                .get(number)
                .filter(|(_, tag)| tag.trim_matches('"') == etag.trim_matches('"'));
            let Some((body, _)) = part else {
                return refused(400, "InvalidPart");
            };
            if body.len() < PART_BYTES_MIN && at + 1 < complete.parts.len() {
                return refused(400, "EntityTooSmall");
            }
            whole.extend_from_slice(body);
        }
        let metadata = upload.metadata.clone();
        if let Some(id) = asked.query.get("uploadId") {
            self.uploads.remove(id);
        }
        let etag = element("ETag", &self.store(asked, whole.freeze(), metadata));
        let answer =
            format!("<CompleteMultipartUploadResult>{etag}</CompleteMultipartUploadResult>");
        Answer { changed: Some(asked.name()), ..done(&answer) }
    }

    fn abort(&mut self, asked: &Asked<'_>) -> Answer {
        if self.upload(asked).is_none() {
            return refused(404, "NoSuchUpload");
        }
        if let Some(id) = asked.query.get("uploadId") {
            self.uploads.remove(id);
        }
        Answer { status: 204, ..done("") }
    }

    /// An object's bytes.
    pub fn body(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.objects.get(&(bucket.to_owned(), key.to_owned())).map(|object| object.body.clone())
    }

    /// The keys of a bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let of_bucket = self.objects.keys().filter(|(of, _)| of == bucket);
        of_bucket.map(|(_, key)| key.clone()).collect()
    }

    /// Keys that have an open upload.
    pub fn open_uploads(&self) -> Vec<String> {
        self.uploads.values().map(|upload| format!("{}/{}", upload.bucket, upload.key)).collect()
    }

    /// Puts an object there, as somebody who does not ask us.
    pub fn place(&mut self, bucket: &str, key: &str, body: Bytes, modified: OffsetDateTime) {
        let etag = tag_of(&body);
        let object = Object { body, etag, modified, metadata: Vec::new() };
        self.objects.insert((bucket.to_owned(), key.to_owned()), object);
    }

    /// Removes an object, as somebody who does not ask us.
    pub fn evict(&mut self, bucket: &str, key: &str) {
        self.objects.remove(&(bucket.to_owned(), key.to_owned()));
    }
}

impl Object {
    fn headers(&self) -> Vec<(&'static str, String)> {
        let modified = self.modified.format(&Rfc2822).unwrap_or_default();
        vec![("etag", self.etag.clone()), ("last-modified", modified)]
    }

    fn listed(&self, key: &str) -> String {
        let modified = self.modified.format(&Rfc3339).unwrap_or_default();
        let (key, size) = (element("Key", key), element("Size", &self.body.len().to_string()));
        let (modified, etag) = (element("LastModified", &modified), element("ETag", &self.etag));
        format!("<Contents>{key}{size}{modified}{etag}</Contents>")
    }
}

impl Asked<'_> {
    fn name(&self) -> (String, String) {
        (self.bucket.clone(), self.key.clone())
    }

    fn metadata(&self) -> Vec<(HeaderName, HeaderValue)> {
        let headers = self.head.headers.iter();
        let kept = headers.filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An element of an XML document that holds a text.
fn element(name: &str, text: &str) -> String {
    #[derive(Serialize)]
    struct Text<'a> {
        #[serde(rename = "$text")]
        text: &'a str,
    }
    quick_xml::se::to_string_with_root(name, &Text { text }).unwrap_or_default()
}

fn range_of(header: &str, whole: usize) -> Option<Range<usize>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let last: usize = last.parse().ok()?;
        return Some(whole.saturating_sub(last)..whole);
    }
    let first: usize = first.parse().ok()?;
    let end = if last.is_empty() { whole } else { last.parse::<usize>().ok()? + 1 };
    (first < whole).then(|| first..end.min(whole))
}

fn done(body: &str) -> Answer {
    let (headers, metadata) = (Vec::new(), Vec::new());
    Answer { status: 200, headers, metadata, body: body.to_owned().into(), changed: None }
}

/// The store says no, in XML.
pub fn refused(status: u16, code: &str) -> Answer {
    let inside = element("Code", code) + &element("Message", "as simulated");
    Answer { status, ..done(&format!("<Error>{inside}</Error>")) }
}
