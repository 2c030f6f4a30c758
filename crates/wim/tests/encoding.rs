//! The encoder and the join of runs against the plainest way to encode, and against wimlib.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::Cursor,
    ops::Range,
    process::Command,
    sync::{Arc, atomic::Ordering},
};

use object_store::{local::LocalFileSystem, path::Path as StorePath};
use prestage_wim::{
    ObjectSource, Sha1Hash, Wim, WimError,
    codec::{
        Codec, Compressor, EncodedFile, Encoder, FileToEncode, Format, JoinedFile, MemorySink,
        Progress, RunToJoin, WINDOW_BYTES, cannot_shrink, join,
    },
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const CHUNK: usize = 32_768;
const CODEC: Codec = Codec { format: Format::Lzx, chunk_bytes: CHUNK as u32, level: 8 };

/// Stretches of content by what they look like to a compressor.
#[derive(Clone, Copy, Debug)]
enum Stretch {
    Words(usize),
    Noise(usize),
    Zeros(usize),
}

fn content(stretches: &[Stretch]) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()
    };
    let mut content = Vec::new();
    for &stretch in stretches {
        match stretch {
            Stretch::Zeros(bytes) => content.resize(content.len() + bytes, 0),
            Stretch::Noise(bytes) => {
                let end = content.len() + bytes;
                while content.len() < end {
                    content.extend(next());
                }
                content.truncate(end);
            }
            Stretch::Words(bytes) => {
                let end = content.len() + bytes;
                while content.len() < end {
                    content
                        .extend(next().map(|byte| b"etaoin sh rdlu\r\n"[usize::from(byte & 15)]));
                }
                content.truncate(end);
            }
        }
    }
    content
}

fn file(content: &[u8], range: Range<usize>) -> FileToEncode {
    let content: Arc<[u8]> = content[range].into();
    FileToEncode {
        bytes: content.len() as u64,
        open: Box::new(move || Ok(Box::new(Cursor::new(content.clone())))),
    }
}

fn pool() -> Arc<rayon::ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap())
}

fn encode(contents: &[Vec<u8>]) -> (Vec<EncodedFile>, Vec<u8>) {
    let files: Vec<_> = contents.iter().map(|content| file(content, 0..content.len())).collect();
    let (mut sink, progress) = (MemorySink::default(), Progress::default());
    let encoded = Encoder::new(CODEC, pool()).encode(&files, &mut sink, &progress).unwrap();
    let bytes: usize = contents.iter().map(Vec::len).sum();
    assert!(progress.bytes_done.load(Ordering::Relaxed) == bytes as u64);
    (encoded, sink.0)
}

/// One chunk after the other, everything in memory.
fn naive(content: &[u8]) -> (bool, Vec<u8>) {
    let mut compressor = Compressor::new(CODEC).unwrap();
    let chunks: Vec<Vec<u8>> = content
        .chunks(CHUNK)
        .map(|chunk| {
            let mut out = vec![0; chunk.len() - 1];
            match compressor.compress(chunk, &mut out) {
                Some(stored) if !cannot_shrink(chunk) => out[..stored.get()].to_vec(),
                _ => chunk.to_vec(),
            }
        })
        .collect();
    let mut stored = Vec::new();
    let mut end = 0;
    for chunk in &chunks[..chunks.len() - 1] {
        end += chunk.len() as u32;
        stored.extend(end.to_le_bytes());
    }
    stored.extend(chunks.concat());
    let first_window = &chunks[..chunks.len().min(WINDOW_BYTES / CHUNK)];
    let begins_well = content.len() <= WINDOW_BYTES
        || first_window
            .iter()
            .zip(content.chunks(CHUNK))
            .any(|(out, chunk)| out.len() < chunk.len());
    if begins_well && stored.len() < content.len() {
        (true, stored)
    } else {
        (false, content.to_vec())
    }
}

fn check(encoded: &EncodedFile, stored: &[u8], content: &[u8]) {
    let (compressed, expected) = naive(content);
    assert_eq!((encoded.compressed, encoded.original_bytes), (compressed, content.len() as u64));
    assert!(stored == expected, "the resource of {} bytes is another", content.len());
    assert_eq!(encoded.sha1, Sha1Hash::of(content));
    assert_eq!(encoded.sha256[..], Sha256::digest(content)[..]);
}

