//! The line from a host to the store, on which requests and answers get lost.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full};
use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use prestage_store::{StoreOptions, Transport};

use crate::{
    broken,
    store::{Answer, Store, refused},
    world::World,
};

/// How bad things are at the store, and on the way there: of a hundred requests.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Nothing gets through at all.
    pub down: bool,
    /// So many get lost on their way.
    pub lost: f64,
    /// So many answers get lost: what was asked for is done.
    pub lost_answers: f64,
    /// So many are answered by an error of the server.
    pub refused: f64,
    /// So many answers have a bit turned round.
    pub damaged: f64,
    /// So many requests come twice: the second one later.
    pub doubled: f64,
    /// An answer takes so many milliseconds at most.
    pub slow: u64,
}

impl Default for Weather {
    /// Everything gets through, and takes its time: or a build would be over in no time.
    fn default() -> Self {
        Self {
            down: false,
            lost: 0.0,
            lost_answers: 0.0,
            refused: 0.0,
            damaged: 0.0,
            doubled: 0.0,
            slow: 250,
        }
    }
}

/// Sees bucket, key and bytes of an object that has changed.
type Watch = dyn Fn(&str, &str, &Bytes) + Send + Sync;

/// The store of a simulation, as seen by everybody.
#[derive(Clone)]
pub struct SharedStore {
    store: Arc<Mutex<Store>>,
    weather: Arc<Mutex<Weather>>,
    watch: Arc<Watch>,
}

impl SharedStore {
    /// An empty one; `watch` sees each object that changes, at once.
    pub fn new(watch: impl Fn(&str, &str, &Bytes) + Send + Sync + 'static) -> Self {
        Self { store: Arc::default(), weather: Arc::default(), watch: Arc::new(watch) }
    }

    /// The store itself.
    pub fn open(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the weather.
    pub fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How `host` reaches it.
    pub fn options(&self, world: &World, host: &str, slowness: u64) -> StoreOptions {
        let (store, world, host) = (self.clone(), world.clone(), host.to_owned());
        let line = Line { store, world, host, slowness };
        StoreOptions::from_pairs([
            ("AWS_ENDPOINT", "http://store"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "simulated"),
            ("AWS_SECRET_ACCESS_KEY", "simulated"),
            ("AWS_REGION", "simulated"),
        ])
        .with_transport(Transport::new(line))
    }
}

/// The line of one host.
struct Line {
    store: SharedStore,
    world: World,
    host: String,
    /// Everything takes so many times as long as elsewhere.
    slowness: u64,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.host)
    }
}

#[async_trait]
impl HttpService for Line {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let weather = self.store.weather();
        self.takes_time(weather).await;
        let weather = self.store.weather();
        if weather.down || self.world.happens(weather.lost) {
            return Err(self.lost(&head, "is lost", HttpErrorKind::Connect));
        }
        if self.world.happens(weather.refused) {
            let (status, code) = *self.one_of(&[(503, "SlowDown"), (500, "InternalError")]);
            self.note(&head, format_args!("{status} {code}"));
            return Ok(response(refused(status, code)));
        }
        let mut answer = self.asked(&head, body.clone());
        if self.world.happens(weather.doubled) {
            self.takes_time(weather).await;
            self.note(&head, format_args!("comes once more"));
            answer = self.asked(&head, body);
        }
        self.takes_time(weather).await;
        if self.store.weather().down || self.world.happens(weather.lost_answers) {
            return Err(self.lost(&head, "has its answer lost", HttpErrorKind::Interrupted));
        }
        if head.method == "GET" && self.world.happens(weather.damaged) {
            answer.body = self.damaged(&head, answer.body);
        }
        Ok(response(answer))
    }
}

impl Line {
    async fn takes_time(&self, weather: Weather) {
        if weather.slow > 0 {
            let millis = self.world.draw(0..weather.slow) * self.slowness;
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    fn asked(&self, head: &Parts, body: Bytes) -> Answer {
        let answer = self.store.open().answer(head, body, self.world.now());
        self.note(head, format_args!("{}", answer.status));
        if answer.status == 501 {
            broken!(
                self.world,
                "the simulated store has no answer to {} {}",
                head.method,
                head.uri
            );
        }
        if let Some((bucket, key)) = &answer.changed {
            let body = self.store.open().body(bucket, key).unwrap_or_default();
            (self.store.watch)(bucket, key, &body);
        }
        answer
    }

    fn lost(&self, head: &Parts, what: &'static str, kind: HttpErrorKind) -> HttpError {
        self.note(head, format_args!("{what}"));
        HttpError::new(kind, std::io::Error::other(format!("the request {what}: simulated")))
    }

    fn damaged(&self, head: &Parts, body: Bytes) -> Bytes {
        if body.is_empty() {
            return body;
        }
        let mut damaged = body.to_vec();
        let at = self.world.draw(0..body.len() as u64) as usize;
        damaged[at] ^= 1 << self.world.draw(0..8);
        self.note(head, format_args!("byte {at} of the answer is damaged"));
        damaged.into()
    }

    fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.world.draw(0..all.len() as u64) as usize]
    }

    fn note(&self, head: &Parts, what: fmt::Arguments<'_>) {
        // What is signed differs by the time of day alone, but nobody wants to read it.
        let mut query = head.uri.query().unwrap_or_default();
        if let Some(signed) = query.find("X-Amz-") {
            query = query[..signed].trim_end_matches('&');
        }
        let (method, path) = (&head.method, head.uri.path());
        let between = if query.is_empty() { "" } else { "?" };
        self.world.note(&self.host, format_args!("{method} {path}{between}{query}: {what}"));
    }
}

fn response(answer: Answer) -> HttpResponse {
    let body = Full::new(answer.body).map_err(|never| match never {});
    let mut response = http::Response::new(HttpResponseBody::new(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in answer.headers {
        // They are made of numbers and dates.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().extend(answer.metadata);
    response
}
