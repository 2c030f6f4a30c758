//! A content library over HTTP: `DataLib` lists, `FileLib` holds, under the virtual folder that clients
//! read packages from (reference: section 4.3).

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::USER_AGENT};
use prestage_access::{Access, AccessError, Request, Server};
use tokio::runtime::Handle;
use url::Url;

use super::folder_listing::{Entry, of_multistatus, of_page};
use super::place::ContentPlace;
use crate::content_library::{ContentListing, LibraryError, ListedFile, entry_of_ini, without_ini};
use crate::ini::Ini;
use crate::text;

/// For Windows accounts or anybody, for those without a client certificate, for tokens (reference:
/// section 4.3).
const VIRTUAL_FOLDERS: [&str; 3] =
    ["SMS_DP_SMSPKG$", "NOCERT_SMS_DP_SMSPKG$", "CCMTOKENAUTH_SMS_DP_SMSPKG$"];
/// What clients call themselves (reference: section 4.3).
const CLIENT: HeaderValue = HeaderValue::from_static("SMS+CCM+5.0");
const PROPFIND: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
    <propfind xmlns=\"DAV:\"><prop><resourcetype/></prop></propfind>";
/// A folder's listing may have a hundred thousand entries.
const LISTING_BYTES_MAX: usize = 64 << 20;
/// An INI of DataLib has some hundred bytes.
const INI_BYTES_MAX: usize = 1 << 20;
/// INIs that are asked for at once; the server's own limit holds besides.
const AT_ONCE: usize = 16;

/// The content library of a distribution point that is reached over HTTP. Its methods block.
#[derive(Debug, Clone)]
pub struct HttpLibrary {
    server: Server,
    base: Url,
    runtime: Handle,
    /// Folders in `DataLib`: content IDs as they are spelled there.
    contents: Vec<String>,
}

impl HttpLibrary {
    /// Opens the library of the distribution point at `base`: in the virtual folder that `base` names,
    /// else in the first that lets us read. Blocking: call it off the runtime's threads.
    ///
    /// # Errors
    /// [`LibraryError::Remote`] when the distribution point does not list it.
    pub fn open(base: &Url, access: &Access, runtime: &Handle) -> Result<Self, LibraryError> {
        let wrong = |problem: String| LibraryError::Remote { address: base.to_string(), problem };
        let server = access.server(base).map_err(|error| wrong(error.to_string()))?;
        let base = runtime.block_on(virtual_folder(&server, base)).map_err(wrong)?;
        let mut library = Self { server, base, runtime: runtime.clone(), contents: Vec::new() };
        let data_lib = library.url(&["DataLib", ""]);
        let listed = runtime.block_on(library.folder(&data_lib))?;
        let listed = listed.ok_or_else(|| {
            wrong("it does not show its content library (DataLib) to this account".into())
        })?;
        let folders = listed.into_iter().filter(|entry| entry.is_folder);
        library.contents = folders.map(|entry| entry.name).collect();
        Ok(library)
    }

    /// Where its files are read from: the virtual folder.
    #[must_use]
    pub fn place(&self) -> ContentPlace {
        ContentPlace::Http(self.base.clone())
    }

    /// The versions of `stem` (`PS100012`, `Content_<guid>`) that `DataLib` has folders for, smallest
    /// first.
    #[must_use]
    pub fn versions_of(&self, stem: &str) -> Vec<u32> {
        let prefix = format!("{}.", stem.to_ascii_uppercase());
        let upper = self.contents.iter().map(|id| id.to_ascii_uppercase());
        let mut versions: Vec<u32> =
            upper.filter_map(|id| id.strip_prefix(&prefix)?.parse().ok()).collect();
        versions.sort_unstable();
        versions
    }

    /// Lists a content. Whether `FileLib` has its files is seen when they are read.
    ///
    /// # Errors
    /// [`LibraryError`] when it is not there, or its listing can't be read.
    pub fn list(&self, content_id: &str) -> Result<ContentListing, LibraryError> {
        let spelled = self.contents.iter().find(|known| known.eq_ignore_ascii_case(content_id));
        let spelled = spelled.ok_or_else(|| LibraryError::NoContent {
            library: self.base.to_string().into(),
            content_id: content_id.to_owned(),
        })?;
        self.runtime.block_on(self.list_content(content_id, spelled))
    }

    async fn list_content(
        &self,
        content_id: &str,
        spelled: &str,
    ) -> Result<ContentListing, LibraryError> {
        let (mut inis, mut directories) = (Vec::new(), Vec::new());
        let mut waiting = vec![(self.url(&["DataLib", spelled, ""]), String::new())];
        while let Some((url, prefix)) = waiting.pop() {
            let gone = || self.wrong(&url, "it is gone".into());
            for Entry { name, is_folder } in self.folder(&url).await?.ok_or_else(gone)? {
                let child = child(&url, &name, is_folder);
                if is_folder {
                    let inside = crate::content_library::checked(content_id, &prefix, &name)?;
                    directories.push(inside.clone());
                    waiting.push((child, inside));
                } else if let Some(stem) = without_ini(&name) {
                    let path = crate::content_library::checked(content_id, &prefix, stem)?;
                    inis.push((child, path));
                } else {
                    return Err(LibraryError::Stray { path: child.to_string().into() });
                }
            }
        }
        let files =
            futures::stream::iter(inis.into_iter().map(|(url, path)| self.entry(url, path)));
        let files: Vec<ListedFile> = files.buffer_unordered(AT_ONCE).try_collect().await?;
        let of_content = self.url(&["DataLib", &format!("{spelled}.INI")]);
        let hash = self.ini(&of_content).await?;
        let hash = hash.and_then(|ini| ini.get("Info", "Hash").map(str::to_owned));
        ContentListing::new(content_id.to_owned(), files, directories, hash)
    }

