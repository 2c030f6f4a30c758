//! Many contents in order, unpacked ahead on all threads.
//!
//! Resources are read in the order of the file, their chunks unpacked in batches: each chunk once,
//! even if a solid resource has thousands of contents in it. A batch has a chunk for each thread,
//! but not more content than it may hold in memory, since a chunk of an ESD has 64 MiB.

use std::{
    io::{self, Read},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
};

use bytes::{Buf, Bytes};
use rayon::{ThreadPool, prelude::*};
use tokio::runtime::Handle;

use crate::{
    blob_table::Blob,
    chunks::{Chunks, unpack},
    codec::FileToEncode,
    error::{Result, WimError},
    source::{RangeRead, read_structure},
    wim::Wim,
};

/// Content in memory for each thread that is of use.
pub const AHEAD_BYTES_PER_THREAD: u64 = 64 << 20;
/// A batch of small chunks is at least so large, so that threads don't wait for each other often.
const BATCH_BYTES: u64 = 16 << 20;
/// Pieces that wait to be taken.
const WAITING_PIECES: usize = 4;

/// Unpacks contents of one WIM. Blocking: not for async threads.
pub struct Unpacker {
    wim: Arc<Wim>,
    pool: Arc<ThreadPool>,
    runtime: Handle,
    ahead_bytes: u64,
}

/// Some bytes of the content that is next.
struct Piece {
    bytes: Bytes,
    /// Whether the content ends with it.
    last: bool,
}

type Pieces = Receiver<Result<Piece>>;

impl Unpacker {
    /// An unpacker that uses `pool`'s threads, and reads on `runtime`. It holds twice `ahead_bytes` of
    /// content at most, one batch that is taken and one that is made, unless a single chunk has more.
    pub fn new(
        wim: Arc<Wim>,
        pool: Arc<ThreadPool>,
        runtime: Handle,
        ahead_bytes: u64,
    ) -> Arc<Self> {
        let useful = AHEAD_BYTES_PER_THREAD * pool.current_num_threads() as u64;
        Arc::new(Self { wim, pool, runtime, ahead_bytes: ahead_bytes.min(useful) })
    }

    /// Puts blobs into the order in which their bytes lie.
    pub fn sort(&self, blobs: &mut [Blob]) {
        let solid = self.wim.solid_resources();
        blobs.sort_by_key(|blob| match blob.solid {
            Some(number) => {
                let solid = &solid[number as usize];
                (blob.part, solid.resource.offset, blob.resource.offset)
            }
            None => (blob.part, blob.resource.offset, 0),
        });
    }

    /// The contents of `blobs` as files for the encoder, which has to open them in this order.
    /// What is wrong with the WIM itself comes as an error of the kind `InvalidData`.
    pub fn files(self: &Arc<Self>, blobs: &[Blob]) -> Vec<FileToEncode> {
        let all = Arc::new(Mutex::new(self.clone().start(blobs.to_vec())));
        blobs.iter().map(|&blob| self.file(blob, all.clone())).collect()
    }

    fn file(self: &Arc<Self>, blob: Blob, all: Arc<Mutex<Pieces>>) -> FileToEncode {
        let unpacker = self.clone();
        let opened = AtomicBool::new(false);
        let open = move || -> io::Result<Box<dyn Read + Send>> {
            let pieces = match opened.swap(true, Ordering::Relaxed) {
                false => all.clone(),
                // It has passed by: read it once more, alone.
                true => Arc::new(Mutex::new(unpacker.clone().start(vec![blob]))),
            };
            Ok(Box::new(ContentReader { pieces, current: Bytes::new(), ended: false }))
        };
        FileToEncode { bytes: blob.resource.original_bytes, open: Box::new(open) }
    }

    /// Starts a thread that unpacks until all is taken, or nobody takes it any more.
    fn start(self: Arc<Self>, blobs: Vec<Blob>) -> Pieces {
        let (sender, pieces) = mpsc::sync_channel(WAITING_PIECES);
        std::thread::spawn(move || {
            if let Err(error) = self.unpack_all(&blobs, &sender) {
                // Nobody is there to be told: then nobody needs to know.
                let _ = sender.send(Err(error));
            }
        });
        pieces
    }

    fn unpack_all(&self, blobs: &[Blob], sender: &SyncSender<Result<Piece>>) -> Result<()> {
        let mut batch = Batch::new(self.pool.current_num_threads(), self.ahead_bytes);
        for blob in blobs {
            self.wim.count_decompressed();
            let (chunks, content) = self.runtime.block_on(self.wim.chunks_of(blob))?;
            let source = self.wim.source_of(blob);
            let mut at = content.start;
            while at < content.end {
                let chunk = (at / chunks.chunk_bytes) as usize;
                let whole = chunks.content(chunk, chunk + 1);
                if !batch.ends_with(&chunks, chunk) {
                    if batch.is_full(whole.end - whole.start) && !self.flush(&mut batch, sender)? {
                        return Ok(());
                    }
                    batch.push(&chunks, chunk, self.read(source, chunks.stored(chunk, chunk + 1))?);
                }
                let end = whole.end.min(content.end);
                let range = (at - whole.start) as usize..(end - whole.start) as usize;
                batch.cuts.push(Cut { job: batch.jobs.len() - 1, range, last: end == content.end });
                at = end;
            }
        }
        self.flush(&mut batch, sender).map(drop)
    }

    fn read(&self, source: &dyn RangeRead, range: Range<u64>) -> Result<Bytes> {
        self.runtime.block_on(read_structure(source, "resource", range))
    }

