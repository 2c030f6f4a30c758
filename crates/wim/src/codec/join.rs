//! Joining the runs of a file.
//!
//! The file is read once more, whole: that gives its hashes and the chunks that are stored plain, and
//! tells runs that were made from other bytes by the SHA-256 that each says it has.

use std::io::{self, Read};

use rayon::ThreadPool;
use sha2::{Digest, Sha256};

use super::{
    Codec, EncodedFile, FileToEncode, Progress, ResourceSink,
    table::{is_worth_compressing, table_bytes},
    window::{self, Stopped, Window},
};
use crate::{
    error::Result,
    hash::{DoubleHasher, Sha1Hash},
};

/// A run that is to be joined.
pub struct RunToJoin {
    /// Bytes of its content: whole chunks, except in the file's last run.
    pub bytes: u64,
    /// As its encoder said.
    pub sizes: Vec<u32>,
    /// SHA-256 of the content that it was made from.
    pub sha256: [u8; 32],
    /// Its chunks that shrank, back to back.
    pub chunks: Box<dyn Read + Send>,
}

/// What a join came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedFile {
    /// The file's resource.
    pub file: EncodedFile,
    /// Numbers of the runs that were made from other bytes than the file has now. The resource is
    /// of no use unless there are none.
    pub differing: Vec<usize>,
}

/// Joins the runs of a file, in order, into its resource, with so many windows of it in memory.
pub fn join(
    codec: Codec,
    file: FileToEncode,
    runs: Vec<RunToJoin>,
    pool: &ThreadPool,
    windows: usize,
    sink: &mut dyn ResourceSink,
    progress: &Progress,
) -> Result<JoinedFile> {
    let original_bytes = file.bytes;
    check(codec, original_bytes, &runs)?;
    let ends = runs.iter().scan(0, |end, run| {
        *end += run.bytes;
        Some(*end)
    });
    let mut hashing = JoinHashes::new(ends.collect(), pool);
    let said: Vec<[u8; 32]> = runs.iter().map(|run| run.sha256).collect();
    let offset = sink.position();
    let mut writer = JoinWriter::begin(codec, original_bytes, runs, sink)?;
    let compressed = writer.compressed;
    let work = |window: &mut Window| {
        hashing.pass(&window.data);
        Ok(())
    };
    let passed = window::pass(&[file], windows, progress, work, |window| writer.write(window));
    passed.map_err(|(_, error): Stopped| error)?;
    let stored_bytes = sink.position() - offset;
    let (sha1, sha256, runs) = hashing.finish();
    let pairs = runs.iter().zip(&said).enumerate();
    let differing = pairs.filter(|(_, (is, said))| is != said).map(|(number, _)| number).collect();
    let file = EncodedFile { offset, stored_bytes, original_bytes, compressed, sha1, sha256 };
    Ok(JoinedFile { file, differing })
}

fn check(codec: Codec, bytes: u64, runs: &[RunToJoin]) -> Result<()> {
    let chunk_bytes = u64::from(codec.chunk_bytes);
    let fits = |run: &RunToJoin| run.sizes.len() as u64 == run.bytes.div_ceil(chunk_bytes);
    let before_last = &runs[..runs.len().saturating_sub(1)];
    let aligned = before_last.iter().all(|run| run.bytes.is_multiple_of(chunk_bytes));
    if aligned && runs.iter().all(fits) && runs.iter().map(|run| run.bytes).sum::<u64>() == bytes {
        return Ok(());
    }
    Err(io::Error::other("the runs of a file are not the file's").into())
}

/// Hashes of the whole file and of each run.
struct JoinHashes<'a> {
    file: DoubleHasher,
    run: Sha256,
    /// Where runs end that have not ended yet, the nearest last.
    ends: Vec<u64>,
    at: u64,
    runs: Vec<[u8; 32]>,
    pool: &'a ThreadPool,
}

impl<'a> JoinHashes<'a> {
    fn new(mut ends: Vec<u64>, pool: &'a ThreadPool) -> Self {
        ends.reverse();
        let (file, run) = (DoubleHasher::default(), Sha256::new());
        Self { file, run, ends, at: 0, runs: Vec::new(), pool }
    }

    fn pass(&mut self, bytes: &[u8]) {
        let Self { file, run, ends, at, runs, pool } = self;
        let pass_runs = || pass_runs(bytes, run, ends, at, runs);
        pool.install(|| rayon::join(|| file.update_side_by_side(bytes), pass_runs));
    }

    fn finish(self) -> (Sha1Hash, [u8; 32], Vec<[u8; 32]>) {
        let (sha1, sha256) = self.file.finish();
        (sha1, sha256, self.runs)
    }
}

fn pass_runs(
    mut bytes: &[u8],
    run: &mut Sha256,
    ends: &mut Vec<u64>,
    at: &mut u64,
    runs: &mut Vec<[u8; 32]>,
) {
    while let Some(&end) = ends.last() {
        let (now, later) = bytes.split_at(bytes.len().min((end - *at) as usize));
        run.update(now);
        *at += now.len() as u64;
        if *at < end {
            return;
        }
        runs.push(run.finalize_reset().into());
        ends.pop();
        bytes = later;
    }
}

/// Puts the runs' chunks and the file's own bytes in their order.
struct JoinWriter<'a> {
    sink: &'a mut dyn ResourceSink,
    chunk_bytes: usize,
    compressed: bool,
    runs: std::vec::IntoIter<RunToJoin>,
    sizes: std::vec::IntoIter<u32>,
    chunks: Box<dyn Read + Send>,
    chunk: Vec<u8>,
}

impl<'a> JoinWriter<'a> {
    /// Writes the chunk table.
    fn begin(
        codec: Codec,
        original: u64,
        runs: Vec<RunToJoin>,
        sink: &'a mut dyn ResourceSink,
    ) -> Result<Self> {
        let sizes: Vec<u32> = runs.iter().flat_map(|run| &run.sizes).copied().collect();
        let compressed = is_worth_compressing(original, codec.chunk_bytes, &sizes);
        if compressed {
            sink.append(&table_bytes(sizes.into_iter(), original))?;
        }
        Ok(Self {
            sink,
            chunk_bytes: codec.chunk_bytes as usize,
            compressed,
            runs: runs.into_iter(),
            sizes: Vec::new().into_iter(),
            chunks: Box::new(io::empty()),
            chunk: vec![0; codec.chunk_bytes as usize],
        })
    }

    fn write(&mut self, window: &Window) -> Result<()> {
        if !self.compressed {
            return Ok(self.sink.append(&window.data)?);
        }
        for data in window.data.chunks(self.chunk_bytes) {
            let size = self.next_size()? as usize;
            if size < data.len() {
                let chunk = &mut self.chunk[..size];
                self.chunks.read_exact(chunk)?;
                self.sink.append(chunk)?;
            } else {
                self.sink.append(data)?;
            }
        }
        Ok(())
    }

    fn next_size(&mut self) -> Result<u32> {
        loop {
            if let Some(size) = self.sizes.next() {
                return Ok(size);
            }
            let missing = || io::Error::other("a file has more chunks than its runs");
            let run = self.runs.next().ok_or_else(missing)?;
            self.sizes = run.sizes.into_iter();
            self.chunks = run.chunks;
        }
    }
}
