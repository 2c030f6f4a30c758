//! A front before a real server: it passes everything on, writes down what was asked, and fails
//! once where it is told to. An answer that is lost is lost after the server acted.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};

pub type Asked = Request<Bytes>;
pub type Answered = Response<Bytes>;
type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// The server behind the front.
#[derive(Clone)]
pub struct Backend {
    port: u16,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What goes wrong, once.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The server acts, but its answer doesn't come.
    LoseAnswer,
    /// The server isn't asked; this is answered.
    Answer(u16, String),
}

struct Rule {
    method: &'static str,
    needle: String,
    fault: Fault,
}

/// A request that came by.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method, path and query, decoded.
    pub line: String,
    /// Bytes of the body.
    pub bytes: usize,
}

#[derive(Default)]
struct Notes {
    rules: Vec<Rule>,
    seen: Vec<Seen>,
}

/// The front; it stops with its test.
pub struct Front {
    port: u16,
    notes: Arc<Mutex<Notes>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Front {
    /// A front that passes all on as it is.
    pub async fn plain(backend: u16) -> Self {
        Self::start(backend, |backend, asked| Box::pin(async move { backend.send(asked).await }))
            .await
    }

    /// A front that answers with the help of the server at port `backend`.
    pub async fn start(
        backend: u16,
        answer: impl Fn(Backend, Asked) -> Answering + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let backend = Backend { port: backend, client };
        let notes = Arc::new(Mutex::new(Notes::default()));
        let (noted, answer) = (notes.clone(), Arc::new(answer));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (backend, notes, answer) = (backend.clone(), noted.clone(), answer.clone());
                tokio::spawn(serve(stream, move |asked| {
                    reply(notes.clone(), asked, backend.clone(), answer.clone())
                }));
            }
        });
        Self { port, notes, serving }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next request with this method and with `needle` in its path or query goes wrong.
    pub fn once(&self, method: &'static str, needle: &str, fault: Fault) {
        let rule = Rule { method, needle: needle.to_owned(), fault };
        self.notes.lock().unwrap().rules.push(rule);
    }

    /// Every fault happened.
    pub fn assert_all_failed(&self) {
        let notes = self.notes.lock().unwrap();
        let left: Vec<_> = notes.rules.iter().map(|rule| (rule.method, &rule.needle)).collect();
        assert!(left.is_empty(), "{left:?} did not fail; asked were {:#?}", notes.seen);
    }

    /// What was asked since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.notes.lock().unwrap().seen)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve<F>(stream: TcpStream, reply: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static)
where
    F: Future<Output = Result<Response<Full<Bytes>>, Lost>> + Send + 'static,
{
    // An error is how a lost answer ends, or the client went away.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(reply))
        .await;
}

/// Closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

async fn reply(
    notes: Arc<Mutex<Notes>>,
    asked: Request<Incoming>,
    backend: Backend,
    answer: Arc<impl Fn(Backend, Asked) -> Answering>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let (parts, body) = asked.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let uri = parts.uri.to_string();
    let line = format!("{} {}", parts.method, percent_decode_str(&uri).decode_utf8_lossy());
    let fault = {
        let mut notes = notes.lock().unwrap();
        notes.seen.push(Seen { line: line.clone(), bytes: body.len() });
        let matches =
            |rule: &Rule| parts.method.as_str() == rule.method && line.contains(&rule.needle);
        let rule = notes.rules.iter().position(matches);
        rule.map(|rule| notes.rules.remove(rule).fault)
    };
    if let Some(Fault::Answer(status, body)) = fault {
        return Ok(answered(status, body).map(Full::new));
    }
    let answered = answer(backend, Request::from_parts(parts, body)).await;
    match fault {
        Some(_) => Err(Lost),
        None => Ok(answered.map(Full::new)),
    }
}

pub fn answered(status: u16, body: impl Into<Bytes>) -> Answered {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

impl Backend {
    /// Passes a request on. The `host` header stays, for signatures cover it.
    pub async fn send(&self, mut asked: Asked) -> Answered {
        let path = asked.uri().path_and_query().unwrap().clone();
        let uri = format!("http://127.0.0.1:{}{path}", self.port);
        *asked.uri_mut() = uri.parse::<Uri>().unwrap();
        // The body is in one piece here.
        asked.headers_mut().remove(TRANSFER_ENCODING);
        asked.headers_mut().remove(CONNECTION);
        let answer = match self.client.request(asked.map(Full::new)).await {
            Ok(answer) => answer,
            Err(error) => return answered(502, error.to_string()),
        };
        let (mut parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.remove(CONNECTION);
        Response::from_parts(parts, body)
    }

    /// Asks the server something of one's own.
    pub async fn ask(&self, method: &str, path: &str, body: Bytes) -> Answered {
        let asked = Request::builder().method(method).uri(path).body(body);
        self.send(asked.unwrap()).await
    }
}

/// Waits until something listens.
pub async fn wait_for_port(port: u16, within: std::time::Duration, what: &str) {
    let end = std::time::Instant::now() + within;
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(50));
    while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.is_err() {
        assert!(std::time::Instant::now() < end, "{what} was not ready within {within:?}");
        tries.tick().await;
    }
}
