//! Requests that the client library has no call for: sent as they are, told apart in errors.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::Request;
use object_store::PutPayload;
use object_store::client::{HttpError, HttpRequestBody};
use serde::Deserialize;

use super::error::ComposeError;
use crate::options::StoreOptions;
use crate::uploads::{Sent, Stalled, Transport, UploadFloor, counted, while_it_gets_on};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A server may be silent for long while it copies a gibibyte.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Most bytes of an answer that are read: a list of 100 000 blocks has about 10 MiB.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// Sends the requests; connections are used again.
#[derive(Debug, Default)]
pub(super) struct Http {
    transport: Option<Transport>,
    client: OnceLock<reqwest::Client>,
}

/// What a request is for, in words of an error: `copy part 3 of`, `s3://media/w.wim`.
pub(super) struct Step {
    action: String,
    dst: String,
}

/// What a server said.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Http {
    /// Sends them as `options` say.
    pub fn of(options: &StoreOptions) -> Self {
        Self { transport: options.transport().cloned(), client: OnceLock::new() }
    }

    /// Sends a request; any answer is good enough here.
    pub async fn send(
        &self,
        step: &Step,
        request: Request<PutPayload>,
    ) -> Result<Answer, ComposeError> {
        if let Some(transport) = &self.transport {
            return given(transport, request).await.map_err(|source| step.unreachable(source));
        }
        let (request, progress) = streamed(request);
        let sent = async {
            let answer = self.client()?.execute(request.try_into()?).await?;
            let status = answer.status().as_u16();
            Ok(Answer { status, body: limited(answer).await? })
        };
        let sent = while_it_gets_on(sent, progress, UploadFloor::default(), ANSWER_WITHIN).await;
        sent.map_err(|stalled| step.stalled(stalled))?
            .map_err(|source: reqwest::Error| step.unreachable(source.without_url()))
    }

    fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

async fn given(transport: &Transport, request: Request<PutPayload>) -> Result<Answer, HttpError> {
    let answer = transport.client().execute(request.map(HttpRequestBody::from)).await?;
    let status = answer.status().as_u16();
    Ok(Answer { status, body: answer.into_body().bytes().await?.into() })
}

/// The pieces of a body are sent as they are, without being put together first. Whoever asks has
/// set the length.
fn streamed(request: Request<PutPayload>) -> (Request<reqwest::Body>, Sent) {
    let (head, body) = request.into_parts();
    let bytes = body.content_length();
    let pieces = stream::iter(body.into_iter().map(std::io::Result::Ok));
    let (pieces, sent) = counted(bytes as u64, pieces);
    let body = match bytes {
        0 => reqwest::Body::from(Bytes::new()),
        _ => reqwest::Body::wrap_stream(pieces),
    };
    (Request::from_parts(head, body), sent)
}

async fn limited(mut answer: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_LIMIT {
            break;
        }
    }
    Ok(body)
}

impl Step {
    pub fn new(action: impl Into<String>, dst: impl Into<String>) -> Self {
        Self { action: action.into(), dst: dst.into() }
    }

    /// The server said no.
    pub fn refused(&self, status: u16, refusal: Refusal) -> ComposeError {
        ComposeError::Refused {
            action: self.action.clone(),
            dst: self.dst.clone(),
            status,
            code: refusal.code.unwrap_or_else(|| "no code".to_owned()),
            message: refusal.message.unwrap_or_else(|| "no message".to_owned()),
        }
    }

    /// The request can't be made of what was given.
    pub fn unsendable(&self, source: http::Error) -> ComposeError {
        let message = source.to_string();
        self.refused(0, Refusal { code: None, message: Some(message) })
    }

    fn stalled(&self, source: Stalled) -> ComposeError {
        ComposeError::Stalled { action: self.action.clone(), dst: self.dst.clone(), source }
    }

    fn unreachable(&self, source: impl Error + Send + Sync + 'static) -> ComposeError {
        let source = Box::new(source);
        ComposeError::Unreachable { action: self.action.clone(), dst: self.dst.clone(), source }
    }
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as XML. Azure begins it with a byte order mark.
    pub fn xml<T: for<'a> Deserialize<'a>>(&self) -> Option<T> {
        let text = String::from_utf8_lossy(&self.body);
        quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).ok()
    }

    /// The error that the body tells, as S3 and Azure do.
    pub fn refusal(&self) -> Refusal {
        self.xml().unwrap_or_default()
    }
}

/// An `Error` document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "Code")]
    pub code: Option<String>,
    #[serde(rename = "Message")]
    pub message: Option<String>,
}

impl Refusal {
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}
