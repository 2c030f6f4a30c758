//! One server: its connections, and requests over them.
//!
//! A *lane* is one HTTP connection at a time with the identity it has proved: NTLM's proof belongs to the
//! connection. A request has a lane to itself until its answer's body is read or dropped; there are as
//! many lanes as the limits allow connections.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER},
};
use jiff::Zoned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::access_file::ServerTable;
use crate::error::{AccessError, address};
use crate::handshake::{Handshake, Scheme};
use crate::identity::{Account, Identity};
use crate::limits::{Limits, Pace};
use crate::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence for so long in the middle of an answer is the end of it.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that asks to be left alone for longer than this is not waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// NTLM takes two, Kerberos one or two.
const HANDSHAKE_LEGS_MAX: usize = 4;

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

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Whether sending it twice does no more than sending it once.
    fn is_repeatable(&self) -> bool {
        self.method.is_safe() || self.method.as_str() == "PROPFIND"
    }
}

/// A server's answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
    lane: LaneGuard,
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

    /// Its body, as it comes and as fast as the limits let it.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, AccessError>> + Send {
        let Self { inner, lane } = self;
        let url = inner.url().clone();
        let pieces = inner.bytes_stream();
        pieces.then(move |piece| {
            let limits = lane.server.limits.clone();
            let piece = piece.map_err(|error| AccessError::unreachable(&url, error));
            async move {
                if let Ok(piece) = &piece {
                    limits.take(piece.len() as u64, &Zoned::now()).await;
                }
                piece
            }
        })
    }

    /// Its whole body, if it has `limit` bytes or fewer; `None` if it has more.
    ///
    /// # Errors
    /// [`AccessError`] when it breaks off.
    pub async fn body(self, limit: usize) -> Result<Option<Bytes>, AccessError> {
        let mut stream = std::pin::pin!(self.stream());
        let mut body = BytesMut::new();
        while let Some(piece) = stream.try_next().await? {
            if body.len() + piece.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(body.freeze()))
    }
}

/// One server, reached as the access file says.
#[derive(Debug, Clone)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: Url,
    table: ServerTable,
    identity: Identity,
    limits: Limits,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<reqwest::Client>>,
}

/// A lane that is in use; it goes back when this is dropped.
#[derive(Debug)]
struct LaneGuard {
    server: Arc<Inner>,
    client: reqwest::Client,
    _permit: OwnedSemaphorePermit,
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        let mut idle = self.server.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self.client.clone());
    }
}

/// Why an attempt came to nothing.
enum Trouble {
    Passing(AccessError),
    Busy { status: StatusCode, after: Option<Duration> },
    Final(AccessError),
}

impl Server {
    pub(crate) fn new(url: &Url, table: &ServerTable) -> Result<Self, AccessError> {
        let limits = Limits::new(&table.limits);
        let identity = Identity::new(url, table)?;
        let first = client(url, table)?;
        Ok(Self(Arc::new(Inner {
            url: url.clone(),
            table: table.clone(),
            identity,
            free: Arc::new(Semaphore::new(limits.connections)),
            limits,
            idle: Mutex::new(vec![first]),
        })))
    }

    /// Its address without a path, for messages.
    #[must_use]
    pub fn address(&self) -> String {
        address(&self.0.url)
    }

