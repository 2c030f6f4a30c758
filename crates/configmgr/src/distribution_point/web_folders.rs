//! What a distribution point's web server answers: folders, small files, and a file's size.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, LAST_MODIFIED, USER_AGENT},
};
use prestage_access::{AccessError, Request, Server};
use url::Url;

use super::folder_listing::{Entry, filetime, of_multistatus, of_page};
use crate::content_library::LibraryError;
use crate::ini::{INI_BYTES_MAX, Ini};
use crate::text;

/// What clients call themselves (reference: section 4.3).
const CLIENT: HeaderValue = HeaderValue::from_static("SMS+CCM+5.0");
/// Without names of properties, servers give all that they like, sizes and times among them.
const PROPFIND: &str =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><allprop/></propfind>";
/// A folder's listing may have a hundred thousand entries.
const LISTING_BYTES_MAX: usize = 64 << 20;

/// Files and folders of a content, over all of its folders. A server that shows folders in folders without end
/// would be asked without end.
const ENTRIES_MAX: usize = 1_000_000;

/// A distribution point's web server.
#[derive(Debug, Clone)]
pub(super) struct WebFolders {
    server: Server,
}

/// An answer to a request that may fail in ways that say something.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl WebFolders {
    pub(super) fn new(server: Server) -> Self {
        Self { server }
    }

    /// The server.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// What is in a folder; `None` if it is not there.
    pub(super) async fn folder(&self, url: &Url) -> Result<Option<Vec<Entry>>, LibraryError> {
        let method = Method::from_bytes(b"PROPFIND").map_err(|e| wrong(url, e.to_string()))?;
        let depth = (HeaderName::from_static("depth"), HeaderValue::from_static("1"));
        let headers = HeaderMap::from_iter([(USER_AGENT, CLIENT), depth]);
        let body = Bytes::from_static(PROPFIND.as_bytes());
        let request = Request { method, url: url.clone(), headers, body };
        if let Some(answer) = self.ask(request, LISTING_BYTES_MAX).await?
            && answer.status == StatusCode::MULTI_STATUS
        {
            let body = String::from_utf8_lossy(&answer.body);
            let entries = of_multistatus(url, &body);
            return entries.map(Some).map_err(|error| wrong(url, error.to_string()));
        }
        let page = self.ask(get(url), LISTING_BYTES_MAX).await?;
        Ok(page.map(|answer| of_page(url, &String::from_utf8_lossy(&answer.body))))
    }

    /// An INI; `None` if it is not there.
    pub(super) async fn ini(&self, url: &Url) -> Result<Option<Ini>, LibraryError> {
        let Some(answer) = self.ask(get(url), INI_BYTES_MAX).await? else {
            return Ok(None);
        };
        let text = text::decode(&answer.body)
            .map_err(|source| LibraryError::Encoding { path: url.to_string().into(), source })?;
        Ok(Some(Ini::parse(&text)))
    }

    /// A file's bytes and its time of last write (FILETIME), as the server tells them.
    pub(super) async fn size_and_time(
        &self,
        url: &Url,
    ) -> Result<(u64, Option<u64>), LibraryError> {
        let request = Request { method: Method::HEAD, ..get(url) };
        let answer = self.ask(request, 0).await?;
        let answer = answer.ok_or_else(|| wrong(url, "it is gone".into()))?;
        let text = |name: HeaderName| answer.headers.get(name).and_then(|v| v.to_str().ok());
        let size = text(CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| wrong(url, "the server does not tell its size".into()))?;
        Ok((size, text(LAST_MODIFIED).and_then(filetime)))
    }

    /// The answer; `None` for what is not there, or can't be asked in this way.
    async fn ask(&self, request: Request, limit: usize) -> Result<Option<Answer>, LibraryError> {
        let (url, method) = (request.url.clone(), request.method.clone());
        let answer = self.server.send(request).await;
        let response = answer.map_err(|error| wrong(&url, error.to_string()))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let passed_over = match status {
            StatusCode::NOT_FOUND => true,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => method != Method::GET,
            _ => false,
        };
        if passed_over {
            return Ok(None);
        }
        if status == StatusCode::FORBIDDEN {
            let what = "403: the account may not read it, or the distribution point wants a client certificate (client_certificate in the access file)";
            return Err(wrong(&url, what.into()));
        }
        if !status.is_success() {
            return Err(wrong(&url, format!("it answers {status}")));
        }
        if method == Method::HEAD {
            return Ok(Some(Answer { status, headers, body: Bytes::new() }));
        }
        let body = response.body(limit).await.map_err(|error| wrong(&url, error.to_string()))?;
        let body = body.ok_or_else(|| wrong(&url, format!("it has more than {limit} bytes")))?;
        Ok(Some(Answer { status, headers, body }))
    }

    /// How the server answers when asked for `url`: `None` if it refuses whoever asks.
    pub(super) async fn status(&self, url: &Url) -> Result<Option<StatusCode>, AccessError> {
        match self.server.send(get(url)).await {
            Ok(response) => Ok(Some(response.status())),
            Err(AccessError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn get(url: &Url) -> Request {
    Request::get(url.clone()).with(USER_AGENT, CLIENT)
}

/// What is wrong with `url`, and what to do.
pub(super) fn wrong(url: &Url, problem: String) -> LibraryError {
    LibraryError::Remote { address: url.to_string(), problem }
}

/// Counts the entries of a content's folder to those before, and refuses too many.
pub(super) fn count(seen: &mut usize, url: &Url, entries: &[Entry]) -> Result<(), LibraryError> {
    *seen += entries.len();
    if *seen > ENTRIES_MAX {
        return Err(wrong(
            url,
            format!("the content has more than {ENTRIES_MAX} files and folders"),
        ));
    }
    Ok(())
}

/// `base` with `names` added, each encoded.
pub(super) fn below<'a>(base: &Url, names: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(names);
    }
    url
}

/// The address of an entry of `folder`.
pub(super) fn child(folder: &Url, entry: &Entry) -> Url {
    let names = [entry.name.as_str(), ""];
    below(folder, if entry.is_folder { &names[..] } else { &names[..1] }.iter().copied())
}
