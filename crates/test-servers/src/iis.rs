//! A distribution point's web server as IIS is without WebDAV: folders as pages, no PROPFIND (405), ranges,
//! ETags. It can misbehave: break answers off, change files while they are read, forget them.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::sync::oneshot;

use crate::ports::free_port;

/// How the server misbehaves with files of a MiB or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Not at all.
    #[default]
    None,
    /// This many answers break off in the middle.
    BreaksOff(u32),
    /// Each answer is of another version of the file.
    Changes,
    /// Ranges are answered with the whole file.
    IgnoresRanges,
    /// The files are gone.
    Gone,
    /// The ordinary virtual folder wants a client certificate (403); only the one for clients without
    /// lets anybody read.
    WantsCertificate,
    /// So many answers fall silent in the middle, and their connections stay open; so does a line that a
    /// router forgot.
    FallsSilent(u32),
    /// Answers come ten bytes at a time, twenty times a second.
    Trickles,
    /// Every other tag is weak, as around the moment when a server takes a new file for settled.
    Ripens,
}

/// A running server, ended when this is dropped.
pub struct Iis {
    /// `http://localhost:12345`.
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    running: Option<thread::JoinHandle<()>>,
}

struct Settings {
    library: PathBuf,
    trouble: Trouble,
    answers: AtomicU32,
}

impl Iis {
    /// Serves a content library under `SMS_DP_SMSPKG$`.
    pub fn start(library: &Path, trouble: Trouble) -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let library = library.to_owned();
        let settings = Arc::new(Settings { library, trouble, answers: AtomicU32::new(0) });
        let router = Router::new().fallback(answer).with_state(settings);
        let (stop, stopped) = oneshot::channel();
        let running = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let address = format!("http://localhost:{port}");
        Self { address, stop: Some(stop), running: Some(running) }
    }
}

impl Drop for Iis {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

async fn answer(
    State(settings): State<Arc<Settings>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = percent_decode_str(uri.path()).decode_utf8().unwrap().into_owned();
    let wants_certificate = settings.trouble == Trouble::WantsCertificate;
    if wants_certificate && path.starts_with("/SMS_DP_SMSPKG$/") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let folder = if wants_certificate { "/NOCERT_SMS_DP_SMSPKG$/" } else { "/SMS_DP_SMSPKG$/" };
    let Some(below) = path.strip_prefix(folder) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let place = settings.library.join(below);
    match fs::metadata(&place) {
        Ok(found) if found.is_dir() => page(&place, uri.path()),
        Ok(_) => file(&settings, fs::read(place).unwrap(), &headers),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// As IIS writes it: upper-case tags, absolute links.
fn page(folder: &Path, path: &str) -> Response {
    let mut page = format!("<html><head><title>localhost - {path}</title></head><body><pre>");
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let end = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
        let link = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        page.push_str(&format!("<A HREF=\"{path}{link}{end}\">{name}</A><br>"));
    }
    ([(header::CONTENT_TYPE, "text/html")], page + "</pre></body></html>").into_response()
}

fn file(settings: &Settings, bytes: Vec<u8>, headers: &HeaderMap) -> Response {
    let large = bytes.len() >= 1 << 20;
    let number = if large { settings.answers.fetch_add(1, Ordering::Relaxed) } else { 0 };
    let trouble = if large { settings.trouble } else { Trouble::None };
    if trouble == Trouble::Gone {
        return StatusCode::NOT_FOUND.into_response();
    }
    let etag = match trouble {
        Trouble::Changes => format!("\"version {number}\""),
        Trouble::Ripens if number.is_multiple_of(2) => format!("W/\"{}\"", bytes.len()),
        _ => format!("\"{}\"", bytes.len()),
    };
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.filter(|_| trouble != Trouble::IgnoresRanges);
    let whole = bytes.len();
    let (first, last) = match range {
        Some(range) => {
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (first.parse().unwrap(), last.parse::<usize>().unwrap().min(whole - 1))
        }
        None => (0, whole.max(1) - 1),
    };
    let part = bytes.get(first..(last + 1).min(whole)).unwrap_or_default().to_vec();
    let length = part.len();
    let mut response =
        Response::builder().header(header::ETAG, etag).header(header::CONTENT_LENGTH, length);
    if range.is_some() {
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{whole}"));
    }
    response.body(body(trouble, number, part)).unwrap()
}

/// An answer's bytes, as the server's trouble lets them out.
fn body(trouble: Trouble, number: u32, part: Vec<u8>) -> Body {
    type Piece = Result<Vec<u8>, std::io::Error>;
    let half = part[..part.len() / 2].to_vec();
    match trouble {
        Trouble::BreaksOff(times) if number < times => {
            let pieces = [Ok(half), Err(std::io::Error::other("the line is cut"))];
            Body::from_stream(stream::iter(pieces))
        }
        Trouble::FallsSilent(times) if number < times => {
            Body::from_stream(stream::iter([Piece::Ok(half)]).chain(stream::pending()))
        }
        Trouble::Trickles => {
            let pieces: Vec<Piece> = part.chunks(10).map(|piece| Ok(piece.to_vec())).collect();
            Body::from_stream(stream::iter(pieces).then(|piece| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                piece
            }))
        }
        _ => Body::from(part),
    }
}
