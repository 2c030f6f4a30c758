//! Encoding an OS image anew whose resources can't be taken over as they are: ESD files, LZMS,
//! other chunk sizes. Blocking.
//!
//! The files of the WIM are read twice: once for their SHA-256, then for the contents, in the order
//! in which they lie, so that a solid resource is unpacked once. Every content's SHA-1 is checked.

use prestage_wim::{
    Blob,
    codec::{Codec, Encoder, WINDOW_MEMORY, WINDOWS},
    unpack::{AHEAD_BYTES_PER_THREAD, Unpacker},
};

use super::{
    Tools,
    content::SourceProblem,
    encode::{self, MadePack},
    sink::PackSink,
    source_wim::SourceWim,
    splice::hash_part,
    windows_in,
};

/// Makes a pack of `wanted` contents with `codec`.
pub fn reencode(
    opened: &SourceWim<'_>,
    mut wanted: Vec<Blob>,
    codec: Codec,
    tools: &Tools,
) -> Result<MadePack, SourceProblem> {
    for number in 1..=opened.wim.header.parts {
        hash_part(opened.part(number)?, tools)?;
    }
    let content = wanted.iter().map(|blob| blob.resource.original_bytes).sum();
    let mut sink = PackSink::new(tools.pack_writer(content)?);
    let threads = tools.pool.current_num_threads() as u64;
    let windows = WINDOWS as u64 * WINDOW_MEMORY;
    let memory = tools.memory(windows + 2 * threads * AHEAD_BYTES_PER_THREAD)?;
    // The rest is the unpacker's, for the batch that is taken and the one that is made.
    let windows = windows.min(memory.bytes() / 2);
    let ahead = (memory.bytes() - windows) / 2;
    let (pool, runtime) = (tools.pool.clone(), tools.runtime.handle().clone());
    let unpacker = Unpacker::new(opened.wim.clone(), pool, runtime, ahead);
    unpacker.sort(&mut wanted);
    let files = unpacker.files(&wanted);
    let encoder = Encoder::new(codec, tools.pool.clone()).with_windows(windows_in(windows));
    let listed_of = |number: usize| wanted.get(number).map(|blob| opened.part(blob.part));
    let encoded =
        encoder.encode(&files, &mut sink, &tools.progress).map_err(|(number, error)| {
            match listed_of(number).transpose() {
                Ok(part) => encode::encode_problem(part.map(|part| part.listed), error, tools),
                Err(error) => error.into(),
            }
        })?;
    let mut resources = Vec::with_capacity(encoded.len());
    for (blob, encoded) in wanted.iter().zip(encoded) {
        if encoded.sha1 != blob.sha1 {
            let path = &opened.part(blob.part)?.listed.path;
            let problem = format!(
                "'{path}' is damaged: a content has SHA-1 {}, expected {}",
                encoded.sha1, blob.sha1
            );
            return Err(SourceProblem::WrongContent(problem));
        }
        resources.push(encode::resource(&encoded));
    }
    encode::finish(sink, resources, Default::default())
}