    /// Sends a request and gives the answer, whatever its status but 401. Requests that can be repeated
    /// are, when the server can't be reached or is busy.
    ///
    /// # Errors
    /// [`AccessError`] when no answer comes, nobody is let in, or the limits forbid it now.
    pub async fn send(&self, request: Request) -> Result<Response, AccessError> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(300))
            .with_max_times(if request.is_repeatable() { 4 } else { 0 })
            .with_jitter();
        let sent = (|| self.attempt(&request)).retry(policy);
        let sent = sent.when(|trouble| !matches!(trouble, Trouble::Final(_)));
        let sent = sent.adjust(|trouble, delay| match trouble {
            Trouble::Busy { after: Some(after), .. } => delay.map(|delay| delay.max(*after)),
            _ => delay,
        });
        sent.await.map_err(|trouble| match trouble {
            Trouble::Passing(error) | Trouble::Final(error) => error,
            Trouble::Busy { status, .. } => AccessError::Unreachable {
                server: self.address(),
                problem: format!("it answers {status} again and again"),
            },
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Response, Trouble> {
        if let Pace::Closed { until } = self.0.limits.pace(&Zoned::now()) {
            return Err(Trouble::Final(AccessError::Closed { server: self.address(), until }));
        }
        let lane = self.lane().await.map_err(Trouble::Final)?;
        let inner =
            self.exchange(&lane, request).await.map_err(|error| match error.is_passing() {
                true => Trouble::Passing(error),
                false => Trouble::Final(error),
            })?;
        let status = inner.status();
        let busy = matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504);
        if busy && request.is_repeatable() {
            let after = retry_after(inner.headers());
            if after.is_none_or(|after| after <= RETRY_AFTER_MAX) {
                return Err(Trouble::Busy { status, after });
            }
        }
        Ok(Response { inner, lane })
    }

    async fn lane(&self) -> Result<LaneGuard, AccessError> {
        let server = self.0.clone();
        let permit = server.free.clone().acquire_owned().await;
        let gone = |_| AccessError::Unreachable {
            server: self.address(),
            problem: "this process is ending".into(),
        };
        let permit = permit.map_err(gone)?;
        let idle = server.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = match idle {
            Some(client) => client,
            None => client(&server.url, &server.table)?,
        };
        Ok(LaneGuard { server, client, _permit: permit })
    }

    async fn exchange(
        &self,
        lane: &LaneGuard,
        request: &Request,
    ) -> Result<reqwest::Response, AccessError> {
        let token = match &self.0.identity {
            Identity::Bearer(token) => Some(format!("Bearer {}", token.expose())),
            Identity::Anonymous | Identity::Windows(_) => None,
        };
        let first = over(lane, request, token).await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        let Identity::Windows(account) = &self.0.identity else {
            return Err(self.refused("it wants another identity; name one in the access file (user and password, token or client_certificate)"));
        };
        let Some(scheme) = Scheme::offered(first.headers()) else {
            return Err(self.refused("it offers no Windows authentication"));
        };
        // What is left of an answer would keep its connection from being used again.
        drop(first.bytes().await);
        match self.prove(lane, request, account, scheme).await? {
            Some(answer) => Ok(answer),
            None => Err(self.refused("check the user's name and password in the access file, and that the account may log on there and is not locked")),
        }
    }

    /// A handshake on the lane's connection; its last message is answered with what was asked for.
    /// `None` if the server was not convinced.
    async fn prove(
        &self,
        lane: &LaneGuard,
        request: &Request,
        account: &Account,
        scheme: Scheme,
    ) -> Result<Option<reqwest::Response>, AccessError> {
        let identity = |problem: String| AccessError::Identity {
            server: self.address(),
            who: self.0.identity.name(),
            problem,
        };
        let (host, account) =
            (self.0.url.host_str().unwrap_or_default().to_owned(), account.clone());
        let begun = off_thread(move || Handshake::new(scheme, &host, &account)).await;
        let mut handshake =
            begun.map_err(&identity)?.map_err(|error| identity(error.to_string()))?;
        let mut answer: Option<HeaderMap> = None;
        for _ in 0..HANDSHAKE_LEGS_MAX {
            let last = answer.take();
            let first = last.is_none();
            let stepped = off_thread(move || {
                let header = handshake.step(last.as_ref());
                (handshake, header)
            });
            let (same, header) = stepped.await.map_err(&identity)?;
            handshake = same;
            let header = match header {
                Ok(Some(header)) => header,
                Err(error) if first => return Err(identity(error.to_string())),
                // The server ends a handshake that does not convince it in ways of its own.
                Ok(None) | Err(_) => return Ok(None),
            };
            let response = over(lane, request, Some(header)).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(Some(response));
            }
            answer = Some(response.headers().clone());
            drop(response.bytes().await);
        }
        Ok(None)
    }

    fn refused(&self, advice: &str) -> AccessError {
        let who = self.0.identity.name();
        AccessError::Refused { server: self.address(), who, advice: advice.to_owned() }
    }
}

/// Handshakes compute, and may ask a KDC: away from the async threads.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

async fn over(
    lane: &LaneGuard,
    request: &Request,
    authorization: Option<String>,
) -> Result<reqwest::Response, AccessError> {
    let mut headers = request.headers.clone();
    if let Some(Ok(mut value)) = authorization.map(HeaderValue::try_from) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let sent = lane.client.request(request.method.clone(), request.url.clone());
    let sent = sent.headers(headers).body(request.body.clone()).send().await;
    sent.map_err(|error| AccessError::unreachable(&request.url, error))
}

/// One connection at a time: whoever holds the client sends one request after the other over it. No
/// redirect is followed, so that nothing is proved to another server.
fn client(url: &Url, table: &ServerTable) -> Result<reqwest::Client, AccessError> {
    let builder = reqwest::Client::builder()
        .http1_only()
        .pool_max_idle_per_host(1)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    let builder = tls::configure(builder, url, table)?;
    builder.build().map_err(|error| AccessError::unreachable(url, error))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
