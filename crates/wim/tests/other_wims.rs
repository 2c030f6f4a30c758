//! Every form of WIM that wimlib makes, read by us: formats, chunk sizes, solid, split.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use prestage_wim::{
    Blob, RangeRead, SetProblem, Sha1Hash, SpliceObstacle, Wim, WimError, codec::Format,
    unpack::Unpacker, verify,
};
use support::{noise, open, pool, run, source, text};

/// A folder of contents around the edges of chunks, some twice, one empty, one of several reads.
fn tree(at: &Path) -> Vec<Vec<u8>> {
    std::fs::create_dir_all(at.join("folder/empty")).unwrap();
    let mut contents = vec![noise(100_000, 1), text(32_768, 2), text(32_769, 3)];
    contents.extend([vec![7; 5 << 20], noise(1_000_000, 4), noise(1_000_001, 5)]);
    contents.extend((0..30).map(|n| text(1_000 + 2_000 * n, 6 + n as u64)));
    contents.push(Vec::new());
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(at.join(format!("folder/{number:03}.bin")), content).unwrap();
        if number % 7 == 0 {
            std::fs::write(at.join(format!("{number:03} again.bin")), content).unwrap();
        }
    }
    contents.pop();
    contents
}

struct Captured {
    dir: tempfile::TempDir,
    contents: Vec<Vec<u8>>,
    wim: PathBuf,
}

fn capture(options: &[&str]) -> Captured {
    let dir = tempfile::tempdir().unwrap();
    let contents = tree(&dir.path().join("tree"));
    let wim = dir.path().join("x.wim");
    let from = dir.path().join("tree");
    let mut args = vec!["capture", from.to_str().unwrap(), wim.to_str().unwrap(), "--threads=2"];
    args.extend(options);
    run("wimlib-imagex", &args);
    Captured { dir, contents, wim }
}

