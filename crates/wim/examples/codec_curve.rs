//! The curve that the profiles' levels are chosen from: what each level of LZX and XPRESS costs and
//! saves, on chunks of real or generated content.
//!
//! `codec_curve CHUNKS RUNS FOLDER…` takes CHUNKS chunks of 32 KiB spread evenly over each folder's
//! files, compresses them with every level RUNS times, one level after the other in each run, and
//! writes JSON: CPU seconds of this one thread (median, least, greatest) and bytes, for each folder.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    env, fs,
    hint::black_box,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use prestage_wim::codec::{CHUNK_BYTES, Codec, Compressor, Format, Profile, cannot_shrink};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// wimlib changes its algorithm above LZX 34 and at XPRESS 60, and takes more passes at LZX 45, 70
/// and 100 and at XPRESS 80: both sides of each step are here.
const LZX: [u32; 23] =
    [1, 4, 6, 8, 10, 12, 15, 18, 20, 23, 26, 30, 34, 35, 38, 40, 42, 44, 45, 50, 60, 70, 100];
const XPRESS: [u32; 12] = [1, 5, 10, 15, 20, 29, 30, 40, 59, 60, 80, 100];

/// Chunks of one folder.
struct Sample {
    name: String,
    files: usize,
    shrinkable: Vec<Vec<u8>>,
    /// Chunks that are stored without being tried.
    packed: Vec<Vec<u8>>,
}

/// What one level did on all samples, run by run.
struct Point {
    codec: Codec,
    seconds: Vec<Vec<f64>>,
    stored: Vec<u64>,
}

fn main() {
    let mut args = env::args().skip(1);
    let chunks = args.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| usage());
    let runs: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| usage());
    let samples: Vec<Sample> = args.map(|folder| take(Path::new(&folder), chunks)).collect();
    if samples.is_empty() || runs == 0 || chunks == 0 {
        usage();
    }
    let mut points: Vec<Point> = codecs().map(|codec| Point::new(codec, samples.len())).collect();
    let mut detection = vec![Vec::new(); samples.len()];
    for run in 0..runs {
        for (sample, seconds) in samples.iter().zip(&mut detection) {
            seconds.push(detect(sample));
        }
        // Every other run goes backwards, so that a slow drift of the machine hits no level alone.
        for place in 0..points.len() {
            let place = if run % 2 == 0 { place } else { points.len() - 1 - place };
            points[place].run(&samples);
        }
    }
    let mut missed = Vec::new();
    for sample in &samples {
        missed.push(wrongly_stored(sample));
    }
    let document = json!({
        "runs": runs,
        "samples": samples.iter().zip(&detection).zip(&missed).map(describe).collect::<Vec<_>>(),
        "profiles": profiles(),
        "points": points.iter().map(|point| point.describe(&samples)).collect::<Vec<_>>(),
    });
    println!("{document:#}");
}

fn usage() -> ! {
    let _ = writeln!(io::stderr(), "usage: codec_curve CHUNKS RUNS FOLDER…");
    std::process::exit(2)
}

fn codecs() -> impl Iterator<Item = Codec> {
    let of = |format| move |level| Codec { format, chunk_bytes: CHUNK_BYTES, level };
    LZX.into_iter().map(of(Format::Lzx)).chain(XPRESS.into_iter().map(of(Format::Xpress)))
}

/// The levels that users get.
fn profiles() -> Vec<Value> {
    let named =
        [("fast", Profile::Fast), ("balanced", Profile::Balanced), ("thorough", Profile::Thorough)];
    let formats = [("lzx", Format::Lzx), ("xpress", Format::Xpress)];
    let level = |profile: Profile, format| profile.codec(format, CHUNK_BYTES).level;
    let of_format = |(format, wanted)| {
        named.map(|(name, profile)| {
            json!({"profile": name, "format": format, "level": level(profile, wanted)})
        })
    };
    formats.into_iter().flat_map(of_format).collect()
}

/// CPU seconds of this thread: other work on the machine does not count, though it slows the caches.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = cpu_seconds();
    work();
    cpu_seconds() - start
}

impl Point {
    fn new(codec: Codec, samples: usize) -> Self {
        Self { codec, seconds: vec![Vec::new(); samples], stored: vec![0; samples] }
    }

