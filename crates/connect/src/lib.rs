//! How clients and workers reach one of several coordinators.
//!
//! [`Coordinators`] is what gRPC clients call through. It stays with the coordinator that answered
//! last; when that one does not answer, it asks the next. All calls of the protocol may be repeated:
//! requests to build carry an id, and what workers say is the whole of what they do.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answers;
mod secure;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use prestage_telemetry::TRACEPARENT;
use prestage_trust::client::ClientTrust;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower::{Service, ServiceExt};

use answers::{did_not_answer, no_answer};

pub use secure::{ChannelError, channel_to};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// With several coordinators there is another one to ask.
const CONNECT_WITHIN_OF_SEVERAL: Duration = Duration::from_secs(3);
/// A connection on which nothing is heard is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(20);
/// The same where another one may have taken over.
const PING_AFTER_OF_SEVERAL: Duration = Duration::from_secs(5);
const SIGN_OF_LIFE_WITHIN: Duration = Duration::from_secs(20);
const SIGN_OF_LIFE_WITHIN_OF_SEVERAL: Duration = Duration::from_secs(5);
/// Pauses between rounds of questions to all of them.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Largest status that clients take, in bytes; the same as the coordinator's.
const STATUS_BYTES_MAX: u32 = 1 << 20;

/// A text names no coordinators.
#[derive(Debug, thiserror::Error)]
#[error("'{url}' is no coordinator's URL: {problem}")]
pub struct NotCoordinators {
    url: String,
    problem: String,
}

/// One coordinator, or several that stand by for one another.
#[derive(Clone)]
pub struct Coordinators {
    channels: Arc<[Channel]>,
    /// The one to ask, modulo their number.
    at: Arc<AtomicUsize>,
    patience: Duration,
    /// What is shown with each call.
    trust: Arc<ClientTrust>,
}

impl From<Channel> for Coordinators {
    fn from(channel: Channel) -> Self {
        Self::reached_by([channel])
    }
}

impl Coordinators {
    /// Those that a list of URLs names, separated by commas. It connects with the first call.
    pub fn named(urls: &str, trust: ClientTrust) -> Result<Self, NotCoordinators> {
        let several = urls.contains(',');
        let channels = urls.split(',').map(|url| channel(url.trim(), several, &trust));
        let channels = channels.collect::<Result<_, _>>()?;
        let trust = Arc::new(trust);
        Ok(Self { channels, at: Arc::default(), patience: Duration::ZERO, trust })
    }

    /// Those at the ends of channels.
    pub fn reached_by(channels: impl IntoIterator<Item = Channel>) -> Self {
        Self {
            channels: channels.into_iter().collect(),
            at: Arc::default(),
            patience: Duration::ZERO,
            trust: Arc::default(),
        }
    }

    /// The same, asking again and again for so long if none of several answers: one may be taking
    /// over. A single one is asked once.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether another one may go on where one ends.
    pub fn are_several(&self) -> bool {
        self.channels.len() > 1
    }

    /// Asks each of them once, until one answers.
    async fn ask_all(&self, request: &Asked) -> Result<http::Response<Body>, Error> {
        let count = self.channels.len();
        let mut left = count;
        loop {
            let at = self.at.load(Ordering::Relaxed);
            let answer = ask(self.channels[at % count].clone(), request.clone()).await;
            left -= 1;
            if !did_not_answer(&answer) {
                return answer;
            }
            // Unless another call has moved on already.
            let _ = self.at.compare_exchange(
                at,
                at.wrapping_add(1),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if left == 0 {
                return answer;
            }
        }
    }

    /// Adds the caller's token, if there is one. Its file is read for each call: tokens are short-lived,
    /// and something else renews them.
    async fn show_token(&self, head: &mut http::request::Parts) -> Result<(), Status> {
        if self.trust.token.is_none() {
            return Ok(());
        }
        let trust = self.trust.clone();
        let read = tokio::task::spawn_blocking(move || trust.bearer()).await;
        let read = read.map_err(|error| Status::internal(error.to_string()))?;
        let bearer = read.map_err(|error| Status::unauthenticated(error.to_string()))?;
        if let Some(bearer) = bearer
            && let Ok(mut value) = HeaderValue::from_str(bearer.expose())
        {
            value.set_sensitive(true);
            head.headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    async fn ask_patiently(&self, request: Asked) -> Result<http::Response<Body>, Error> {
        let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_MIN);
        let pauses = pauses.with_max_delay(PAUSE_MAX).without_max_times().with_jitter().build();
        let started = tokio::time::Instant::now();
        let mut answer = self.ask_all(&request).await;
        for pause in pauses {
            let waited = started.elapsed();
            if !self.are_several() || !did_not_answer(&answer) || waited >= self.patience {
                break;
            }
            tokio::time::sleep(pause).await;
            answer = self.ask_all(&request).await;
        }
        answer
    }
}

impl Service<http::Request<Body>> for Coordinators {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        let traceparent = prestage_telemetry::traceparent(&tracing::Span::current());
        Box::pin(async move {
            // One message; it is kept for the next coordinator.
            let (mut head, body) = request.into_parts();
            // The call belongs to the caller's trace.
            if let Ok(traceparent) = HeaderValue::try_from(traceparent)
                && !traceparent.is_empty()
            {
                head.headers.insert(TRACEPARENT, traceparent);
            }
            if let Err(status) = this.show_token(&mut head).await {
                return Ok(status.into_http());
            }
            match body.collect().await {
                Ok(body) => {
                    let answer = this.ask_patiently(Asked { head, body: body.to_bytes() }).await;
                    Ok(answer.unwrap_or_else(|error| no_answer(&error).into_http()))
                }
                Err(status) => Ok(Status::into_http(status)),
            }
        })
    }
}

/// A request that can be made again.
#[derive(Clone)]
struct Asked {
    head: http::request::Parts,
    body: Bytes,
}

async fn ask(mut channel: Channel, asked: Asked) -> Result<http::Response<Body>, Error> {
    let body = Body::new(Full::new(asked.body));
    channel.ready().await?.call(http::Request::from_parts(asked.head, body)).await
}

fn channel(url: &str, several: bool, trust: &ClientTrust) -> Result<Channel, NotCoordinators> {
    let wrong = |problem: String| NotCoordinators { url: url.to_owned(), problem };
    let endpoint = endpoint(url, several).map_err(|error| wrong(error.to_string()))?;
    channel_to(endpoint, trust).map_err(|error| wrong(error.to_string()))
}

/// A coordinator's endpoint. One that is silent is asked for a sign of life, sooner where there are several: to
/// whoever waits, a connection that broke without a word (a firewall, a network that was away) is alive for ever.
pub fn endpoint(url: &str, several: bool) -> Result<Endpoint, Error> {
    let (connect, ping, sign) = match several {
        true => (CONNECT_WITHIN_OF_SEVERAL, PING_AFTER_OF_SEVERAL, SIGN_OF_LIFE_WITHIN_OF_SEVERAL),
        false => (CONNECT_WITHIN, PING_AFTER, SIGN_OF_LIFE_WITHIN),
    };
    Ok(Endpoint::from_shared(url.to_owned())?
        .connect_timeout(connect)
        .http2_max_header_list_size(STATUS_BYTES_MAX)
        .http2_keep_alive_interval(ping)
        .keep_alive_timeout(sign)
        .keep_alive_while_idle(true))
}
