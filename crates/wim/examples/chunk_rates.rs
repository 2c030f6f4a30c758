//! What hashing, guessing and compressing a chunk cost: `chunk_rates FOLDER [FORMAT [LEVEL]]`.
//!
//! Each folder below FOLDER is a kind of content. For each kind: how fast its chunks are guessed and
//! compressed on one thread, how many were tried in vain, and how much was missed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    fs::{self, DirEntry},
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use prestage_wim::{
    DoubleHasher,
    codec::{Codec, Compressor, Format, cannot_shrink},
};

const CHUNK: usize = 32_768;
/// Bytes of each kind that are looked at.
const SAMPLE: usize = 96 << 20;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let xpress = args.get(1).is_some_and(|name| name == "xpress");
    let format = if xpress { Format::Xpress } else { Format::Lzx };
    let level = args.get(2).map_or(8, |level| level.parse().unwrap());
    let codec = Codec { format, chunk_bytes: CHUNK as u32, level };
    hashing();
    let mut kinds: Vec<DirEntry> = fs::read_dir(&args[0]).unwrap().map(Result::unwrap).collect();
    kinds.sort_by_key(DirEntry::file_name);
    for kind in kinds.iter().filter(|kind| kind.file_type().unwrap().is_dir()) {
        let name = kind.file_name().into_string().unwrap();
        guessing(&name, &chunks_below(&kind.path()), codec);
    }
}

fn hashing() {
    let content: Vec<u8> =
        (0..SAMPLE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for piece in [8 << 10, 64 << 10, 256 << 10, 8 << 20] {
        let mut hasher = DoubleHasher::default();
        let begun = Instant::now();
        content.chunks(piece).for_each(|piece| hasher.update(piece));
        black_box(hasher.finish());
        println!("both hashes, given {:>5} KiB: {:>6.0} MiB/s", piece >> 10, rate(SAMPLE, begun));
    }
    let mut hasher = DoubleHasher::default();
    let begun = Instant::now();
    content.chunks(8 << 20).for_each(|piece| hasher.update_side_by_side(piece));
    black_box(hasher.finish());
    println!("both hashes, side by side:    {:>6.0} MiB/s", rate(SAMPLE, begun));
}

fn rate(bytes: usize, begun: Instant) -> f64 {
    bytes as f64 / f64::from(1 << 20) / begun.elapsed().as_secs_f64()
}

fn chunks_below(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut chunks = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        if chunks.len() * CHUNK >= SAMPLE {
            break;
        }
        chunks.extend(fs::read(path).unwrap().chunks(CHUNK).map(<[u8]>::to_vec));
    }
    chunks
}

fn guessing(name: &str, chunks: &[Vec<u8>], codec: Codec) {
    let begun = Instant::now();
    let guesses: Vec<bool> = chunks.iter().map(|chunk| cannot_shrink(chunk)).collect();
    let guess_time = begun.elapsed();
    let mut compressor = Compressor::new(codec).unwrap();
    let (mut wasted, mut wasted_time) = (0, Duration::ZERO);
    let (mut skipped, mut missed, mut saved, mut tried_time) = (0, 0, 0, Duration::ZERO);
    let mut out = vec![0; CHUNK];
    for (chunk, &guess) in chunks.iter().zip(&guesses) {
        let begun = Instant::now();
        let stored = compressor.compress(chunk, &mut out[..chunk.len() - 1]);
        let time = begun.elapsed();
        let gain = stored.map_or(0, |stored| chunk.len() - stored.get());
        tried_time += time;
        match (guess, gain) {
            (true, gain) => {
                skipped += 1;
                missed += gain;
            }
            (false, 0) => {
                wasted += 1;
                wasted_time += time;
            }
            (false, gain) => saved += gain,
        }
    }
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let (kib, micros) = (bytes as f64 / 1024.0, |time: Duration| time.as_secs_f64() * 1e6);
    let each = |time: Duration| micros(time) / (kib / 32.0);
    println!(
        "{name:>8}: {:>5} chunks; guess {:>5.1} µs, compress {:>6.1} µs each 32 KiB; skipped {skipped}, \
         missing {missed} bytes ({:.4} %); in vain {wasted} ({:.1} ms of {:.0} ms); saved {saved}",
        chunks.len(),
        each(guess_time),
        each(tried_time),
        missed as f64 * 100.0 / bytes as f64,
        wasted_time.as_secs_f64() * 1e3,
        tried_time.as_secs_f64() * 1e3,
    );
}
