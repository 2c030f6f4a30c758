//! Cutting a content into packs: a pure function of its files and the codec.

use std::collections::HashSet;

use prestage_proto::v1;
use prestage_store::PackKey;

use super::PlannedCodec;

/// Content bytes after which a new pack is begun, so that several workers share a large content.
const SHARD_BYTES: u64 = 512 << 20;

/// Files after which a new pack is begun, so that a task stays a message of a few MiB.
const SHARD_FILES: usize = 50_000;

/// What makes a pack's bytes: change it when the encoder's output changes.
const ENCODER: &str = "prestage-encoder 2, wimlib 1.14.4";

/// Some files of a content that become one pack.
pub struct Shard {
    /// The pack's key: a function of the files and the codec.
    pub pack: PackKey,
    /// Files with content, each content once, in pack order.
    pub files: Vec<v1::ListedFile>,
    /// Their bytes.
    pub bytes: u64,
}

/// The shards of a content. Empty files have no resource and are in none.
pub fn shards(files: &[v1::ListedFile], codec: &PlannedCodec) -> Vec<Shard> {
    let mut seen = HashSet::new();
    let mut shards = Vec::new();
    let mut current: Vec<v1::ListedFile> = Vec::new();
    let mut bytes = 0;
    for file in files {
        if file.size == 0 || !seen.insert(file.sha256.clone()) {
            continue;
        }
        bytes += file.size;
        current.push(file.clone());
        if bytes >= SHARD_BYTES || current.len() >= SHARD_FILES {
            shards.push(shard(std::mem::take(&mut current), std::mem::take(&mut bytes), codec));
        }
    }
    if !current.is_empty() {
        shards.push(shard(current, bytes, codec));
    }
    shards
}

fn shard(files: Vec<v1::ListedFile>, bytes: u64, codec: &PlannedCodec) -> Shard {
    let mut description = describe(codec);
    for file in &files {
        description.push_str(&format!("\n{} {}", hex::encode(&file.sha256), file.size));
    }
    Shard { pack: PackKey::of(description.as_bytes()), files, bytes }
}

/// The codec's part of a pack's description.
fn describe(codec: &PlannedCodec) -> String {
    format!("encode\n{ENCODER}\n{} {} {}", codec.format, codec.chunk_bytes, codec.level)
}

/// The pack of an OS image's resources: they are taken over as they are.
pub fn splice_pack(wim_sha256: &str, index: u32) -> PackKey {
    PackKey::of(format!("splice\nprestage-splice 2\n{wim_sha256} {index}").as_bytes())
}

/// The pack of a boot image and of the boot files out of it.
pub fn boot_pack(wim_sha256: &str, index: u32, codec: &PlannedCodec) -> PackKey {
    PackKey::of(format!("boot files 2\n{}\n{wim_sha256} {index}", describe(codec)).as_bytes())
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

    #[test]
    fn one_content_once_and_nothing_empty() {
        let files = [file("a", 5, 1), file("b", 0, 0), file("c", 5, 1), file("d", 7, 2)];
        let shards = shards(&files, &codec(20));
        assert_eq!(shards.len(), 1);
        assert_eq!(shards[0].bytes, 12);
        assert_eq!(shards[0].files.len(), 2);
    }

    #[test]
    fn large_content_is_cut_and_the_key_depends_on_content_and_codec_only() {
        let files: Vec<_> = (0..10).map(|n| file("x", 200 << 20, n)).collect();
        let cut = shards(&files, &codec(20));
        assert_eq!(cut.iter().map(|shard| shard.files.len()).collect::<Vec<_>>(), [3, 3, 3, 1]);
        let mut renamed = files.clone();
        renamed[0].path = "other".into();
        assert_eq!(shards(&renamed, &codec(20))[0].pack, cut[0].pack);
        assert_ne!(shards(&files, &codec(50))[0].pack, cut[0].pack);
    }
}