/// Reads all contents in order, as a re-encoding does; each must be the one its SHA-1 says.
async fn unpack_all(wim: &Arc<Wim>, expected: &[Vec<u8>]) {
    let runtime = tokio::runtime::Handle::current();
    let unpacker = Unpacker::new(wim.clone(), pool(), runtime, 32 << 20);
    let mut blobs: Vec<Blob> = wim.blobs_by_sha1().into_values().collect();
    unpacker.sort(&mut blobs);
    let mut known: Vec<Sha1Hash> = expected.iter().map(|content| Sha1Hash::of(content)).collect();
    known.sort();
    known.dedup();
    assert_eq!(blobs.len(), known.len());
    let read = tokio::task::spawn_blocking(move || {
        let files = unpacker.files(&blobs);
        for pass in 0..2 {
            for (blob, file) in blobs.iter().zip(&files) {
                // The second time each is read alone; a few are enough.
                if pass == 1 && !blob.resource.offset.is_multiple_of(5) {
                    continue;
                }
                let mut content = Vec::new();
                (file.open)().unwrap().read_to_end(&mut content).unwrap();
                assert_eq!(content.len() as u64, file.bytes);
                assert_eq!(Sha1Hash::of(&content), blob.sha1);
            }
        }
    });
    read.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_and_chunk_size_is_read() {
    use Format::{Lzms, Lzx, Xpress};
    let size = |format, chunk_bytes| Some(SpliceObstacle::ChunkSize { format, chunk_bytes });
    let cases: [(&[&str], Option<SpliceObstacle>); 10] = [
        (&["--compress=none"], None),
        (&["--compress=XPRESS"], None),
        (&["--compress=LZX:20"], None),
        (&["--compress=XPRESS", "--chunk-size=4K"], size(Xpress, 4 << 10)),
        (&["--compress=XPRESS", "--chunk-size=64K"], size(Xpress, 64 << 10)),
        (&["--compress=LZX:20", "--chunk-size=2M"], size(Lzx, 2 << 20)),
        (&["--compress=LZMS:20"], Some(SpliceObstacle::Lzms)),
        (&["--compress=LZMS:20", "--solid"], Some(SpliceObstacle::Solid(Lzms))),
        (
            &["--solid", "--solid-compress=XPRESS", "--solid-chunk-size=4K"],
            Some(SpliceObstacle::Solid(Xpress)),
        ),
        (
            &["--solid", "--solid-compress=LZMS:20", "--solid-chunk-size=1M", "--check"],
            Some(SpliceObstacle::Solid(Lzms)),
        ),
    ];
    for (options, obstacle) in cases {
        let captured = capture(options);
        let wim = open(&captured.wim).await;
        assert_eq!(wim.splice_obstacle(), obstacle, "{options:?}");
        let verified = verify::verify(&wim, 2, |_| {}).await.unwrap();
        assert_eq!(verified.resources, captured.contents.len() as u64, "{options:?}");
        for content in &captured.contents[..3] {
            let blob = wim.blobs_by_sha1()[&Sha1Hash::of(content)];
            let read = wim.read_blob(&blob).await.unwrap().read_all(1 << 30).await.unwrap();
            assert_eq!(&read, content, "{options:?}");
        }
        unpack_all(&wim, &captured.contents).await;
    }
}

/// Two more images, whose new contents are in solid resources.
#[tokio::test(flavor = "multi_thread")]
async fn solid_and_other_resources_in_one_wim() {
    let captured = capture(&["--compress=LZX:20"]);
    let mut contents = captured.contents.clone();
    for seed in [100, 200] {
        let more = captured.dir.path().join(format!("more {seed}"));
        std::fs::create_dir(&more).unwrap();
        for number in 0..20 {
            let content = text(10_000 + number * 1_000, seed + number as u64);
            std::fs::write(more.join(number.to_string()), &content).unwrap();
            contents.push(content);
        }
        let (more, wim) = (more.to_str().unwrap(), captured.wim.to_str().unwrap());
        let name = format!("image {seed}");
        let solid = ["--solid", "--solid-compress=LZMS:20", "--solid-chunk-size=64K"];
        run("wimlib-imagex", &[&["append", more, wim, &name][..], &solid].concat());
    }
    let wim = open(&captured.wim).await;
    assert_eq!(wim.solid_resources().len(), 2);
    let own = wim.blobs.iter().filter(|blob| blob.solid.is_none() && !blob.resource.metadata);
    assert_eq!(own.count(), captured.contents.len());
    let verified = verify::verify(&wim, 2, |_| {}).await.unwrap();
    assert_eq!(verified.resources, contents.len() as u64);
    unpack_all(&wim, &contents).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_solid_resource_is_found() {
    let captured = capture(&["--solid", "--solid-compress=XPRESS", "--solid-chunk-size=4K"]);
    let solid = open(&captured.wim).await.solid_resources()[0].resource;
    let mut bytes = std::fs::read(&captured.wim).unwrap();
    bytes[(solid.offset + solid.stored_bytes / 2) as usize] ^= 0x10;
    std::fs::write(&captured.wim, bytes).unwrap();
    let wim = open(&captured.wim).await;
    let error = verify::verify(&wim, 2, |_| {}).await.unwrap_err();
    let found = matches!(error, WimError::WrongHash { .. } | WimError::Malformed { .. });
    assert!(found, "{error}");
}

struct Split {
    captured: Captured,
    parts: Vec<PathBuf>,
}

fn split(options: &[&str]) -> Split {
    let captured = capture(options);
    let (wim, first) = (captured.wim.to_str().unwrap(), captured.dir.path().join("x.swm"));
    run("wimlib-imagex", &["split", wim, first.to_str().unwrap(), "1"]);
    let mut parts = vec![first];
    while let Some(next) =
        Some(captured.dir.path().join(format!("x{}.swm", parts.len() + 1))).filter(|p| p.exists())
    {
        parts.push(next);
    }
    assert!(parts.len() >= 3, "{}", parts.len());
    Split { captured, parts }
}

async fn sources(parts: impl IntoIterator<Item = &PathBuf>) -> Vec<Arc<dyn RangeRead>> {
    let mut sources = Vec::new();
    for part in parts {
        sources.push(source(part).await);
    }
    sources
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_wim_is_one_wim_in_any_order() {
    for options in [&["--compress=LZX:20", "--check"][..], &["--compress=none"]] {
        let Split { captured, parts } = split(options);
        let wim = Wim::open_set(sources(parts.iter().rev()).await).await.unwrap();
        let wim = Arc::new(wim);
        assert_eq!(wim.parts().len(), parts.len());
        assert_eq!(wim.splice_obstacle(), None);
        assert!(wim.blobs.iter().any(|blob| usize::from(blob.part) == parts.len()));
        let verified = verify::verify(&wim, 2, |_| {}).await.unwrap();
        assert_eq!(verified.resources, captured.contents.len() as u64);
        assert_eq!(verified.images, 1);
        unpack_all(&wim, &captured.contents).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_not_whole_is_refused_by_name() {
    let Split { captured: _kept, parts } = split(&["--compress=LZX:20"]);
    let other = split(&["--compress=XPRESS"]);
    let count = parts.len() as u16;
    let problem = |opened: Result<Wim, WimError>| match opened.err().unwrap() {
        WimError::Set(problem) => problem,
        error => panic!("{error}"),
    };
    let alone = problem(Wim::open_set(sources(&parts[1..2]).await).await);
    let missing: Vec<u16> = (1..=count).filter(|&part| part != 2).collect();
    assert_eq!(alone, SetProblem::Missing { missing, parts: count });
    let without = sources(parts.iter().filter(|part| !part.ends_with("x3.swm"))).await;
    let said = problem(Wim::open_set(without).await).to_string();
    assert!(said.contains(&format!("of {count} parts, of which 3 is missing")), "{said}");
    let mut mixed = sources(&parts).await;
    mixed[1] = source(&other.parts[1]).await;
    let said = problem(Wim::open_set(mixed).await).to_string();
    assert!(said.contains("'x2.swm' (part 2") && said.contains("another split WIM"), "{said}");
    let twice = sources(parts.iter().chain(&parts[..1])).await;
    let said = problem(Wim::open_set(twice).await).to_string();
    assert!(said.contains("'x.swm' and 'x.swm' are both part 1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipable_wim_is_refused_with_the_way_out() {
    let captured = capture(&["--pipable"]);
    let error = Wim::open(source(&captured.wim).await).await.err().unwrap();
    assert!(error.to_string().contains("--not-pipable"), "{error}");
}
