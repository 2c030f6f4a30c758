//! One HTTP/1.1 connection. Pools of connections won't do: a proof of identity belongs to a connection,
//! and a pool may send the next message over another one.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header::HOST};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::error::{AccessError, address};
use crate::server::Request;
use crate::tls::Tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects to the server of `url`.
    pub(crate) async fn open(url: &Url, tls: &Tls) -> Result<Self, AccessError> {
        let opened = tokio::time::timeout(CONNECT_TIMEOUT, Self::connect(url, tls)).await;
        opened.unwrap_or_else(|_| {
            let problem = format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs());
            Err(AccessError::Unreachable { server: address(url), problem })
        })
    }

    async fn connect(url: &Url, tls: &Tls) -> Result<Self, AccessError> {
        let failed = |error: &dyn std::error::Error| AccessError::unreachable(url, error);
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|e| failed(&e))?;
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        if url.scheme() != "https" {
            return Self::speak(TokioIo::new(stream), url).await;
        }
        let name = ServerName::try_from(host).map_err(|error| failed(&error))?;
        let secured = TlsConnector::from(tls.0.clone()).connect(name, stream).await;
        Self::speak(TokioIo::new(secured.map_err(|error| failed(&error))?), url).await
    }

    async fn speak<S>(stream: TokioIo<S>, url: &Url) -> Result<Self, AccessError>
    where
        TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        let spoken = http1::handshake(stream).await;
        let (sender, connection) = spoken.map_err(|error| AccessError::unreachable(url, &error))?;
        // It ends when the sender is dropped, or the server closes it: seen at the next request.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        Ok(Self { sender })
    }

    /// Whether the server has not closed it.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer, at most for `within`.
    pub(crate) async fn send(
        &mut self,
        request: &Request,
        authorization: Option<HeaderValue>,
        within: Duration,
    ) -> Result<http::Response<Incoming>, AccessError> {
        let url = &request.url;
        let failed = |error: &dyn std::error::Error| AccessError::unreachable(url, error);
        let message = message(request, authorization).map_err(|error| failed(&error))?;
        let answer = tokio::time::timeout(within, async {
            self.sender.ready().await?;
            self.sender.send_request(message).await
        });
        let silent = |_| AccessError::Stalled {
            server: address(url),
            problem: format!("no answer within {} seconds", within.as_secs_f32()),
        };
        answer.await.map_err(silent)?.map_err(|error| failed(&error))
    }
}

fn message(
    request: &Request,
    authorization: Option<HeaderValue>,
) -> Result<http::Request<Full<Bytes>>, http::Error> {
    let url = &request.url;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut message = http::Request::builder().method(request.method.clone()).uri(target);
    if let Some(headers) = message.headers_mut() {
        headers.extend(request.headers.clone());
        headers.insert(HOST, HeaderValue::try_from(host)?);
        if let Some(authorization) = authorization {
            headers.insert(http::header::AUTHORIZATION, authorization);
        }
        if request.body.is_empty() && request.method == Method::POST {
            headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }
    message.body(Full::new(request.body.clone()))
}
