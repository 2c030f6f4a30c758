//! One server, and requests to it.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::error::AccessError;

/// A request. Its body is sent again when the server asks for another proof of identity.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, `PROPFIND` …
    pub method: Method,
    /// Absolute.
    pub url: Url,
    /// Besides those for authentication.
    pub headers: HeaderMap,
    /// Empty for none.
    pub body: Bytes,
}

impl Request {
    /// A `GET` without headers.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// A server's answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
}

impl Response {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Its body, as it comes.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, AccessError>> + Send {
        let url = self.inner.url().clone();
        self.inner
            .bytes_stream()
            .map(move |piece| piece.map_err(|e| AccessError::unreachable(&url, e)))
    }
}

/// One server, reached as the access file says.
#[derive(Debug, Clone)]
pub struct Server {
    client: reqwest::Client,
}

impl Server {
    pub(crate) fn new(url: &Url) -> Result<Self, AccessError> {
        let client = reqwest::Client::builder().build();
        Ok(Self { client: client.map_err(|error| AccessError::unreachable(url, error))? })
    }

    /// Sends a request and gives the answer, whatever its status.
    ///
    /// # Errors
    /// [`AccessError`] when no answer comes.
    pub async fn send(&self, request: Request) -> Result<Response, AccessError> {
        let Request { method, url, headers, body } = request;
        let sent = self.client.request(method, url.clone()).headers(headers).body(body).send();
        let inner = sent.await.map_err(|error| AccessError::unreachable(&url, error))?;
        Ok(Response { inner })
    }
}
