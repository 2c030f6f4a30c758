//! Uploads that must make progress.
//!
//! A server, or a line, that takes the bytes of an upload too slowly or no more at all is given up, so that
//! the request is sent again; one that is slow but gets on may take as long as it takes. The client
//! library's own limit is for a request as a whole and can't tell the two apart, so larger bodies are sent
//! by a client of ours, in small pieces: a connection asks for the next one when it has got rid of the last.

mod client;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService, ReqwestConnector,
    },
};

/// Bytes that are handed over at once. A smaller body is no upload.
const PIECE: usize = 64 << 10;

/// The least progress that an upload must make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadFloor {
    /// So many bytes at least must be taken …
    pub bytes: u64,
    /// … in so much time.
    pub within: Duration,
}

impl Default for UploadFloor {
    /// 64 KiB in 30 seconds, as of sources.
    fn default() -> Self {
        Self { bytes: PIECE as u64, within: Duration::from_secs(30) }
    }
}

/// An upload was given up.
#[derive(Debug, thiserror::Error)]
pub enum Stalled {
    /// Its bytes were not taken.
    #[error(
        "the server took {sent} of {bytes} bytes, and hardly any in the last {seconds} seconds"
    )]
    Body {
        /// Bytes taken.
        sent: u64,
        /// Bytes of it all.
        bytes: u64,
        /// How long nothing much happened.
        seconds: f32,
    },
    /// All of it was taken.
    #[error("the server took all bytes, but has not answered in {0} seconds")]
    Answer(f32),
}

/// How much of a body was handed over.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    bytes: u64,
    sent: Arc<AtomicU64>,
}

impl Sent {
    fn get(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A body of `bytes` in small pieces, and how much of it was handed over.
pub(crate) fn counted<E>(
    bytes: u64,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> (impl Stream<Item = Result<Bytes, E>>, Sent) {
    let sent = Sent { bytes, sent: Arc::default() };
    let counter = sent.sent.clone();
    let pieces = body.flat_map(|piece| {
        let pieces: Vec<_> = match piece {
            Ok(mut rest) => std::iter::from_fn(move || {
                let piece = rest.split_to(rest.len().min(PIECE));
                (!piece.is_empty()).then_some(Ok(piece))
            })
            .collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(pieces)
    });
    let pieces = pieces.inspect(move |piece| {
        let taken = piece.as_ref().map_or(0, Bytes::len);
        counter.fetch_add(taken as u64, Ordering::Relaxed);
    });
    (pieces, sent)
}

/// Waits for the answer to an upload, as long as the upload makes progress; then for `answer_within` more.
pub(crate) async fn while_it_gets_on<T>(
    request: impl Future<Output = T>,
    sent: Sent,
    floor: UploadFloor,
    answer_within: Duration,
) -> Result<T, Stalled> {
    let mut request = pin!(request);
    let mut seen = 0;
    while sent.get() < sent.bytes {
        match tokio::time::timeout(floor.within, &mut request).await {
            Ok(answer) => return Ok(answer),
            Err(_) => {
                let (now, bytes) = (sent.get(), sent.bytes);
                // Of the last bytes there may be few left.
                if now < bytes && now - seen < floor.bytes {
                    let seconds = floor.within.as_secs_f32();
                    return Err(Stalled::Body { sent: now, bytes, seconds });
                }
                seen = now;
            }
        }
    }
    let answered = tokio::time::timeout(answer_within, request).await;
    answered.map_err(|_| Stalled::Answer(answer_within.as_secs_f32()))
}

/// How requests travel where it is not over a network: to a store within this process.
#[derive(Clone, Debug)]
pub struct Transport(Arc<HttpClient>);

impl Transport {
    /// By this service.
    pub fn new(service: impl HttpService) -> Self {
        Self(Arc::new(HttpClient::new(service)))
    }

    pub(crate) fn client(&self) -> &HttpClient {
        &self.0
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Transport {}

/// Makes clients of the client library that hold uploads to a floor.
#[derive(Debug)]
pub(crate) struct WatchedUploads {
    pub floor: UploadFloor,
    pub transport: Option<Transport>,
}

impl HttpConnector for WatchedUploads {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(transport) = &self.transport {
            return Ok(transport.client().clone());
        }
        let others = ReqwestConnector::default().connect(options)?;
        let uploads = client::for_uploads(options).map_err(|source| {
            let source = Box::new(source.without_url());
            object_store::Error::Generic { store: "HTTP client", source }
        })?;
        let answer_within = client::time_for_answers(options);
        Ok(HttpClient::new(Uploads { others, uploads, floor: self.floor, answer_within }))
    }
}

#[derive(Debug)]
struct Uploads {
    /// For requests without much of a body.
    others: HttpClient,
    uploads: reqwest::Client,
    floor: UploadFloor,
    answer_within: Duration,
}

#[async_trait]
impl HttpService for Uploads {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let bytes = request.body().content_length();
        if bytes < PIECE {
            return self.others.execute(request).await;
        }
        let (mut head, body) = request.into_parts();
        head.headers.insert(CONTENT_LENGTH, bytes.into());
        let (body, sent) = counted(bytes as u64, body.into_data_stream());
        let request = http::Request::from_parts(head, reqwest::Body::wrap_stream(body));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let answer = self.uploads.execute(request);
        let answer = while_it_gets_on(answer, sent, self.floor, self.answer_within).await;
        let answer = answer.map_err(|stalled| HttpError::new(HttpErrorKind::Timeout, stalled))?;
        let (head, body) = http::Response::from(answer.map_err(failed)?).into_parts();
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body.map_err(failed))))
    }
}

/// What broke off may be sent again if it may be repeated at all; the client library sees to that.
fn failed(error: reqwest::Error) -> HttpError {
    let kind = match (error.is_connect(), error.is_timeout()) {
        (true, _) => HttpErrorKind::Connect,
        (_, true) => HttpErrorKind::Timeout,
        _ => HttpErrorKind::Interrupted,
    };
    // The address may be signed.
    HttpError::new(kind, error.without_url())
}
