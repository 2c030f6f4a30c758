//! What it costs to read small files by threads that may be left behind: the same files read directly and
//! through them, by turns. `cargo run --release -p prestage-shares --example small_files [FOLDER]`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prestage_shares::Shares;

const FILES: usize = 10_000;
const BYTES: usize = 1024;
const FOLDERS: usize = 256;
const ROUNDS: usize = 5;

fn main() {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let paths = write(folder.path());
    let shares = Shares::default();
    let by_threads = |path: &Path| read_by_threads(&shares, path);
    // Neither is the first to see the files.
    time(&paths, read_directly);
    time(&paths, by_threads);
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let (direct, threads) = if round % 2 == 0 {
            let threads = time(&paths, by_threads);
            (time(&paths, read_directly), threads)
        } else {
            (time(&paths, read_directly), time(&paths, by_threads))
        };
        let each = (threads.as_secs_f64() - direct.as_secs_f64()) / FILES as f64 * 1e6;
        println!(
            "round {round}: directly {direct:?}, by threads {threads:?}: {each:.1} µs more a file"
        );
        ratios.push(threads.as_secs_f64() / direct.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ROUNDS / 2]);
}

fn write(folder: &Path) -> Vec<PathBuf> {
    for number in 0..FOLDERS {
        fs::create_dir(folder.join(format!("{number:02X}"))).unwrap();
    }
    let path = |number: usize| folder.join(format!("{:02X}/{number}", number % FOLDERS));
    let paths: Vec<PathBuf> = (0..FILES).map(path).collect();
    for path in &paths {
        fs::write(path, [7; BYTES]).unwrap();
    }
    paths
}

fn time(paths: &[PathBuf], read: impl Fn(&Path) -> usize) -> Duration {
    let start = Instant::now();
    let bytes: usize = paths.iter().map(|path| read(path)).sum();
    assert_eq!(bytes, FILES * BYTES);
    start.elapsed()
}

/// As a worker does it: it looks where the file is, then opens and reads it.
fn read_directly(path: &Path) -> usize {
    assert!(fs::metadata(path).unwrap().is_file());
    let mut read = Vec::new();
    File::open(path).unwrap().read_to_end(&mut read).unwrap()
}

/// The same, each of the two by a thread of its own.
fn read_by_threads(shares: &Shares, path: &Path) -> usize {
    let (looked, opened, mut read) = (path.to_owned(), path.to_owned(), Vec::new());
    let found = shares.call_blocking("dp", move |_| fs::metadata(looked)).unwrap();
    assert!(found.unwrap().is_file());
    let open = move || Ok(Box::new(File::open(opened)?) as Box<dyn Read + Send>);
    shares.open("dp", BYTES as u64, open).unwrap().read_to_end(&mut read).unwrap()
}
