//! One server: its connections, and requests over them.
//!
//! A *lane* is one HTTP connection at a time with the identity it has proved: NTLM's proof belongs to the
//! connection. A request has a lane to itself until its answer's body is read or dropped; there are as
//! many lanes as the limits allow connections.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyDataStream, BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::Zoned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::access_file::ServerTable;
use crate::connection::Connection;
use crate::error::{AccessError, address};
use crate::floor::{Floor, Patience};
use crate::handshake::{Handshake, Scheme};
use crate::identity::{Account, Identity};
use crate::limits::{Limits, Pace};
use crate::tls::Tls;

/// A page that says "401" has some KiB.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// A server that asks to be left alone for longer than this is not waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// An answer may take so many times as long to begin as a stretch of it may take: a large query is
/// thought about first.
const THINKING: u32 = 2;
/// A silent server is asked once more: the connection may have died without a word, where a router
/// forgot it.
const SILENT_TRIES: u32 = 2;
/// NTLM takes two, Kerberos one or two.
const HANDSHAKE_LEGS_MAX: usize = 4;

/// A request. Its body is sent again when the server asks for another proof of identity.
#[derive(Clone)]
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
    inner: http::Response<Incoming>,
    lane: Lane,
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

    /// Its body, as it comes and as fast as the limits let it. When it is read to its end, its
    /// connection is there for the next request.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, AccessError>> + Send {
        let body = BodyDataStream::new(self.inner.into_body());
        let patience = Patience::new(self.lane.server.floor);
        futures::stream::unfold(Some((body, self.lane, patience)), |state| async {
            let (mut body, mut lane, mut patience) = state?;
            let asked = Instant::now();
            let piece = match tokio::time::timeout(patience.left(), body.next()).await {
                Ok(None) => {
                    lane.finished = true;
                    return None;
                }
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => {
                    return Some((Err(AccessError::unreachable(&lane.server.url, &error)), None));
                }
                Err(_) => return Some((Err(lane.server.stalled()), None)),
            };
            patience.came(piece.len() as u64, asked.elapsed());
            // This waiting is ours, and not counted.
            lane.server.limits.take(piece.len() as u64, &Zoned::now()).await;
            Some((Ok(piece), Some((body, lane, patience))))
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

struct Inner {
    url: Url,
    identity: Identity,
    limits: Limits,
    tls: Tls,
    floor: Floor,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who we are there is nobody's business.
        f.debug_struct("Server").field("url", &self.address()).finish_non_exhaustive()
    }
}

impl Inner {
    fn address(&self) -> String {
        address(&self.url)
    }

    fn stalled(&self) -> AccessError {
        AccessError::Stalled { server: self.address(), problem: self.floor.to_string() }
    }
}

/// A lane that is in use. Its connection goes back when the answer was read to its end; what is left of
/// one would be taken for the next answer.
#[derive(Debug)]
struct Lane {
    server: Arc<Inner>,
    connection: Option<Connection>,
    finished: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lane {
    async fn send(
        &mut self,
        request: &Request,
        authorization: Option<String>,
    ) -> Result<http::Response<Incoming>, AccessError> {
        let authorization = authorization.and_then(|text| HeaderValue::try_from(text).ok());
        let authorization = authorization.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let connection = match self.connection.take().filter(Connection::is_open) {
            Some(connection) => connection,
            None => Connection::open(&self.server.url, &self.server.tls).await?,
        };
        let within = self.server.floor.within * THINKING;
        self.connection.insert(connection).send(request, authorization, within).await
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.finished) {
            self.server.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// Why an attempt came to nothing.
enum Trouble {
    Passing(AccessError),
    Busy { status: StatusCode, after: Option<Duration> },
    Final(AccessError),
}

impl Server {
    pub(crate) fn new(url: &Url, table: &ServerTable, floor: Floor) -> Result<Self, AccessError> {
        let limits = Limits::new(&table.limits);
        Ok(Self(Arc::new(Inner {
            url: url.clone(),
            identity: Identity::new(url, table)?,
            tls: Tls::new(url, table)?,
            floor,
            free: Arc::new(Semaphore::new(limits.connections)),
            limits,
            idle: Mutex::new(Vec::new()),
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
        let mut silent = 0;
        let sent = sent.when(move |trouble| {
            silent += u32::from(matches!(trouble, Trouble::Passing(AccessError::Stalled { .. })));
            !matches!(trouble, Trouble::Final(_)) && silent < SILENT_TRIES
        });
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
        let mut lane = self.lane().await.map_err(Trouble::Final)?;
        if !request.is_repeatable() {
            // The server may be closing the one that is at hand, and there is one try.
            lane.connection = None;
        }
        let inner =
            self.exchange(&mut lane, request).await.map_err(|error| match error.is_passing() {
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

    async fn lane(&self) -> Result<Lane, AccessError> {
        let server = self.0.clone();
        let permit = server.free.clone().acquire_owned().await;
        let gone = |_| AccessError::Unreachable {
            server: self.address(),
            problem: "this process is ending".into(),
        };
        let permit = permit.map_err(gone)?;
        let connection = server.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lane { server, connection, finished: false, _permit: permit })
    }

    async fn exchange(
        &self,
        lane: &mut Lane,
        request: &Request,
    ) -> Result<http::Response<Incoming>, AccessError> {
        let token = match &self.0.identity {
            Identity::Bearer(token) => Some(format!("Bearer {}", token.expose())),
            Identity::Anonymous | Identity::Windows(_) => None,
        };
        let first = lane.send(request, token).await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return Ok(first);
        }
        let account = match &self.0.identity {
            Identity::Windows(account) => account,
            Identity::Bearer(_) => {
                return Err(self.refused("check that the token is for this server, and renew it"));
            }
            Identity::Anonymous => {
                return Err(self.refused("it wants another identity; name one in the access file (user and password, token or client_certificate)"));
            }
        };
        let Some(scheme) = Scheme::offered(first.headers()) else {
            return Err(self.refused("it offers no Windows authentication"));
        };
        self.drain(first).await?;
        match self.prove(lane, request, account, scheme).await? {
            Some(answer) => Ok(answer),
            None => Err(self.refused("check the user's name and password in the access file, and that the account may log on there and is not locked")),
        }
    }

    /// A handshake on the lane's connection; its last message is answered with what was asked for.
    /// `None` if the server was not convinced.
    async fn prove(
        &self,
        lane: &mut Lane,
        request: &Request,
        account: &Account,
        scheme: Scheme,
    ) -> Result<Option<http::Response<Incoming>>, AccessError> {
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
            let response = lane.send(request, Some(header)).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(Some(response));
            }
            answer = Some(response.headers().clone());
            self.drain(response).await?;
        }
        Ok(None)
    }

    /// What is left of an answer would keep its connection from being used again.
    async fn drain(&self, response: http::Response<Incoming>) -> Result<(), AccessError> {
        let rest = Limited::new(response.into_body(), PAGE_BYTES_MAX).collect();
        let rest = tokio::time::timeout(self.0.floor.within, rest).await;
        let rest = rest.map_err(|_| self.0.stalled())?;
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            AccessError::unreachable(&self.0.url, error.as_ref())
        };
        rest.map(drop).map_err(failed)
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

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
