//! Random trees through our writer and wimlib's reader, and through wimlib's writer and our reader:
//! everything that an entry can carry must come out as it went in.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use prestage_wim::{
    Sha1Hash, Wim,
    codec::{Codec, FileToEncode, Format},
    metadata::{ATTRIBUTE_DIRECTORY, ATTRIBUTE_REPARSE_POINT, EntryView, ImageTree},
    verify,
    writer::WimWriter,
    xml,
};
use support::{
    TIME, open, pool,
    random_tree::{RandomTree, Target},
    run,
};

/// Added by wimlib, so that it writes the whole tree anew.
const MARKER: &str = "zz marker";

/// What an entry carries, as far as it can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    attributes: u32,
    times: [u64; 3],
    descriptor: Option<Vec<u8>>,
    short_name: Vec<u16>,
    streams: Vec<(Option<Vec<u16>>, Sha1Hash)>,
    /// Tag and flags.
    reparse: Option<(u32, u16)>,
    /// Tag and data of each.
    tagged_items: Vec<(u32, Vec<u8>)>,
    /// Paths of the same file, if there are several.
    links: Vec<Vec<u16>>,
}

type Volume = BTreeMap<Vec<u16>, Facts>;

fn align8(n: usize) -> usize {
    n.div_ceil(8) * 8
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn tagged_items(entry: EntryView<'_>) -> Vec<(u32, Vec<u8>)> {
    let bytes = entry.bytes();
    let names = [entry.name(), entry.short_name()];
    let names = names.iter().filter(|name| !name.is_empty()).map(|name| 2 * name.len() + 2);
    let mut at = align8(102 + names.sum::<usize>());
    let end = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut items = Vec::new();
    while at + 8 <= end {
        let (tag, len) = (u32_at(bytes, at), u32_at(bytes, at + 4) as usize);
        items.push((tag, bytes[at + 8..at + 8 + len].to_vec()));
        at = align8(at + 8 + len);
    }
    items
}

fn facts(tree: &ImageTree, entry: EntryView<'_>) -> Facts {
    let is_reparse = entry.attributes() & ATTRIBUTE_REPARSE_POINT != 0;
    let bytes = entry.bytes();
    let mut streams: Vec<_> =
        entry.streams().into_iter().map(|stream| (stream.name, stream.sha1)).collect();
    // An unnamed stream without content may be said or not.
    streams.retain(|(name, sha1)| name.is_some() || !sha1.is_zero());
    streams.sort();
    Facts {
        attributes: entry.attributes(),
        times: entry.times(),
        descriptor: tree.security.get(entry.security_id()).map(<[u8]>::to_vec),
        short_name: entry.short_name(),
        streams,
        reparse: is_reparse
            .then(|| (u32_at(bytes, 88), u16::from_le_bytes(bytes[94..96].try_into().unwrap()))),
        tagged_items: tagged_items(entry),
        links: Vec::new(),
    }
}

/// All entries but the root and the marker by their path in UTF-16, which need not be a string.
fn volume(tree: &ImageTree) -> Volume {
    let mut volume = Volume::new();
    let mut groups: BTreeMap<u64, Vec<Vec<u16>>> = BTreeMap::new();
    let mut waiting = vec![(Vec::new(), ImageTree::ROOT)];
    while let Some((path, node)) = waiting.pop() {
        for &child in tree.children(node) {
            let entry = tree.entry(child);
            let mut below: Vec<u16> = path.clone();
            below.push(u16::from(b'/'));
            below.extend(entry.name());
            if String::from_utf16_lossy(&entry.name()) == MARKER {
                continue;
            }
            if entry.hard_link_group() != 0 {
                groups.entry(entry.hard_link_group()).or_default().push(below.clone());
            }
            volume.insert(below.clone(), facts(tree, entry));
            waiting.push((below, child));
        }
    }
    for mut group in groups.into_values().filter(|group| group.len() > 1) {
        group.sort();
        for path in &group {
            volume.get_mut(path).unwrap().links = group.clone();
        }
    }
    volume
}

fn compare(expected: &Volume, found: &Volume) -> Result<(), String> {
    for (path, facts) in expected {
        let name = String::from_utf16_lossy(path);
        match found.get(path) {
            None => return Err(format!("{name} is missing")),
            Some(other) if other != facts => {
                return Err(format!("{name}\nexpected {facts:?}\nfound    {other:?}"));
            }
            Some(_) => {}
        }
    }
    match found.keys().find(|path| !expected.contains_key(*path)) {
        Some(more) => Err(format!("{} is new", String::from_utf16_lossy(more))),
        None => Ok(()),
    }
}

/// Writes a random tree with our writer.
fn write(random: &RandomTree, format: Format, path: &Path, pool: &Arc<rayon::ThreadPool>) {
    let codec = Codec { format, chunk_bytes: 32_768, level: 10 };
    let mut writer = WimWriter::create(path, codec, pool.clone()).unwrap();
    let files = random.contents.iter().cloned().map(|content| FileToEncode {
        bytes: content.len() as u64,
        open: Box::new(move || Ok(Box::new(std::io::Cursor::new(content.clone())))),
    });
    writer.add(&files.collect::<Vec<_>>()).unwrap();
    let tree = random.tree();
    let statistics = tree.statistics(|sha1| writer.size_of(sha1));
    let info = xml::NewImageInfo {
        name: "random".into(),
        description: String::new(),
        time: TIME,
        statistics,
    };
    let empty = "<WIM><IMAGE INDEX=\"1\"></IMAGE></WIM>";
    writer.finish(&mut [tree], [3; 16], 0, |end| xml::grafted(empty, 1, &info, end)).unwrap();
}

async fn tree_of(wim: &Wim) -> Result<ImageTree, String> {
    let metadata = wim.metadata(1).await.map_err(|error| error.to_string())?;
    let mut tree = ImageTree::parse(metadata.clone()).map_err(|error| error.to_string())?;
    // What wimlib writes keeps its bytes as long as nothing is changed.
    if tree.write() != metadata { Err("other bytes when written again".into()) } else { Ok(tree) }
}

/// Our writer, wimlib's reader and writer, our reader.
async fn through_wimlib(
    seed: u64,
    size: usize,
    pool: &Arc<rayon::ThreadPool>,
) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("random.wim");
    let random = RandomTree::new(seed, size, Target::Wim);
    let format = if seed.is_multiple_of(3) { Format::Xpress } else { Format::Lzx };
    write(&random, format, &path, pool);
    let expected = volume(&random.tree());
    compare(&expected, &volume(&tree_of(&*open(&path).await).await?))
        .map_err(|error| format!("ours by ours: {error}"))?;
    let name = path.to_str().unwrap();
    run("wimlib-imagex", &["verify", name]);
    let marker = dir.path().join("marker");
    std::fs::write(&marker, "marker").unwrap();
    let command = format!("--command=add {} '/{MARKER}'", marker.display());
    run("wimlib-imagex", &["update", name, "1", &command]);
    let wim = open(&path).await;
    verify::verify(&wim, 2, |_| {}).await.map_err(|error| error.to_string())?;
    let mut theirs = tree_of(&wim).await?;
    assert!(theirs.find(MARKER).is_some(), "wimlib wrote the tree anew");
    compare(&expected, &volume(&theirs)).map_err(|error| format!("wimlib's by ours: {error}"))
}