    async fn entry(&self, url: Url, path: String) -> Result<ListedFile, LibraryError> {
        let ini = self.ini(&url).await?.ok_or_else(|| self.wrong(&url, "it is gone".into()))?;
        entry_of_ini(&ini, url.as_str().as_ref(), path)
    }

    async fn ini(&self, url: &Url) -> Result<Option<Ini>, LibraryError> {
        let request = Request::get(url.clone()).with(USER_AGENT, CLIENT);
        let Some((_, body)) = self.ask(request, INI_BYTES_MAX).await? else {
            return Ok(None);
        };
        let text = text::decode(&body)
            .map_err(|source| LibraryError::Encoding { path: url.to_string().into(), source })?;
        Ok(Some(Ini::parse(&text)))
    }

    /// What is in a folder; `None` if it is not there.
    async fn folder(&self, url: &Url) -> Result<Option<Vec<Entry>>, LibraryError> {
        let method = Method::from_bytes(b"PROPFIND").map_err(|e| self.wrong(url, e.to_string()))?;
        let depth = (HeaderName::from_static("depth"), HeaderValue::from_static("1"));
        let headers = HeaderMap::from_iter([(USER_AGENT, CLIENT), depth]);
        let body = Bytes::from_static(PROPFIND.as_bytes());
        let request = Request { method, url: url.clone(), headers, body };
        if let Some((StatusCode::MULTI_STATUS, body)) = self.ask(request, LISTING_BYTES_MAX).await?
        {
            let body = String::from_utf8_lossy(&body);
            let entries = of_multistatus(url, &body);
            return entries.map(Some).map_err(|error| self.wrong(url, error.to_string()));
        }
        let request = Request::get(url.clone()).with(USER_AGENT, CLIENT);
        let page = self.ask(request, LISTING_BYTES_MAX).await?;
        Ok(page.map(|(_, body)| of_page(url, &String::from_utf8_lossy(&body))))
    }

    /// The answer's status and body; `None` for what is not there, or can't be asked in this way.
    async fn ask(
        &self,
        request: Request,
        limit: usize,
    ) -> Result<Option<(StatusCode, Bytes)>, LibraryError> {
        let (url, method) = (request.url.clone(), request.method.clone());
        let answer = self.server.send(request).await;
        let response = answer.map_err(|error| self.wrong(&url, error.to_string()))?;
        let status = response.status();
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
            return Err(self.wrong(&url, what.into()));
        }
        if !status.is_success() {
            return Err(self.wrong(&url, format!("it answers {status}")));
        }
        let body =
            response.body(limit).await.map_err(|error| self.wrong(&url, error.to_string()))?;
        let body =
            body.ok_or_else(|| self.wrong(&url, format!("it has more than {limit} bytes")))?;
        Ok(Some((status, body)))
    }

    fn wrong(&self, url: &Url, problem: String) -> LibraryError {
        LibraryError::Remote { address: url.to_string(), problem }
    }

    fn url(&self, names: &[&str]) -> Url {
        below(&self.base, names)
    }
}

/// The virtual folder to read from. One that refuses us is passed over; what is not there at all comes
/// out as the first, so that messages name the ordinary one.
async fn virtual_folder(server: &Server, base: &Url) -> Result<Url, String> {
    let last = base.path_segments().and_then(|mut names| names.rfind(|name| !name.is_empty()));
    let last = last.map(|name| name.to_ascii_uppercase().replace("%24", "$"));
    if last.is_some_and(|name| VIRTUAL_FOLDERS.contains(&name.as_str())) {
        return Ok(base.clone());
    }
    let first = below(base, &VIRTUAL_FOLDERS[..1]);
    for name in VIRTUAL_FOLDERS {
        let folder = below(base, &[name]);
        let request = Request::get(below(&folder, &["DataLib", ""])).with(USER_AGENT, CLIENT);
        let lets_us_in = match server.send(request).await {
            Ok(response) => match response.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => false,
                // The others are on a distribution point only if they show something.
                StatusCode::NOT_FOUND => folder == first,
                _ => true,
            },
            Err(AccessError::Refused { .. }) => false,
            Err(error) => return Err(error.to_string()),
        };
        if lets_us_in {
            return Ok(folder);
        }
    }
    Ok(first)
}

/// Where a file with this SHA-256 is, in the virtual folder `base`.
pub(super) fn file_url(base: &Url, sha256: &[u8; 32]) -> Url {
    let name = hex::encode_upper(sha256);
    below(base, &["FileLib", name.get(..4).unwrap_or_default(), &name])
}

fn below(base: &Url, names: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(names);
    }
    url
}

fn child(folder: &Url, name: &str, is_folder: bool) -> Url {
    let mut url = folder.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(name);
        if is_folder {
            segments.push("");
        }
    }
    url
}
