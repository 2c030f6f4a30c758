//! Files in, resources out: bounded memory, all threads, each byte read once.
//!
//! A reader thread fills *windows* of whole chunks, from as many files as fit. Each window is
//! hashed and compressed on all threads at once, then its resources are appended in order. A file
//! larger than a window reserves room for its chunk table and fills it in when its last chunk is
//! known.

use std::{
    io::{self, Read},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};

use rayon::{ThreadPool, prelude::*};

use super::{Codec, Compressor, cannot_shrink};
use crate::{
    error::{Result, WimError},
    hash::{DoubleHasher, Sha1Hash},
    resource::{table_entries, table_entry_bytes},
};

/// Bytes of content in one window: enough chunks to keep many threads busy.
const WINDOW_BYTES: usize = 8 << 20;

/// Where resources go: a pack being written.
pub trait ResourceSink {
    /// Bytes appended or reserved so far.
    fn position(&self) -> u64;
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Leaves room for bytes that are known later.
    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation>;
    /// Fills reserved room, wholly.
    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()>;
}

/// Room that was left in a sink.
#[derive(Debug)]
pub struct Reservation {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Resources in memory: for metadata and for files of a few KiB, never for content.
#[derive(Debug, Default)]
pub struct MemorySink(pub Vec<u8>);

impl ResourceSink for MemorySink {
    fn position(&self) -> u64 {
        self.0.len() as u64
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<Reservation> {
        let offset = self.position();
        self.0.resize(self.0.len() + bytes as usize, 0);
        Ok(Reservation { offset, bytes })
    }

    fn fill(&mut self, room: Reservation, bytes: &[u8]) -> io::Result<()> {
        crate::bytes::put(&mut self.0, room.offset as usize, bytes);
        Ok(())
    }
}

/// A file to be encoded. Empty files have no resource and must not be given.
pub struct FileToEncode {
    /// Its size in bytes. Another size met while reading is an error.
    pub bytes: u64,
    /// Opens it from its beginning; called again only in a case that hardly ever happens.
    pub open: Box<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFile {
    /// Where its resource begins in the sink.
    pub offset: u64,
    /// Bytes of the resource.
    pub stored_bytes: u64,
    /// Bytes of the content.
    pub original_bytes: u64,
    /// Whether the resource is compressed (chunk table and chunks) or the plain content.
    pub compressed: bool,
    /// SHA-1 of the content.
    pub sha1: Sha1Hash,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// Shared with whoever shows progress or cancels.
#[derive(Debug, Default)]
pub struct Progress {
    /// Content bytes encoded so far.
    pub bytes_done: AtomicU64,
    /// Set to stop at the next window.
    pub cancelled: AtomicBool,
}

/// Encodes files with one codec on one thread pool.
pub struct Encoder {
    codec: Codec,
    pool: Arc<ThreadPool>,
    compressors: Mutex<Vec<Compressor>>,
}

/// A run of bytes of one file in a window.
struct Span {
    file: usize,
    range: Range<usize>,
    first: bool,
    last: bool,
}

struct Window {
    data: Vec<u8>,
    spans: Vec<Span>,
}

/// A file that is larger than a window, while it passes.
struct OpenFile {
    hasher: DoubleHasher,
    start: u64,
    table: Option<Reservation>,
    /// Stored bytes of each chunk so far; empty when the file is stored plain.
    chunks: Vec<u32>,
    shrank: bool,
}

impl Encoder {
    /// An encoder that uses `pool`'s threads.
    pub fn new(codec: Codec, pool: Arc<ThreadPool>) -> Self {
        Self { codec, pool, compressors: Mutex::new(Vec::new()) }
    }

    /// Encodes `files` in order into `sink`. An error names the number of the file it is about.
    pub fn encode(
        &self,
        files: &[FileToEncode],
        sink: &mut dyn ResourceSink,
        progress: &Progress,
    ) -> std::result::Result<Vec<EncodedFile>, (usize, WimError)> {
        std::thread::scope(|scope| {
            let (sender, windows) = mpsc::sync_channel::<Window>(1);
            let chunk = self.codec.chunk_bytes as usize;
            let reading = scope.spawn(move || read_windows(files, chunk, &sender));
            let mut done = Vec::with_capacity(files.len());
            let mut open = None;
            for window in windows {
                if progress.cancelled.load(Ordering::Relaxed) {
                    let stopped = io::Error::new(io::ErrorKind::Interrupted, "cancelled");
                    return Err((done.len(), stopped.into()));
                }
                self.encode_window(files, &window, sink, &mut open, &mut done)
                    .map_err(|error| (done.len(), error))?;
                progress.bytes_done.fetch_add(window.data.len() as u64, Ordering::Relaxed);
            }
            match reading.join() {
                Ok(Ok(())) => Ok(done),
                Ok(Err((file, error))) => Err((file, error.into())),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn encode_window(
        &self,
        files: &[FileToEncode],
        window: &Window,
        sink: &mut dyn ResourceSink,
        open: &mut Option<OpenFile>,
        done: &mut Vec<EncodedFile>,
    ) -> Result<()> {
        let chunk = self.codec.chunk_bytes as usize;
        let mut out = vec![0u8; window.data.len()];
        // A file that began with chunks none of which shrank is stored plain: see `begin_large`.
        let plain = open.as_ref().is_some_and(|file| file.table.is_none());
        let mut jobs = chunk_jobs(window, &mut out, chunk, plain);
        let carried = open.as_ref().map(|file| file.hasher.clone());
        let (hashers, failed) = self.pool.install(|| {
            rayon::join(
                || hash_spans(window, carried),
                || jobs.par_iter_mut().map(|job| self.compress(job)).find_any(Result::is_err),
            )
        });
        if let Some(error) = failed {
            error?;
        }
        let mut jobs = jobs.into_iter().peekable();
        for (span, hasher) in window.spans.iter().zip(hashers) {
            let count = span.range.len().div_ceil(chunk);
            let chunks: Vec<ChunkJob<'_>> = jobs.by_ref().take(count).collect();
            let data = &window.data[span.range.clone()];
            if span.first && span.last {
                done.push(append_small(sink, data, &chunks, hasher)?);
                continue;
            }
            if span.first {
                *open = Some(begin_large(sink, files[span.file].bytes, chunk, &chunks)?);
            }
            let Some(file) = open.as_mut() else {
                return Err(io::Error::other("a file's beginning is missing").into());
            };
            file.hasher = hasher;
            append_chunks(sink, file, &chunks)?;
            if span.last
                && let Some(file) = open.take()
            {
                done.push(finish_large(sink, file, &files[span.file])?);
            }
        }
        Ok(())
    }

    fn compress(&self, job: &mut ChunkJob<'_>) -> Result<()> {
        if job.keep_plain || cannot_shrink(job.data) {
            return Ok(());
        }
        let mut compressor = match self.take_compressor() {
            Some(compressor) => compressor,
            None => Compressor::new(self.codec)?,
        };
        // One byte less: a chunk stored in its own size must be stored plain.
        let room = job.data.len() - 1;
        job.stored = compressor.compress(job.data, &mut job.out[..room]).map(Into::into);
        self.compressors.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
        Ok(())
    }

    fn take_compressor(&self) -> Option<Compressor> {
        self.compressors.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

struct ChunkJob<'a> {
    data: &'a [u8],
    out: &'a mut [u8],
    keep_plain: bool,
    /// Bytes in `out`, if the chunk shrank.
    stored: Option<usize>,
}

impl ChunkJob<'_> {
    fn bytes(&self) -> &[u8] {
        self.stored.map_or(self.data, |len| &self.out[..len])
    }
}

fn chunk_jobs<'a>(
    window: &'a Window,
    mut out: &'a mut [u8],
    chunk: usize,
    continued_plain: bool,
) -> Vec<ChunkJob<'a>> {
    let mut jobs = Vec::with_capacity(window.data.len().div_ceil(chunk) + window.spans.len());
    for span in &window.spans {
        let keep_plain = continued_plain && !span.first;
        for data in window.data[span.range.clone()].chunks(chunk) {
            let (here, rest) = std::mem::take(&mut out).split_at_mut(data.len());
            out = rest;
            jobs.push(ChunkJob { data, out: here, keep_plain, stored: None });
        }
    }
    jobs
}

fn hash_spans(window: &Window, carried: Option<DoubleHasher>) -> Vec<DoubleHasher> {
    window
        .spans
        .par_iter()
        .map(|span| {
            let mut hasher = if span.first {
                DoubleHasher::default()
            } else {
                carried.clone().unwrap_or_default()
            };
            hasher.update(&window.data[span.range.clone()]);
            hasher
        })
        .collect()
}

fn table_bytes(sizes: impl Iterator<Item = u64>, original: u64) -> Vec<u8> {
    let mut table = Vec::new();
    let mut end = 0u64;
    let mut sizes = sizes.peekable();
    while let Some(size) = sizes.next() {
        end += size;
        if sizes.peek().is_none() {
            break;
        }
        if table_entry_bytes(original) == 4 {
            table.extend_from_slice(&(end as u32).to_le_bytes());
        } else {
            table.extend_from_slice(&end.to_le_bytes());
        }
    }
    table
}

fn append_small(
    sink: &mut dyn ResourceSink,
    data: &[u8],
    chunks: &[ChunkJob<'_>],
    hasher: DoubleHasher,
) -> Result<EncodedFile> {
    let original = data.len() as u64;
    let table = table_bytes(chunks.iter().map(|chunk| chunk.bytes().len() as u64), original);
    let stored = table.len() + chunks.iter().map(|chunk| chunk.bytes().len()).sum::<usize>();
    let compressed = stored < data.len();
    let offset = sink.position();
    if compressed {
        sink.append(&table)?;
        for chunk in chunks {
            sink.append(chunk.bytes())?;
        }
    } else {
        sink.append(data)?;
    }
    let (sha1, sha256) = hasher.finish();
    let stored_bytes = sink.position() - offset;
    Ok(EncodedFile { offset, stored_bytes, original_bytes: original, compressed, sha1, sha256 })
}

/// A large file none of whose first window's chunks shrank (CAB, MSI, ISO, a nested WIM) is stored
/// plain throughout: a pure function of its bytes, and no table is needed.
fn begin_large(
    sink: &mut dyn ResourceSink,
    original: u64,
    chunk: usize,
    first: &[ChunkJob<'_>],
) -> Result<OpenFile> {
    let start = sink.position();
    let shrank = first.iter().any(|chunk| chunk.stored.is_some());
    let table = if shrank {
        let entries = table_entries(original, chunk as u32);
        Some(sink.reserve(entries * table_entry_bytes(original))?)
    } else {
        None
    };
    Ok(OpenFile { hasher: DoubleHasher::default(), start, table, chunks: Vec::new(), shrank })
}

fn append_chunks(
    sink: &mut dyn ResourceSink,
    file: &mut OpenFile,
    chunks: &[ChunkJob<'_>],
) -> Result<()> {
    for chunk in chunks {
        sink.append(chunk.bytes())?;
        if file.table.is_some() {
            file.chunks.push(chunk.bytes().len() as u32);
        }
    }
    Ok(())
}

fn finish_large(
    sink: &mut dyn ResourceSink,
    file: OpenFile,
    source: &FileToEncode,
) -> Result<EncodedFile> {
    let mut offset = file.start;
    let mut stored_bytes = sink.position() - offset;
    let mut compressed = file.shrank;
    if let Some(room) = file.table {
        let sizes = file.chunks.iter().map(|&size| u64::from(size));
        sink.fill(room, &table_bytes(sizes, source.bytes))?;
        // Readers take a resource of equal size for a plain one, so it has to be one.
        if stored_bytes == source.bytes {
            offset = sink.position();
            append_plain(sink, source)?;
            stored_bytes = source.bytes;
            compressed = false;
        }
    }
    let (sha1, sha256) = file.hasher.finish();
    let original_bytes = source.bytes;
    Ok(EncodedFile { offset, stored_bytes, original_bytes, compressed, sha1, sha256 })
}

fn append_plain(sink: &mut dyn ResourceSink, source: &FileToEncode) -> Result<()> {
    let mut reader = (source.open)()?.take(source.bytes);
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            n => sink.append(&buffer[..n])?,
        }
    }
}

/// Reads all files into windows. Stops quietly when nobody takes the windows any more.
fn read_windows(
    files: &[FileToEncode],
    chunk: usize,
    sender: &mpsc::SyncSender<Window>,
) -> std::result::Result<(), (usize, io::Error)> {
    let empty = || Window { data: Vec::with_capacity(WINDOW_BYTES), spans: Vec::new() };
    let mut window = empty();
    for (number, file) in files.iter().enumerate() {
        let at = |error| (number, error);
        let mut reader = (file.open)().map_err(at)?;
        let mut left = file.bytes;
        let mut first = true;
        while left > 0 {
            let room = (WINDOW_BYTES - window.data.len()) / chunk * chunk;
            // A file that would fit into an empty window is not cut, so that it stays "small".
            let fits_later = first && file.bytes <= WINDOW_BYTES as u64 && left > room as u64;
            if room == 0 || fits_later {
                if sender.send(std::mem::replace(&mut window, empty())).is_err() {
                    return Ok(());
                }
                continue;
            }
            let take = left.min(room as u64);
            let start = window.data.len();
            let read = (&mut reader).take(take).read_to_end(&mut window.data).map_err(at)?;
            if read as u64 != take {
                return Err(at(wrong_size(file.bytes, "shorter")));
            }
            left -= take;
            let range = start..window.data.len();
            window.spans.push(Span { file: number, range, first, last: left == 0 });
            first = false;
        }
        if reader.read(&mut [0u8; 1]).map_err(at)? != 0 {
            return Err(at(wrong_size(file.bytes, "longer")));
        }
    }
    if !window.spans.is_empty() {
        // An error here means that the encoder has stopped with an error of its own.
        let _ = sender.send(window);
    }
    Ok(())
}

fn wrong_size(expected: u64, how: &str) -> io::Error {
    let problem = format!("the file is {how} than the {expected} bytes that were listed");
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
