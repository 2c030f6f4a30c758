//! The middle stage: hashes and compresses a window on all threads of a pool.

use std::sync::{Mutex, PoisonError};

use rayon::{ThreadPool, prelude::*};

use super::{
    Codec, Compressor, cannot_shrink,
    window::{Span, Window, chunk_ranges},
};
use crate::{error::Result, hash::DoubleHasher};

/// Bytes of a file in a window from which its two hashes are computed on two threads.
const SIDE_BY_SIDE_BYTES: usize = 1 << 20;

/// Compressors that are free. Each takes up to 6 MiB, so they are used again.
pub(super) struct Compressors {
    codec: Codec,
    free: Mutex<Vec<Compressor>>,
}

impl Compressors {
    pub fn new(codec: Codec) -> Self {
        Self { codec, free: Mutex::new(Vec::new()) }
    }

    /// Compresses a chunk into `out`, which is as long. Gives its stored bytes.
    fn compress(&self, data: &[u8], out: &mut [u8]) -> Result<u32> {
        let plain = data.len() as u32;
        if cannot_shrink(data) {
            return Ok(plain);
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut compressor = match free {
            Some(compressor) => compressor,
            None => Compressor::new(self.codec)?,
        };
        // One byte less: a chunk stored in its own size must be stored plain.
        let stored = compressor.compress(data, &mut out[..data.len() - 1]);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
        Ok(stored.map_or(plain, |stored| stored.get() as u32))
    }
}

/// What is to be done with the chunks of a file larger than a window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LargeFiles {
    /// Nothing more once its first window did not shrink.
    ByFirstWindow,
    /// It is only a part of a file: each is tried.
    Tried,
}

/// The stage, with what is carried from one window to the next.
pub(super) struct Packing<'a> {
    compressors: &'a Compressors,
    pool: &'a ThreadPool,
    large_files: LargeFiles,
    /// Of the file that goes on in the next window.
    hasher: Option<DoubleHasher>,
    /// Whether the rest of that file is stored plain.
    plain: bool,
}

impl<'a> Packing<'a> {
    pub fn new(
        compressors: &'a Compressors,
        pool: &'a ThreadPool,
        large_files: LargeFiles,
    ) -> Self {
        Self { compressors, pool, large_files, hasher: None, plain: false }
    }

    /// Fills in a window's chunks and hashes.
    pub fn work(&mut self, window: &mut Window) -> Result<()> {
        let Window { data, packed, stored, spans } = window;
        if packed.len() < data.len() {
            packed.resize(data.len(), 0);
        }
        let mut jobs = self.jobs(data, packed, spans);
        let (carried, compressors) = (self.hasher.take(), self.compressors);
        let (hashers, packed) = self.pool.install(|| {
            rayon::join(
                || hash(data, spans, carried),
                || jobs.par_iter_mut().try_for_each(|job| job.run(compressors)),
            )
        });
        packed?;
        stored.extend(jobs.iter().map(|job| job.stored));
        for (span, hasher) in spans.iter_mut().zip(hashers) {
            if span.last {
                span.hashes = Some(hasher.finish());
            } else {
                self.hasher = Some(hasher);
            }
        }
        self.judge(window);
        Ok(())
    }

    fn jobs<'w>(
        &self,
        data: &'w [u8],
        mut packed: &'w mut [u8],
        spans: &[Span],
    ) -> Vec<ChunkJob<'w>> {
        let chunk_bytes = self.compressors.codec.chunk_bytes as usize;
        let mut jobs = Vec::new();
        for span in spans {
            let plain = self.plain && !span.first;
            for range in chunk_ranges(span, chunk_bytes) {
                let (out, rest) = std::mem::take(&mut packed).split_at_mut(range.len());
                packed = rest;
                jobs.push(ChunkJob { data: &data[range], out, plain, stored: 0 });
            }
        }
        jobs
    }

    /// After the first window of a large file it is known whether the rest is tried at all.
    fn judge(&mut self, window: &Window) {
        let begins = |span: &&Span| span.first && !span.last;
        if self.large_files == LargeFiles::ByFirstWindow && window.spans.iter().any(|s| begins(&s))
        {
            let chunk_bytes = self.compressors.codec.chunk_bytes as usize;
            self.plain = !window.chunks(chunk_bytes).any(|chunk| chunk.shrank);
        }
    }
}

struct ChunkJob<'a> {
    data: &'a [u8],
    out: &'a mut [u8],
    plain: bool,
    stored: u32,
}

impl ChunkJob<'_> {
    fn run(&mut self, compressors: &Compressors) -> Result<()> {
        self.stored = match self.plain {
            true => self.data.len() as u32,
            false => compressors.compress(self.data, self.out)?,
        };
        Ok(())
    }
}

/// A hasher for each span, at its end. Small files are hashed side by side.
fn hash(data: &[u8], spans: &[Span], mut carried: Option<DoubleHasher>) -> Vec<DoubleHasher> {
    let mut hashers: Vec<DoubleHasher> = spans
        .iter()
        .map(|span| match span.first {
            true => DoubleHasher::default(),
            false => carried.take().unwrap_or_default(),
        })
        .collect();
    hashers.par_iter_mut().zip(spans).for_each(|(hasher, span)| {
        let bytes = &data[span.range.clone()];
        // A large file has nothing beside it that could be hashed at the same time.
        if bytes.len() >= SIDE_BY_SIDE_BYTES {
            hasher.update_side_by_side(bytes);
        } else {
            hasher.update(bytes);
        }
    });
    hashers
}