/// Our writer, wimlib onto an NTFS volume, wimlib from there, our reader.
async fn through_ntfs(seed: u64, size: usize, pool: &Arc<rayon::ThreadPool>) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("random.wim");
    let random = RandomTree::new(seed, size, Target::Ntfs);
    write(&random, Format::Lzx, &path, pool);
    let image = dir.path().join("volume.ntfs");
    std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let image = image.to_str().unwrap();
    run("mkntfs", &["-F", "-q", image]);
    run("wimlib-imagex", &["apply", path.to_str().unwrap(), "1", image]);
    let again = dir.path().join("again.wim");
    let again_name = again.to_str().unwrap();
    run("wimlib-imagex", &["capture", image, again_name, "--norpfix", "--compress=none"]);
    let wim = open(&again).await;
    verify::verify(&wim, 2, |_| {}).await.map_err(|error| error.to_string())?;
    let found = volume(&tree_of(&wim).await?);
    compare(&as_applied(volume(&random.tree())), &as_applied(found))
}

/// Reading and applying change these: times of last access, and order and flags that NTFS has none
/// of.
fn as_applied(mut volume: Volume) -> Volume {
    for facts in volume.values_mut() {
        facts.times[1] = 0;
        facts.reparse = facts.reparse.map(|(tag, _)| (tag, 0));
    }
    volume
}