    /// Unpacks a batch and hands it on; false when nobody takes it.
    fn flush(&self, batch: &mut Batch, sender: &SyncSender<Result<Piece>>) -> Result<bool> {
        let (jobs, cuts) = batch.take();
        let unpacked: Result<Vec<Bytes>> = self.pool.install(|| {
            let unpack = |known: &mut Option<_>, job: &Job| unpack_job(job, known);
            jobs.par_iter().map_init(|| None, unpack).collect()
        });
        drop(jobs);
        let unpacked = unpacked?;
        for Cut { job, range, last } in cuts {
            let bytes = unpacked[job].slice(range);
            if sender.send(Ok(Piece { bytes, last })).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One chunk to unpack.
struct Job {
    chunks: Arc<Chunks>,
    chunk: usize,
    stored: Bytes,
}

/// A run of a chunk's content that belongs to one blob.
struct Cut {
    job: usize,
    range: Range<usize>,
    last: bool,
}

struct Batch {
    threads: usize,
    most_bytes: u64,
    bytes: u64,
    jobs: Vec<Job>,
    cuts: Vec<Cut>,
}

impl Batch {
    fn new(threads: usize, most_bytes: u64) -> Self {
        Self { threads, most_bytes, bytes: 0, jobs: Vec::new(), cuts: Vec::new() }
    }

    fn ends_with(&self, chunks: &Arc<Chunks>, chunk: usize) -> bool {
        let same = |job: &Job| job.chunk == chunk && Arc::ptr_eq(&job.chunks, chunks);
        self.jobs.last().is_some_and(same)
    }

    /// Whether it is to be unpacked before a chunk of `more` bytes is added.
    fn is_full(&self, more: u64) -> bool {
        let enough = self.jobs.len() >= self.threads && self.bytes >= BATCH_BYTES;
        let too_much = self.bytes + more > self.most_bytes;
        enough || too_much && !self.jobs.is_empty()
    }

    fn push(&mut self, chunks: &Arc<Chunks>, chunk: usize, stored: Bytes) {
        let content = chunks.content(chunk, chunk + 1);
        self.bytes += content.end - content.start;
        self.jobs.push(Job { chunks: chunks.clone(), chunk, stored });
    }

    fn take(&mut self) -> (Vec<Job>, Vec<Cut>) {
        self.bytes = 0;
        (std::mem::take(&mut self.jobs), std::mem::take(&mut self.cuts))
    }
}

/// A thread's decompressor, with the chunks that it was made for.
type Known = Option<(Arc<Chunks>, Option<crate::codec::Decompressor>)>;

fn unpack_job(job: &Job, known: &mut Known) -> Result<Bytes> {
    let content = job.chunks.content(job.chunk, job.chunk + 1);
    if job.stored.len() as u64 == content.end - content.start {
        return Ok(job.stored.clone());
    }
    let fits = |(chunks, _): &(Arc<Chunks>, _)| {
        (chunks.format, chunks.chunk_bytes) == (job.chunks.format, job.chunks.chunk_bytes)
    };
    if !known.as_ref().is_some_and(fits) {
        *known = Some((job.chunks.clone(), job.chunks.decompressor()?));
    }
    let mut out = vec![0u8; (content.end - content.start) as usize];
    let offset = job.chunks.stored(job.chunk, job.chunk).start;
    if let Some((_, decompressor)) = known {
        unpack(decompressor, &job.stored, &mut out, offset)?;
    }
    Ok(out.into())
}

/// One content out of the stream of all.
struct ContentReader {
    pieces: Arc<Mutex<Pieces>>,
    current: Bytes,
    ended: bool,
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended {
            let piece = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let stopped = || io::Error::other("unpacking stopped before the content's end");
            let piece = piece.map_err(|_| stopped())?.map_err(in_reading)?;
            (self.current, self.ended) = (piece.bytes, piece.last);
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

fn in_reading(error: WimError) -> io::Error {
    match error {
        WimError::Io(error) => error,
        WimError::Store(error) => io::Error::other(error),
        damaged => io::Error::new(io::ErrorKind::InvalidData, damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResourceHeader;

    fn chunks_of_one(bytes: u64) -> Arc<Chunks> {
        let resource =
            ResourceHeader { stored_bytes: bytes, original_bytes: bytes, ..Default::default() };
        let mut chunks = Chunks::plain(&resource).unwrap();
        chunks.chunk_bytes = bytes;
        Arc::new(chunks)
    }

    /// Fills one batch with chunks of `chunk_bytes`; gives how many there are and their bytes.
    fn fill(threads: usize, chunk_bytes: u64) -> (usize, u64) {
        let chunks = chunks_of_one(chunk_bytes);
        let mut batch = Batch::new(threads, threads as u64 * AHEAD_BYTES_PER_THREAD);
        while !batch.is_full(chunk_bytes) {
            batch.push(&chunks, 0, Bytes::new());
        }
        (batch.jobs.len(), batch.bytes)
    }

    #[test]
    fn batches_keep_all_threads_busy_in_bounded_memory() {
        for threads in [1, 2, 16] {
            let (small, bytes) = fill(threads, 32 << 10);
            assert!(small >= threads && bytes == BATCH_BYTES, "{threads}: {small}, {bytes}");
            assert_eq!(fill(threads, 64 << 20), (threads, threads as u64 * (64 << 20)));
        }
        assert_eq!(fill(2, 1 << 30), (1, 1 << 30), "one chunk, however large it is");
    }
}
