//! How fast a folder's files are encoded: `encode_rate FOLDER OUT [THREADS [LEVEL [FORMAT]]]`.
//!
//! Prints one line: MiB read and written, wall and CPU seconds, peak memory, and the SHA-256 of the
//! output, so that two builds can be compared in speed and in bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use prestage_wim::codec::{
    Codec, Encoder, FileToEncode, Format, Progress, Reservation, ResourceSink,
};
use sha1::{Digest, Sha1};

/// Hashes what it writes, as a pack does.
struct HashedFile {
    file: BufWriter<File>,
    sha1: Sha1,
    position: u64,
}

impl ResourceSink for HashedFile {
    fn position(&self) -> u64 {
        self.position
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha1.update(bytes);
        self.position += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation> {
        let offset = self.position;
        self.position += bytes;
        self.file.seek(SeekFrom::Start(self.position))?;
        Ok(Reservation { offset, bytes })
    }

    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(room.offset))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::Start(self.position)).map(drop)
    }

    fn rewind(&mut self, offset: u64) -> io::Result<()> {
        self.position = offset;
        self.file.seek(SeekFrom::Start(offset)).map(drop)
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| args.get(at).map_or(default, |n| n.parse().unwrap());
    let (threads, level) = (number(2, 2), number(3, 20) as u32);
    let xpress = args.get(4).is_some_and(|name| name == "xpress");
    let format = if xpress { Format::Xpress } else { Format::Lzx };
    let files = files_below(Path::new(&args[0]));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let out = Path::new(&args[1]);
    let file = BufWriter::with_capacity(1 << 20, File::create(out).unwrap());
    let mut sink = HashedFile { file, sha1: Sha1::new(), position: 0 };
    let encoder = Encoder::new(Codec { format, chunk_bytes: 32_768, level }, Arc::new(pool));
    let begun = Instant::now();
    let encoded = encoder.encode(&files, &mut sink, &Progress::default()).map_err(|e| e.1).unwrap();
    sink.file.flush().unwrap();
    let wall = begun.elapsed().as_secs_f64();
    let read: u64 = encoded.iter().map(|file| file.original_bytes).sum();
    let written = sink.position;
    let sha1 = sink.sha1.finalize();
    println!(
        "files {} read {} MiB written {written} wall {wall:.3} cpu {:.2} peak {} MiB sha1 {}",
        files.len(),
        read >> 20,
        cpu_seconds(),
        peak_mib(),
        hex::encode(sha1)
    );
}

fn files_below(folder: &Path) -> Vec<FileToEncode> {
    let mut paths = Vec::new();
    walk(folder, &mut paths);
    paths.sort();
    let opened = paths.into_iter().map(|path| {
        let bytes = fs::metadata(&path).unwrap().len();
        FileToEncode { bytes, open: Box::new(move || Ok(Box::new(File::open(&path)?))) }
    });
    opened.filter(|file| file.bytes > 0).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => walk(&entry.path(), paths),
            kind if kind.is_file() => paths.push(entry.path()),
            _ => {}
        }
    }
}

/// User and system seconds of this process so far (proc(5), fields 14 and 15, in 1/100 s).
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
