//! Cutting a content into packs, and large files into runs: pure functions of the files, the codec,
//! the trust zone and the plan's run size.

use std::collections::HashSet;

use prestage_proto::v1;
use prestage_store::PackKey;

use super::{PlannedCodec, PlannedImage};

/// Bytes above which a file is a pack of its own, which several workers encode in runs of at most so
/// many bytes. Less would not pay for reading the file a second time when the runs are joined, and
/// packs of their own that are much smaller would cost padding.
pub const RUN_BYTES: u64 = 512 << 20;

/// Content bytes after which a new pack is begun, so that several workers share a large content.
const SHARD_BYTES: u64 = 512 << 20;

/// Files after which a new pack is begun, so that a task stays a message of a few MiB.
const SHARD_FILES: usize = 50_000;

/// The trust zone where none is named.
pub const ZONE_DEFAULT: &str = "default";

/// What makes a pack's bytes: change it when the encoder's output changes.
const ENCODER: &str = "prestage-encoder 3, wimlib 1.14.4";

/// Some files of a content that become one pack.
pub struct Shard {
    /// The pack's key: a function of the files and the codec.
    pub pack: PackKey,
    /// Files with content, each content once, in pack order.
    pub files: Vec<v1::ListedFile>,
    /// Their bytes.
    pub bytes: u64,
}

/// What the keys of a plan's packs depend on besides their content.
#[derive(Clone, Copy, Debug)]
pub struct PackNames<'a> {
    /// The trust zone: what workers of one zone made is never used in another.
    pub zone: &'a str,
    /// How content is encoded.
    pub codec: &'a PlannedCodec,
}

impl PackNames<'_> {
    /// The shards of a content. Empty files have no resource and are in none; a file of more than
    /// `run_bytes` is one alone.
    pub fn shards(&self, files: &[v1::ListedFile], run_bytes: u64) -> Vec<Shard> {
        let mut seen = HashSet::new();
        let mut shards = Vec::new();
        let mut current: Vec<v1::ListedFile> = Vec::new();
        let mut bytes = 0;
        for file in files {
            if file.size == 0 || !seen.insert(file.sha256.clone()) {
                continue;
            }
            if file.size > run_bytes {
                shards.push(self.shard(vec![file.clone()], file.size));
                continue;
            }
            bytes += file.size;
            current.push(file.clone());
            if bytes >= SHARD_BYTES || current.len() >= SHARD_FILES {
                shards.push(self.shard(std::mem::take(&mut current), std::mem::take(&mut bytes)));
            }
        }
        if !current.is_empty() {
            shards.push(self.shard(current, bytes));
        }
        shards
    }

    fn shard(&self, files: Vec<v1::ListedFile>, bytes: u64) -> Shard {
        let mut description = describe(self.codec);
        for file in &files {
            description.push_str(&format!("\n{} {}", hex::encode(&file.sha256), file.size));
        }
        Shard { pack: self.key(description), files, bytes }
    }

    /// The pack of an OS image: its resources as they are, or encoded anew.
    pub fn os(&self, os: &PlannedImage) -> PackKey {
        let image = format!("{} {}", os.wim_sha256, os.index);
        self.key(match os.reencoded_bytes {
            None => format!("splice\nprestage-splice 2\n{image}"),
            Some(_) => format!("OS image 1\n{}\n{image}", describe(self.codec)),
        })
    }

    /// The pack of a boot image and of the boot files out of it.
    pub fn boot(&self, wim_sha256: &str, index: u32) -> PackKey {
        self.key(format!("boot files 2\n{}\n{wim_sha256} {index}", describe(self.codec)))
    }

    /// Packs that were made before there were zones are of the default one.
    fn key(&self, description: String) -> PackKey {
        match self.zone {
            ZONE_DEFAULT => PackKey::of(description.as_bytes()),
            zone => PackKey::of(format!("zone {zone}\n{description}").as_bytes()),
        }
    }
}

/// A stretch of a file that is encoded by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The pack that its chunks are in until the file's runs are joined: a function of the file's
    /// pack and of the stretch, so that builds share runs too.
    pub pack: PackKey,
    /// Where it begins in the file: a chunk's start.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
}

impl Shard {
    /// The runs that this shard is made of: of nearly equal size, none longer than `run_bytes` by
    /// more than a chunk. None if it is no large file.
    pub fn runs(&self, run_bytes: u64, chunk_bytes: u32) -> Vec<Run> {
        if self.files.len() != 1 || self.bytes <= run_bytes {
            return Vec::new();
        }
        let equal = self.bytes.div_ceil(self.bytes.div_ceil(run_bytes.max(1)));
        let step = equal.next_multiple_of(u64::from(chunk_bytes.max(1)));
        let offsets = (0..self.bytes.div_ceil(step)).map(|number| number * step);
        let run = |offset| {
            let bytes = step.min(self.bytes - offset);
            let description = format!("run\nprestage-run 1\n{}\n{offset} {bytes}", self.pack);
            Run { pack: PackKey::of(description.as_bytes()), offset, bytes }
        };
        offsets.map(run).collect()
    }
}

