//! Uploads through a line that takes their bytes slowly, or stops to take them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use prestage_store::{ObjectKey, ObjectUrl, Objects, PutRule, UploadFloor};
use support::seaweed::Seaweed;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

const MIB: usize = 1 << 20;
/// More than the system's buffers hold of it.
const BODY: usize = 24 * MIB;
/// A connection that has taken so much is an upload's.
const UPLOAD: usize = MIB;

/// What a line does with uploads.
#[derive(Clone, Copy)]
enum Line {
    /// The first of them gets nowhere.
    StopsOnce,
    /// The first of them gets on by a few bytes at a time.
    TricklesOnce,
    /// All of them take so many bytes a second.
    Paced(usize),
}

/// A line to a server; cut when this is dropped.
struct SlowLine {
    address: SocketAddr,
    /// Connections that had an upload.
    uploads: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl SlowLine {
    fn to(server: u16, line: Line) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Little is on its way that the sender has got rid of.
        socket.set_recv_buffer_size(64 << 10).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(16).unwrap();
        let (address, uploads) = (listener.local_addr().unwrap(), Arc::default());
        let counter: Arc<AtomicUsize> = Arc::clone(&uploads);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await.unwrap();
                let ((from, mut back), (mut answers, to)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(from, to, line, counter.clone()));
                tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            }
        });
        Self { address, uploads, serving }
    }
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    line: Line,
    uploads: Arc<AtomicUsize>,
) {
    let (mut buffer, mut carried, mut is_first) = (vec![0; 64 << 10], 0, false);
    loop {
        let limit = if is_first && matches!(line, Line::TricklesOnce) { 100 } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..limit]).await else { return };
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        let was_upload = carried >= UPLOAD;
        carried += read;
        if carried >= UPLOAD && !was_upload {
            is_first = uploads.fetch_add(1, Ordering::Relaxed) == 0;
        }
        match line {
            Line::StopsOnce if is_first => std::future::pending().await,
            Line::TricklesOnce if is_first => tokio::time::sleep(Duration::from_millis(20)).await,
            Line::Paced(rate) => {
                let time = Duration::from_secs_f64(read as f64 / rate as f64);
                tokio::time::sleep(time).await;
            }
            _ => {}
        }
    }
}

fn floor(within: Duration) -> UploadFloor {
    UploadFloor { within, ..UploadFloor::default() }
}

/// Uploads over a line; gives how many uploads there were, and how long they took.
async fn upload(
    server: &Seaweed,
    line: Line,
    floor: UploadFloor,
    timeout: &str,
) -> (usize, Duration) {
    let slow = SlowLine::to(server.port(), line);
    let endpoint = format!("http://{}", slow.address);
    let more = [("AWS_ENDPOINT", endpoint.as_str()), ("AWS_TIMEOUT", timeout)];
    let options = server.options_with(&more).with_upload_floor(floor);
    let url = ObjectUrl::parse("s3://packs").unwrap();
    let over_the_line = Objects::open_with(&url, &options).await.unwrap();
    let (key, body) = (ObjectKey::new("slow").unwrap(), body());
    let start = Instant::now();
    let put = over_the_line.put_small(&key, body.clone(), PutRule::Overwrite);
    let _ = put.await.unwrap();
    let took = start.elapsed();
    let stored = server.open("s3://packs").await.get(&key, u64::MAX).await.unwrap();
    assert!(stored == body, "other bytes were stored");
    (slow.uploads.load(Ordering::Relaxed), took)
}

fn body() -> Bytes {
    (0..BODY as u32).map(|number| (number / 7) as u8).collect::<Vec<u8>>().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_not_taken_is_sent_again_and_a_slow_one_is_not() {
    let server = Seaweed::start().await;
    let half_a_second = floor(Duration::from_millis(500));
    for line in [Line::StopsOnce, Line::TricklesOnce] {
        let (uploads, took) = upload(&server, line, half_a_second, "300 seconds").await;
        assert_eq!(uploads, 2, "it was sent again once");
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
    // Longer than any other request may take, but never without progress.
    let (paced, patient) = (Line::Paced(4 * MIB), floor(Duration::from_secs(4)));
    let (uploads, took) = upload(&server, paced, patient, "4 seconds").await;
    assert_eq!(uploads, 1, "it was sent once");
    assert!(took > Duration::from_secs(4), "then this shows nothing: {took:?}");
}