/// What kinds of entries there are in a volume.
fn kinds(volume: &Volume, seen: &mut BTreeSet<&'static str>) {
    for (path, facts) in volume {
        let folder = facts.attributes & ATTRIBUTE_DIRECTORY != 0;
        let named = facts.streams.iter().any(|(name, _)| name.is_some());
        let units = path.iter().copied();
        let unpaired = char::decode_utf16(units).any(|unit| unit.is_err());
        let found = [
            (named && folder, "named streams of a folder"),
            (named && !folder, "named streams of a file"),
            (named && facts.reparse.is_some(), "named streams of a link"),
            (facts.streams.is_empty() && !folder, "an empty file"),
            (facts.reparse.is_some() && folder, "a link to a folder"),
            (facts.reparse.is_some() && !folder, "a link to a file"),
            (!facts.links.is_empty(), "hard links"),
            (!facts.short_name.is_empty() && folder, "a folder's short name"),
            (!facts.short_name.is_empty() && !folder, "a file's short name"),
            (facts.tagged_items.iter().any(|(tag, _)| *tag == 1), "an object id"),
            (facts.tagged_items.iter().any(|(tag, _)| *tag != 1), "an unknown tagged item"),
            (facts.descriptor.is_none(), "no descriptor"),
            (facts.descriptor.is_some(), "a descriptor"),
            (unpaired, "an unpaired surrogate"),
            (path.len() > 500, "a long path"),
        ];
        seen.extend(found.into_iter().filter(|(is, _)| *is).map(|(_, what)| what));
    }
}

fn told(seed: u64, size: usize, target: Target, error: &str) -> String {
    let entries = RandomTree::new(seed, size, target).entries;
    let last = entries.iter().rev().take(5).map(|entry| format!("{entry:?}"));
    let last: Vec<String> = last.collect();
    format!(
        "seed {seed}, {size} entries, {target:?}: {error}\nthe last entries:\n{}",
        last.join("\n")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn random_trees_through_wimlib() {
    let pool = pool();
    let mut seen = BTreeSet::new();
    for seed in 0..250 {
        let full = 10 + (seed as usize * 7) % 60;
        kinds(&volume(&RandomTree::new(seed, full, Target::Wim).tree()), &mut seen);
        if let Err(error) = through_wimlib(seed, full, &pool).await {
            // The smallest tree of this seed that fails says most.
            for size in 1..full {
                if let Err(error) = through_wimlib(seed, size, &pool).await {
                    panic!("{}", told(seed, size, Target::Wim, &error));
                }
            }
            panic!("{}", told(seed, full, Target::Wim, &error));
        }
    }
    assert_eq!(seen.len(), 15, "of every kind there was one: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_trees_through_ntfs() {
    let pool = pool();
    let mut seen = BTreeSet::new();
    for seed in 1_000..1_010 {
        let full = 60;
        kinds(&volume(&RandomTree::new(seed, full, Target::Ntfs).tree()), &mut seen);
        if let Err(error) = through_ntfs(seed, full, &pool).await {
            for size in (1..full).step_by(6) {
                if let Err(error) = through_ntfs(seed, size, &pool).await {
                    panic!("{}", told(seed, size, Target::Ntfs, &error));
                }
            }
            panic!("{}", told(seed, full, Target::Ntfs, &error));
        }
    }
    // Every kind but tagged items, entries without a descriptor, and unpaired surrogates.
    assert!(seen.len() >= 10, "{seen:?}");
}