/// The codec's part of a pack's description.
fn describe(codec: &PlannedCodec) -> String {
    format!("encode\n{ENCODER}\n{} {} {}", codec.format, codec.chunk_bytes, codec.level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64, content: u8) -> v1::ListedFile {
        let sha256 = vec![content; 32].into();
        v1::ListedFile { path: path.into(), size, sha256, ..Default::default() }
    }

    fn codec(level: u32) -> PlannedCodec {
        let (profile, format) = ("balanced".into(), "lzx".into());
        PlannedCodec { profile, format, chunk_bytes: 32_768, level }
    }

    fn names(codec: &PlannedCodec) -> PackNames<'_> {
        PackNames { zone: ZONE_DEFAULT, codec }
    }

    #[test]
    fn zones_share_no_pack_and_the_default_one_has_the_packs_of_before() {
        let (codec, files) = (codec(20), [file("a", 5, 1)]);
        let of = |zone| PackNames { zone, codec: &codec };
        let keys = |zone| {
            let shard = of(zone).shards(&files, 4).remove(0);
            let run = shard.runs(4, 1)[0].pack;
            [shard.pack, run, of(zone).boot("00", 1)]
        };
        let all: HashSet<_> = ["default", "factory", "lab"].into_iter().flat_map(keys).collect();
        assert_eq!(all.len(), 9);
        // The key of such a pack in the release before.
        let known = PackKey::of(
            b"boot files 2\nencode\nprestage-encoder 3, wimlib 1.14.4\nlzx 32768 20\n00 1",
        );
        assert_eq!(of("default").boot("00", 1), known);
    }

    #[test]
    fn one_content_once_and_nothing_empty() {
        let files = [file("a", 5, 1), file("b", 0, 0), file("c", 5, 1), file("d", 7, 2)];
        let codec = codec(20);
        let shards = names(&codec).shards(&files, RUN_BYTES);
        assert_eq!(shards.len(), 1);
        assert_eq!(shards[0].bytes, 12);
        assert_eq!(shards[0].files.len(), 2);
    }

    #[test]
    fn large_content_is_cut_and_the_key_depends_on_content_and_codec_only() {
        let files: Vec<_> = (0..10).map(|n| file("x", 200 << 20, n)).collect();
        let cut = names(&codec(20)).shards(&files, RUN_BYTES);
        assert_eq!(cut.iter().map(|shard| shard.files.len()).collect::<Vec<_>>(), [3, 3, 3, 1]);
        let mut renamed = files.clone();
        renamed[0].path = "other".into();
        assert_eq!(names(&codec(20)).shards(&renamed, RUN_BYTES)[0].pack, cut[0].pack);
        assert_ne!(names(&codec(50)).shards(&files, RUN_BYTES)[0].pack, cut[0].pack);
    }

    #[test]
    fn a_large_file_is_alone_and_its_key_does_not_depend_on_how_it_is_cut() {
        let files = [file("a", 10, 1), file("b", 1001, 2), file("c", 1000, 3), file("d", 5, 4)];
        let cut = names(&codec(20)).shards(&files, 1000);
        let paths = |shard: &Shard| -> Vec<String> {
            shard.files.iter().map(|file| file.path.clone()).collect()
        };
        assert_eq!(cut.iter().map(paths).collect::<Vec<_>>(), [vec!["b"], vec!["a", "c", "d"]]);
        assert_eq!(cut[0].pack, names(&codec(20)).shards(&files[1..2], RUN_BYTES)[0].pack);
    }

    #[test]
    fn runs_are_whole_chunks_of_nearly_equal_size_that_cover_the_file() {
        let cut = |bytes, run_bytes| {
            let files = [file("a", bytes, 1)];
            names(&codec(20)).shards(&files, run_bytes)[0].runs(run_bytes, 32_768)
        };
        for (bytes, run_bytes, count) in
            [(100 << 20, 8 << 20, 13), (u64::from(u32::MAX) * 2, RUN_BYTES, 16), (40_000, 1, 2)]
        {
            let runs = cut(bytes, run_bytes);
            assert_eq!(runs.len(), count);
            let mut end = 0;
            for run in &runs {
                assert_eq!((run.offset, run.offset % 32_768), (end, 0));
                end += run.bytes;
            }
            assert_eq!(end, bytes);
            assert!(runs.windows(2).all(|two| two[0].pack != two[1].pack));
        }
        assert!(cut(RUN_BYTES, RUN_BYTES).is_empty());
        assert_ne!(cut(100 << 20, 8 << 20)[0].pack, cut(100 << 20, 9 << 20)[0].pack);
    }
}
