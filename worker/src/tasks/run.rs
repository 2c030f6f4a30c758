//! Encoding a run of a large file, for the join that follows. Blocking.
//!
//! A run lies in the store as a pack of its own until it is joined: its chunks that shrank, back to
//! back, then the stored bytes of each of its chunks as `u32` (little endian). The chunks that did
//! not shrink are left out: the join reads the file anyway. The index has one entry, with the
//! hashes of the run's content.

use std::io::{self, Read};

use bytes::Bytes;
use prestage_proto::v1;
use prestage_store::{
    CHUNK,
    pack::{PackReadError, PackReader, ResourceEntry},
};
use prestage_threads::AsyncSide;
use prestage_wim::codec::{Codec, ResourceSink, RunToJoin};

use super::{
    Tools, content,
    encode::{MadePack, codec_of, encode_problem, facts, finish},
    error::TaskError,
    parse_key,
    sink::PackSink,
};

/// Bytes of one chunk's size behind the chunks.
const SIZE_BYTES: u64 = 4;

/// Encodes a task's run from the first source that has all of it. Whether the bytes are the right
/// ones is seen when the runs are joined: a part of a file has no hash in the listing.
pub fn encode_run(task: &v1::EncodeRunTask, tools: &Tools) -> Result<MadePack, TaskError> {
    let codec = codec_of(task.codec)?;
    let missing = || TaskError::BadTask("it names no run of a file".into());
    let (file, run) = task.file.as_ref().zip(task.run.as_ref()).ok_or_else(missing)?;
    content::from_first_good(&task.content_id, &task.sources, tools, |source| {
        let stretch = content::stretch(source, file, run.offset, run.bytes, tools)?;
        let mut sink = PackSink::new(tools.pack_writer(run.bytes)?);
        let (encoder, _memory) = tools.encoder(codec)?;
        let encoded = encoder
            .encode_run(stretch, &mut sink, &tools.progress)
            .map_err(|error| encode_problem(Some(file), error, tools))?;
        let sizes: Vec<u8> = encoded.sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let written = sink.append(&sizes);
        written.map_err(|error| encode_problem(Some(file), error.into(), tools))?;
        let entry = ResourceEntry {
            sha1: encoded.sha1.0,
            sha256: Some(encoded.sha256),
            offset: 0,
            stored_bytes: sink.position(),
            original_bytes: run.bytes,
            compressed: true,
        };
        finish(sink, vec![entry], facts(&task.content_id, codec))
    })
}

/// Opens a run for its join. `None` when it isn't there, or is not what its maker wrote.
pub fn open_run(
    run: &v1::FileRun,
    codec: Codec,
    tools: &Tools,
) -> Result<Option<RunToJoin>, TaskError> {
    let key = parse_key(&run.run_key)?;
    let opened = tools.runtime.block_on(tools.objects.open_pack(&key));
    let Some(pack) = opened? else {
        return Ok(None);
    };
    match to_join(pack, run, codec, tools) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => match error.downcast::<PackReadError>() {
            Ok(error) if !matches!(error, PackReadError::Damaged { .. }) => Err(error.into()),
            _ => {
                tracing::warn!(run = run.run_key, "a run of a file is damaged");
                Ok(None)
            }
        },
    }
}

/// The number of the run among `runs` whose object is damaged, if that is what the error says.
pub fn damaged_run(error: &io::Error, runs: &[v1::FileRun]) -> Option<usize> {
    let cause = error.get_ref()?.downcast_ref::<PackReadError>()?;
    let PackReadError::Damaged { key, .. } = cause else {
        return None;
    };
    let key = key.to_string();
    runs.iter().position(|run| run.run_key == key)
}

fn to_join(
    pack: PackReader,
    run: &v1::FileRun,
    codec: Codec,
    tools: &Tools,
) -> io::Result<RunToJoin> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a run's sizes contradict it");
    let count = run.bytes.div_ceil(u64::from(codec.chunk_bytes));
    let [entry] = pack.index().resources() else {
        return Err(damaged());
    };
    let chunks_end = entry.stored_bytes.checked_sub(count * SIZE_BYTES).ok_or_else(damaged)?;
    let sha256 = entry.sha256.ok_or_else(damaged)?;
    let mut table = Vec::with_capacity((count * SIZE_BYTES) as usize);
    RunBytes::new(pack.clone(), chunks_end..entry.stored_bytes, tools).read_to_end(&mut table)?;
    let (sizes, _) = table.as_chunks::<{ SIZE_BYTES as usize }>();
    let sizes: Vec<u32> = sizes.iter().map(|size| u32::from_le_bytes(*size)).collect();
    let mut left = run.bytes;
    let mut shrunk = 0;
    for &size in &sizes {
        let content = left.min(u64::from(codec.chunk_bytes));
        left -= content;
        match u64::from(size) {
            size if size == 0 || size > content => return Err(damaged()),
            size if size < content => shrunk += size,
            _ => {}
        }
    }
    if shrunk != chunks_end || entry.original_bytes != run.bytes {
        return Err(damaged());
    }
    let chunks = Box::new(RunBytes::new(pack, 0..chunks_end, tools));
    Ok(RunToJoin { bytes: run.bytes, sizes, sha256, chunks })
}

/// A range of a pack, every byte checked against the pack's index.
struct RunBytes {
    pack: PackReader,
    runtime: AsyncSide,
    at: u64,
    end: u64,
    /// The rest of the chunk that `at` is in.
    rest: Bytes,
}

impl RunBytes {
    fn new(pack: PackReader, range: std::ops::Range<u64>, tools: &Tools) -> Self {
        let runtime = tools.runtime.clone();
        Self { pack, runtime, at: range.start, end: range.end, rest: Bytes::new() }
    }
}

impl Read for RunBytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end {
            return Ok(0);
        }
        if self.rest.is_empty() {
            let chunk = self.pack.get_chunk(self.at / CHUNK);
            let chunk = self.runtime.block_on(chunk).map_err(io::Error::other)?;
            self.rest = chunk.slice((self.at % CHUNK) as usize..);
        }
        let take = out.len().min(self.rest.len()).min((self.end - self.at) as usize);
        out[..take].copy_from_slice(&self.rest.split_to(take));
        self.at += take as u64;
        Ok(take)
    }
}