fn resource<'a>(encoded: &EncodedFile, sink: &'a [u8]) -> &'a [u8] {
    &sink[encoded.offset as usize..][..encoded.stored_bytes as usize]
}

/// Encodes runs that end at `cuts` (in chunks), and joins them.
fn joined(content: &[u8], cuts: &[usize]) -> (JoinedFile, Vec<u8>) {
    joined_of(content, content, cuts)
}

/// The same where the runs' encoders saw `seen` in place of `content`.
fn joined_of(content: &[u8], seen: &[u8], cuts: &[usize]) -> (JoinedFile, Vec<u8>) {
    let encoder = Encoder::new(CODEC, pool());
    let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut * CHUNK).collect();
    bounds.retain(|&cut| cut < content.len());
    bounds.extend([0, content.len()]);
    bounds.sort_unstable();
    bounds.dedup();
    let runs = bounds.windows(2).map(|bounds| {
        let mut sink = MemorySink::default();
        let run = file(seen, bounds[0]..bounds[1]);
        let bytes = run.bytes;
        let run = encoder.encode_run(run, &mut sink, &Progress::default()).unwrap();
        let chunks = Box::new(Cursor::new(sink.0));
        RunToJoin { bytes, sizes: run.sizes, sha256: run.sha256, chunks }
    });
    let (whole, mut sink) = (file(content, 0..content.len()), MemorySink::default());
    let progress = Progress::default();
    let joined = join(CODEC, whole, runs.collect(), &pool(), 2, &mut sink, &progress).unwrap();
    (joined, sink.0)
}

fn stretch() -> impl Strategy<Value = Stretch> {
    let bytes = prop_oneof![1..200usize, 1..300_000usize, 1..12_000_000usize];
    (0..3, bytes).prop_map(|(kind, bytes)| match kind {
        0 => Stretch::Words(bytes),
        1 => Stretch::Noise(bytes),
        _ => Stretch::Zeros(bytes),
    })
}

