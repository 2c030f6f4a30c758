//! Calls that hang, trickle and come back.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::*;

const WITHIN: Duration = Duration::from_millis(100);

fn shares() -> Shares {
    Shares::new(Floor { bytes: 1000, within: WITHIN })
}

fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

fn hanging(shares: &Shares) -> usize {
    shares.state().hanging.get("dp").copied().unwrap_or_default()
}

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never happened");
        std::thread::yield_now();
    }
}

fn opened(shares: &Shares, path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let path = path.to_owned();
    shares.open("dp", 10 << 20, move || Ok(Box::new(File::open(path)?)))
}

#[test]
fn what_hangs_is_given_up_and_few_threads_are_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (shares, pipe) = (shares(), pipe(folder.path()));
    // Opening a pipe hangs until somebody writes into it.
    for number in 1..=HANGING_MAX {
        let error = opened(&shares, &pipe).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert_eq!(hanging(&shares), number);
    }
    let start = Instant::now();
    let error = opened(&shares, &pipe).err().unwrap();
    assert!(error.to_string().contains("4 calls"), "{error}");
    assert!(start.elapsed() < WITHIN, "it is not waited for again");
    // The server is back: so are the threads, and it is read again.
    drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    until(|| hanging(&shares) == 0);
    std::fs::write(folder.path().join("file"), "content").unwrap();
    let mut text = String::new();
    let file = folder.path().join("file");
    opened(&shares, &file).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
}

/// Gives so many bytes at a time, each after a pause.
struct Slow(usize, Duration);

impl Read for Slow {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(self.1);
        Ok(self.0.min(out.len()))
    }
}

#[test]
fn a_trickle_is_given_up_and_a_slow_line_is_not() {
    let shares = shares();
    let slow = |bytes| Box::new(Slow(bytes, WITHIN / 5)) as Box<dyn Read + Send>;
    let read = |bytes: usize, of: u64| {
        let reader = shares.open("dp", of, move || Ok(slow(bytes)));
        io::copy(&mut reader?.take(of), &mut io::sink())
    };
    assert_eq!(read(10, 5_000).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(read(1_000, 30_000).unwrap(), 30_000, "six times as long as the floor's time");
}

#[test]
fn what_we_do_with_the_bytes_is_not_the_shares_slowness() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let content: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
    File::create(&path).unwrap().write_all(&content).unwrap();
    let mut reader = opened(&shares(), &path).unwrap();
    let (mut read, mut piece) = (Vec::new(), vec![0; 900_000]);
    loop {
        std::thread::sleep(WITHIN * 2);
        match reader.read(&mut piece).unwrap() {
            0 => break,
            count => read.extend_from_slice(&piece[..count]),
        }
    }
    assert!(read == content);
    let shares = shares();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let range = runtime.block_on(async {
        let file = shares.open_file("dp", path).await?;
        assert_eq!(file.size(), 3_000_000);
        file.read(70_000..270_000).await
    });
    assert!(range.unwrap() == content[70_000..270_000]);
}