    fn run(&mut self, samples: &[Sample]) {
        let mut compressor = Compressor::new(self.codec).unwrap();
        let mut out = vec![0; CHUNK_BYTES as usize];
        for (number, sample) in samples.iter().enumerate() {
            let mut stored = 0;
            self.seconds[number].push(timed(|| {
                for chunk in &sample.shrinkable {
                    let room = &mut out[..chunk.len() - 1];
                    let bytes = compressor.compress(chunk, room).map_or(chunk.len(), usize::from);
                    stored += bytes as u64;
                }
            }));
            self.stored[number] = stored;
        }
    }

    fn describe(&self, samples: &[Sample]) -> Value {
        let format = match self.codec.format {
            Format::Lzx => "lzx",
            Format::Xpress => "xpress",
            Format::Lzms => "lzms",
        };
        let of_samples = samples.iter().enumerate().map(|(number, sample)| {
            json!({"sample": sample.name, "stored_bytes": self.stored[number],
                "cpu_seconds": spread(&self.seconds[number])})
        });
        json!({"format": format, "level": self.codec.level,
            "samples": of_samples.collect::<Vec<_>>()})
    }
}

/// Median, least and greatest.
fn spread(runs: &[f64]) -> Value {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    json!({"median": sorted[sorted.len() / 2], "least": sorted[0], "greatest": sorted[sorted.len() - 1]})
}

fn describe(((sample, detection), missed): ((&Sample, &Vec<f64>), &u64)) -> Value {
    let bytes = |chunks: &[Vec<u8>]| chunks.iter().map(Vec::len).sum::<usize>();
    json!({"name": sample.name, "files": sample.files, "shrinkable_bytes": bytes(&sample.shrinkable),
        "packed_bytes": bytes(&sample.packed), "packed_bytes_lzx_50_would_save": missed,
        "detection_cpu_seconds": spread(detection)})
}

/// What telling chunks apart costs, for all of a sample.
fn detect(sample: &Sample) -> f64 {
    timed(|| {
        for chunk in sample.shrinkable.iter().chain(&sample.packed) {
            black_box(cannot_shrink(black_box(chunk)));
        }
    })
}

/// Bytes that the slow compressor would have saved on chunks that are stored untried.
fn wrongly_stored(sample: &Sample) -> u64 {
    let codec = Codec { format: Format::Lzx, chunk_bytes: CHUNK_BYTES, level: 50 };
    let mut compressor = Compressor::new(codec).unwrap();
    let mut out = vec![0; CHUNK_BYTES as usize];
    let mut saved = 0;
    for chunk in &sample.packed {
        let stored = compressor.compress(chunk, &mut out[..chunk.len() - 1]);
        saved += stored.map_or(0, |stored| chunk.len() - stored.get()) as u64;
    }
    saved
}

/// Chunks spread evenly over all chunks of all files below `folder`, in the order of their paths.
fn take(folder: &Path, wanted: usize) -> Sample {
    let mut files = Vec::new();
    list(folder, &mut files);
    files.sort();
    let chunk = CHUNK_BYTES as usize;
    let total: usize = files.iter().map(|(_, bytes)| (*bytes as usize).div_ceil(chunk)).sum();
    let step = (total as f64 / wanted as f64).max(1.0);
    let (mut next, mut number) = (step / 2.0, 0usize);
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let mut sample =
        Sample { name, files: files.len(), shrinkable: Vec::new(), packed: Vec::new() };
    for (path, bytes) in &files {
        let here = (*bytes as usize).div_ceil(chunk);
        if next < (number + here) as f64 {
            let data = fs::read(path).unwrap();
            for (place, chunk) in data.chunks(chunk).enumerate() {
                if (number + place) as f64 + 1.0 > next {
                    next += step;
                    sample.put(chunk.to_vec());
                }
            }
        }
        number += here;
    }
    sample
}

impl Sample {
    fn put(&mut self, chunk: Vec<u8>) {
        if cannot_shrink(&chunk) { self.packed.push(chunk) } else { self.shrinkable.push(chunk) }
    }
}

/// Files with more than a byte; links are not followed.
fn list(folder: &Path, files: &mut Vec<(PathBuf, u64)>) {
    for found in fs::read_dir(folder).unwrap() {
        let found = found.unwrap();
        let (kind, path) = (found.file_type().unwrap(), found.path());
        if kind.is_dir() {
            list(&path, files);
        } else if kind.is_file() {
            let bytes = found.metadata().unwrap().len();
            if bytes > 1 {
                files.push((path, bytes));
            }
        }
    }
}