fn contents() -> impl Strategy<Value = Vec<Vec<Stretch>>> {
    prop::collection::vec(prop::collection::vec(stretch(), 1..4), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn files_become_what_the_plainest_encoder_makes(contents in contents()) {
        let contents: Vec<Vec<u8>> = contents.iter().map(|parts| content(parts)).collect();
        let (encoded, sink) = encode(&contents);
        let mut end = 0;
        for (encoded, content) in encoded.iter().zip(&contents) {
            prop_assert_eq!(encoded.offset, end);
            check(encoded, resource(encoded, &sink), content);
            end += encoded.stored_bytes;
        }
        prop_assert_eq!(sink.len() as u64, end);
    }

    #[test]
    fn joined_runs_are_the_bytes_of_one_encoder(
        stretches in prop::collection::vec(stretch(), 1..5),
        cuts in prop::collection::vec(1..800usize, 0..6),
    ) {
        let content = content(&stretches);
        let (joined, sink) = joined(&content, &cuts);
        prop_assert!(joined.differing.is_empty());
        let (alone, expected) = encode(std::slice::from_ref(&content));
        prop_assert_eq!(&joined.file, &alone[0]);
        prop_assert!(sink == expected);
    }
}

/// A cabinet with a program behind it, larger than a window: plain throughout, joined or not.
#[test]
fn what_begins_with_a_window_that_does_not_shrink_is_plain() {
    let content = content(&[Stretch::Noise(WINDOW_BYTES), Stretch::Words(3_000_000)]);
    let (encoded, sink) = encode(std::slice::from_ref(&content));
    assert!(!encoded[0].compressed && sink == content);
    let (joined, sink) = joined(&content, &[100, 256]);
    assert!(joined.file == encoded[0] && sink == content);
}

/// One chunk saves less than the table costs: the resource is taken back and nothing of it is left.
#[test]
fn what_comes_out_no_smaller_is_plain_and_leaves_nothing() {
    let small = content(&[Stretch::Words(50_000)]);
    let large = content(&[Stretch::Zeros(500), Stretch::Noise(WINDOW_BYTES + 5_000_000)]);
    let mut compressor = Compressor::new(CODEC).unwrap();
    let mut out = vec![0; CHUNK - 1];
    let first = compressor.compress(&large[..CHUNK], &mut out).unwrap().get();
    let table = 4 * (large.len() / CHUNK);
    assert!(first < CHUNK && CHUNK - first < table, "the case is made: {first} of {CHUNK}");
    let (encoded, sink) = encode(&[small.clone(), large.clone(), small.clone()]);
    assert!(!encoded[1].compressed);
    for (encoded, content) in encoded.iter().zip([&small, &large, &small]) {
        check(encoded, resource(encoded, &sink), content);
    }
    assert_eq!(sink.len() as u64, encoded.iter().map(|file| file.stored_bytes).sum::<u64>());
    let (joined, sink) = joined(&large, &[200]);
    assert!(!joined.file.compressed && sink == large);
}

#[test]
fn runs_made_from_other_bytes_are_told() {
    let content = content(&[Stretch::Words(4_000_000)]);
    let mut damaged = content.clone();
    damaged[2_000_000] ^= 1;
    let cuts = [30, 60, 90];
    let run = cuts.partition_point(|cut| cut * CHUNK <= 2_000_000);
    let (joined, _) = joined_of(&content, &damaged, &cuts);
    assert_eq!(joined.differing, [run]);
    assert_eq!(
        joined.file.sha256[..],
        Sha256::digest(&content)[..],
        "the file's own hash is right"
    );
}

#[test]
fn a_file_of_another_size_is_an_error_that_names_it() {
    for (said, problem) in [(9_000_000, "longer"), (11_000_000, "shorter")] {
        let good = content(&[Stretch::Words(40_000)]);
        let mut wrong = file(&content(&[Stretch::Zeros(10_000_000)]), 0..10_000_000);
        wrong.bytes = said;
        let files = [file(&good, 0..good.len()), wrong];
        let encoder = Encoder::new(CODEC, pool());
        let result = encoder.encode(&files, &mut MemorySink::default(), &Progress::default());
        let (number, error) = result.unwrap_err();
        assert_eq!(number, 1);
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn a_cancelled_encoder_stops() {
    let content = content(&[Stretch::Zeros(20_000_000)]);
    let progress = Progress::default();
    progress.cancelled.store(true, Ordering::Relaxed);
    let files = [file(&content, 0..content.len())];
    let encoder = Encoder::new(CODEC, pool());
    let (_, error) = encoder.encode(&files, &mut MemorySink::default(), &progress).unwrap_err();
    assert!(matches!(error, WimError::Io(_)), "{error}");
    assert_eq!(progress.bytes_done.load(Ordering::Relaxed), 0);
}

/// The same file captured by wimlib: joined runs are its resource, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn joined_runs_are_wimlibs_resource() {
    // wimlib has no guess at what can't shrink, so nothing here looks like that.
    let content = content(&[Stretch::Words(9_000_000), Stretch::Zeros(700_000)]);
    let dir = tempfile::tempdir().unwrap();
    let (tree, wim) = (dir.path().join("tree"), dir.path().join("theirs.wim"));
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("large.bin"), &content).unwrap();
    let captured = Command::new("wimlib-imagex")
        .arg("capture")
        .args([&tree, &wim])
        .arg(format!("--compress=LZX:{}", CODEC.level))
        .output()
        .unwrap_or_else(|error| panic!("wimlib-imagex: {error}: install Debian's wimtools"));
    assert!(captured.status.success(), "{}", String::from_utf8_lossy(&captured.stderr));
    let path = StorePath::from_absolute_path(&wim).unwrap();
    let source = ObjectSource::open(Arc::new(LocalFileSystem::new()), path).await.unwrap();
    let theirs = Wim::open(Arc::new(source)).await.unwrap();
    let resource = theirs.blobs_by_sha1()[&Sha1Hash::of(&content)].resource;
    let bytes = theirs.source().read(resource.offset..resource.end().unwrap()).await.unwrap();
    let (joined, sink) = joined(&content, &[50, 170]);
    assert!(joined.file.compressed && sink == bytes);
}
