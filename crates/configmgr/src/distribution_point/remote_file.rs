//! A file of a distribution point over HTTP: read from its beginning, or by ranges, and noticed if it
//! changes meanwhile.

use std::io::{self, Read};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, RANGE},
};
use prestage_access::{AccessError, Request, Response, Server};
use tokio::runtime::Handle;
use url::Url;

/// A long file may lose its connection; one that loses it again and again is read elsewhere.
const RESUMES_MAX: u32 = 5;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, AccessError>> + Send>>;

/// One file on one distribution point.
#[derive(Debug)]
pub struct RemoteFile {
    server: Server,
    url: Url,
    name: String,
    size: u64,
    /// What the server called this version of the file when it was first asked.
    version: Mutex<Option<HeaderValue>>,
}

impl RemoteFile {
    pub(super) fn new(server: Server, url: Url, name: String, size: u64) -> Self {
        Self { server, url, name, size, version: Mutex::new(None) }
    }

    /// Bytes, as its listing says.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its path inside the content.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of a range, all of them.
    ///
    /// # Errors
    /// As [`RemoteFile::reader`].
    pub async fn read_range(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let body = self.ask(range).await?.body(wanted).await.map_err(io::Error::other)?;
        let body = body.ok_or_else(|| self.wrong("it answers with more than was asked for"))?;
        match body.len() == wanted {
            true => Ok(body),
            false => {
                Err(io::Error::other(format!("{}: the answer broke off", self.server.address())))
            }
        }
    }

    /// Reads `bytes` from `offset` on. Blocking. A connection that breaks is taken up where it broke.
    ///
    /// # Errors
    /// Reads fail with [`io::ErrorKind::InvalidData`] when the file is gone or has changed; others when
    /// the distribution point can't be read now.
    pub fn reader(self: Arc<Self>, offset: u64, bytes: u64, runtime: Handle) -> impl Read + Send {
        let end = offset.saturating_add(bytes);
        RemoteReader {
            file: self,
            at: offset,
            end,
            pieces: None,
            rest: Bytes::new(),
            resumes: 0,
            runtime,
        }
    }

    async fn ask(&self, range: Range<u64>) -> io::Result<Response> {
        let whole = range == (0..self.size);
        let mut request = Request::get(self.url.clone());
        if !whole {
            let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            request = request.with(RANGE, HeaderValue::try_from(value).map_err(io::Error::other)?);
        }
        let response = self.server.send(request).await.map_err(io::Error::other)?;
        match (response.status(), whole) {
            (StatusCode::OK, true) | (StatusCode::PARTIAL_CONTENT, _) => {}
            (StatusCode::OK, false) => {
                return Err(self.wrong("it answers ranges with the whole file"));
            }
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => return Err(self.wrong("it is gone")),
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => {
                return Err(self.wrong("it is shorter than its listing says"));
            }
            (status, _) => {
                let what = format!("{}: '{}': {status}", self.server.address(), self.name);
                return Err(io::Error::other(what));
            }
        }
        self.check(response.headers(), &range)?;
        Ok(response)
    }

    /// The range must be the one that was asked for, of a file of the listed size, of the same version.
    fn check(&self, headers: &HeaderMap, range: &Range<u64>) -> io::Result<()> {
        if let Some(told) = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()) {
            let asked = format!("bytes {}-{}/", range.start, range.end.saturating_sub(1));
            let whole = told
                .strip_prefix(&asked)
                .ok_or_else(|| self.wrong("it answers with another range"))?;
            if whole.trim() != "*" && whole.trim().parse() != Ok(self.size) {
                return Err(self.wrong("its size is not that of its listing"));
            }
        } else if let Some(length) = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok())
            && length.parse() != Ok(range.end - range.start)
        {
            return Err(self.wrong("its size is not that of its listing"));
        }
        let Some(version) = headers.get(ETAG).or(headers.get(LAST_MODIFIED)) else {
            return Ok(());
        };
        let mut known = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        match plain(known.get_or_insert_with(|| version.clone())) == plain(version) {
            true => Ok(()),
            false => Err(self.wrong("it changed while it was read")),
        }
    }

    fn wrong(&self, what: &str) -> io::Error {
        let text = format!("{}: '{}': {what}", self.server.address(), self.name);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

/// A tag without its mark of weakness, which servers drop as soon as a file is old enough: one that was
/// just distributed would seem to change otherwise.
fn plain(version: &HeaderValue) -> &[u8] {
    let bytes = version.as_bytes();
    bytes.strip_prefix(b"W/").unwrap_or(bytes)
}

struct RemoteReader {
    file: Arc<RemoteFile>,
    at: u64,
    end: u64,
    pieces: Option<Pieces>,
    rest: Bytes,
    resumes: u32,
    runtime: Handle,
}

impl RemoteReader {
    /// The next piece; none at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        while self.at < self.end {
            let pieces = match &mut self.pieces {
                Some(pieces) => pieces,
                None => {
                    let response = self.runtime.block_on(self.file.ask(self.at..self.end))?;
                    self.pieces.insert(Box::pin(response.stream()))
                }
            };
            let mut stalled = false;
            let broken = match self.runtime.block_on(pieces.next()) {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) if piece.len() as u64 <= self.end - self.at => return Ok(piece),
                Some(Ok(_)) => return Err(self.file.wrong("it is longer than its listing says")),
                Some(Err(error)) => {
                    stalled = matches!(error, AccessError::Stalled { .. });
                    io::Error::other(error)
                }
                None => io::Error::other(format!(
                    "{}: the answer broke off",
                    self.file.server.address()
                )),
            };
            self.pieces = None;
            // One that gives nothing is asked once more, where its connection died without a word.
            self.resumes =
                if stalled { RESUMES_MAX.max(self.resumes + 1) } else { self.resumes + 1 };
            if self.resumes > RESUMES_MAX {
                return Err(broken);
            }
            tracing::debug!(file = self.file.name, at = self.at, %broken, "taken up again");
        }
        Ok(Bytes::new())
    }
}

impl Read for RemoteReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.next()?;
            self.at += self.rest.len() as u64;
        }
        let take = out.len().min(self.rest.len());
        let piece = self.rest.split_to(take);
        if let Some(out) = out.get_mut(..take) {
            out.copy_from_slice(&piece);
        }
        Ok(take)
    }
}
