//! Where numbers are served: a few connections at a time, each for a short while. The exporter's own listener
//! takes any number of them, for as long as they like.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Those who scrape are a handful; others wait to be accepted.
const CONNECTIONS_MAX: usize = 32;
/// A scrape takes some milliseconds. Whoever keeps a connection comes back with a new one.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// Whoever says nothing makes room for others.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// A listener that can't accept (no file is left) is asked again after this time, not at once.
const ACCEPT_AGAIN_IN: Duration = Duration::from_millis(200);
/// What Prometheus calls its text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// Serves for as long as the process lives.
pub(crate) async fn serve(listener: TcpListener, numbers: PrometheusHandle) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // It is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                let numbers = numbers.clone();
                tokio::spawn(async move {
                    answer(stream, from, numbers).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection for metrics can't be accepted");
                sleep(ACCEPT_AGAIN_IN).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, from: SocketAddr, numbers: PrometheusHandle) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = page(request.method(), request.uri().path(), &numbers);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(ASKED_WITHIN);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CONNECTION_AGE_MAX, served).await {
        tracing::debug!(%from, %error, "a connection for metrics ended badly");
    }
}

fn page(method: &Method, path: &str, numbers: &PrometheusHandle) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    match (method, path) {
        (&Method::GET, "/metrics" | "/") => {
            *response.body_mut() = numbers.render().into();
            response.headers_mut().insert(CONTENT_TYPE, TEXT);
        }
        (&Method::GET, "/health") => *response.body_mut() = "OK".into(),
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn asked(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stream
    }

    #[tokio::test]
    async fn so_many_are_answered_at_once_and_the_next_one_when_there_is_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handle = PrometheusBuilder::new().build_recorder().handle();
        tokio::spawn(serve(listener, handle));
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut stream = asked(address).await;
            let mut start = [0; 15];
            stream.read_exact(&mut start).await.unwrap();
            assert_eq!(&start, b"HTTP/1.1 200 OK");
            open.push(stream);
        }
        let mut waits = asked(address).await;
        let mut start = [0; 15];
        let early = timeout(Duration::from_millis(200), waits.read_exact(&mut start)).await;
        assert!(early.is_err(), "there was no room");
        drop(open.pop());
        waits.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handle = PrometheusBuilder::new().build_recorder().handle();
        tokio::spawn(serve(listener, handle));
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut nothing = Vec::new();
        silent.read_to_end(&mut nothing).await.unwrap();
        assert!(nothing.is_empty(), "{nothing:?}");
    }
}
