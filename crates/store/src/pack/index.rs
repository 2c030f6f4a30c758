//! What is in a pack.

use std::collections::BTreeMap;

use super::{ChunkDigests, Sha1Digest, Sha256Digest};
use crate::chunks::{CHUNK, whole_chunks};

/// One WIM resource in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceEntry {
    /// SHA-1 of the uncompressed content: the blob table's key.
    pub sha1: Sha1Digest,
    /// SHA-256 of the uncompressed content; `None` for resources taken over from an OS image.
    pub sha256: Option<Sha256Digest>,
    /// Offset in the pack, in bytes.
    pub offset: u64,
    /// Bytes in the pack, the chunk table included.
    pub stored_bytes: u64,
    /// Bytes of the content.
    pub original_bytes: u64,
    /// Whether the stored bytes are chunk table and compressed chunks, or the content itself.
    pub compressed: bool,
}

/// What a pack was made from and by, for the bill of materials and for people who look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackFacts {
    /// The content version, as `PS100012.3`.
    pub content_id: String,
    /// The codec and its settings, as `lzx 32768 20`.
    pub codec: String,
    /// Programs and libraries that determine the bytes, by name.
    pub versions: BTreeMap<String, String>,
}

/// All that a new index is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackContents {
    /// Bytes of the pack.
    pub pack_bytes: u64,
    /// Digests of each 10 MiB of the pack in order; the last may be of fewer bytes.
    pub chunk_digests: Vec<ChunkDigests>,
    /// The resources by their offset.
    pub resources: Vec<ResourceEntry>,
    /// An image's metadata resource, uncompressed, if the pack is of an image.
    pub tree: Option<Vec<u8>>,
    /// An image's XML data, if the pack is of an image.
    pub xml: Option<Vec<u8>>,
    /// What the pack was made from and by.
    pub facts: PackFacts,
}

/// An index is damaged or doesn't fit its pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the index of pack {pack}: {problem}; remove the index and the pack, and run the task that \
     writes them again"
)]
pub struct IndexError {
    /// The pack, or a description of what was being read.
    pub pack: String,
    /// What is wrong.
    pub problem: String,
}

/// The index of a pack: checked, and searchable by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackIndex {
    contents: PackContents,
    /// Positions of the entries that have a SHA-256, in its order.
    by_sha256: Vec<u32>,
}

impl PackIndex {
    /// Checks the contents: digests for every chunk, resources in order, inside the pack and apart.
    /// `pack` names the pack in an error.
    pub fn new(pack: &str, contents: PackContents) -> Result<Self, IndexError> {
        check(&contents).map_err(|problem| IndexError { pack: pack.to_owned(), problem })?;
        let resources = &contents.resources;
        let mut by_sha256: Vec<u32> = (0..resources.len() as u32)
            .filter(|&at| resources[at as usize].sha256.is_some())
            .collect();
        by_sha256.sort_by_key(|&at| (resources[at as usize].sha256, at));
        Ok(Self { contents, by_sha256 })
    }

    /// Bytes of the pack.
    pub fn pack_bytes(&self) -> u64 {
        self.contents.pack_bytes
    }

    /// Digests of each 10 MiB of the pack in order; the last may be of fewer bytes.
    pub fn chunk_digests(&self) -> &[ChunkDigests] {
        &self.contents.chunk_digests
    }

    /// How many chunks of the pack are whole.
    pub fn whole_chunks(&self) -> u64 {
        whole_chunks(self.contents.pack_bytes)
    }

    /// The resources by their offset.
    pub fn resources(&self) -> &[ResourceEntry] {
        &self.contents.resources
    }

    /// The image's metadata resource, if the pack is of an image.
    pub fn tree(&self) -> Option<&[u8]> {
        self.contents.tree.as_deref()
    }

    /// The image's XML data, if the pack is of an image.
    pub fn xml(&self) -> Option<&[u8]> {
        self.contents.xml.as_deref()
    }

    /// What the pack was made from and by.
    pub fn facts(&self) -> &PackFacts {
        &self.contents.facts
    }

    /// All of it.
    pub fn contents(&self) -> &PackContents {
        &self.contents
    }

    /// The resource whose content has this SHA-256, with its position among the resources.
    pub fn lookup_sha256(&self, sha256: &Sha256Digest) -> Option<(usize, &ResourceEntry)> {
        let resources = &self.contents.resources;
        let wanted = Some(*sha256);
        let at = self.by_sha256.partition_point(|&at| resources[at as usize].sha256 < wanted);
        let position = *self.by_sha256.get(at)? as usize;
        let entry = &resources[position];
        (entry.sha256 == wanted).then_some((position, entry))
    }
}

fn check(contents: &PackContents) -> Result<(), String> {
    let chunks = contents.pack_bytes.div_ceil(CHUNK);
    if contents.chunk_digests.len() as u64 != chunks {
        let found = contents.chunk_digests.len();
        return Err(format!("{found} chunk digests instead of {chunks}"));
    }
    if u32::try_from(contents.resources.len()).is_err() {
        return Err("more than 2^32 resources".to_owned());
    }
    let mut free_from = 0;
    for (number, entry) in contents.resources.iter().enumerate() {
        let end = entry.offset.checked_add(entry.stored_bytes);
        let Some(end) = end.filter(|&end| end <= contents.pack_bytes) else {
            return Err(format!("resource {number} ends behind the pack's end"));
        };
        if entry.offset < free_from {
            return Err(format!("resource {number} lies over the one before it"));
        }
        if !entry.compressed && entry.stored_bytes != entry.original_bytes {
            return Err(format!("resource {number} is not compressed but of two sizes"));
        }
        free_from = end;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Contents with `count` resources of 10 bytes each, every third without a SHA-256.
    pub(crate) fn sample(count: u64) -> PackContents {
        let resources = (0..count).map(|n| {
            let digest = |salt: u64| {
                let mut bytes = [0; 32];
                bytes[..8]
                    .copy_from_slice(&(n + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
                bytes
            };
            let mut sha1 = [0; 20];
            sha1.copy_from_slice(&digest(1)[..20]);
            ResourceEntry {
                sha1,
                sha256: (n % 3 != 2).then(|| digest(2)),
                offset: n * 10,
                stored_bytes: 10,
                original_bytes: if n % 2 == 0 { 40 } else { 10 },
                compressed: n % 2 == 0,
            }
        });
        PackContents {
            pack_bytes: count * 10,
            chunk_digests: (0..(count * 10).div_ceil(CHUNK))
                .map(|n| ChunkDigests { sha1: [n as u8; 20], blake3: [n as u8; 32] })
                .collect(),
            resources: resources.collect(),
            tree: Some(vec![1; 100]),
            xml: None,
            facts: PackFacts {
                content_id: "PS100012.3".into(),
                codec: "lzx 32768 20".into(),
                versions: [("wimlib".to_owned(), "1.14.4".to_owned())].into(),
            },
        }
    }

    #[test]
    fn every_sha256_finds_its_resource_and_a_strange_one_finds_none() {
        let index = PackIndex::new("p", sample(1000)).unwrap();
        for (position, entry) in index.resources().iter().enumerate() {
            if let Some(sha256) = &entry.sha256 {
                assert_eq!(index.lookup_sha256(sha256), Some((position, entry)));
            }
        }
        assert_eq!(index.lookup_sha256(&[0xff; 32]), None);
        let empty = PackIndex::new("p", PackContents::default()).unwrap();
        assert_eq!(empty.lookup_sha256(&[0; 32]), None);
    }

    #[test]
    fn an_index_that_does_not_fit_its_pack_is_refused() {
        let refused = |change: fn(&mut PackContents)| {
            let mut contents = sample(4);
            change(&mut contents);
            PackIndex::new("PS100012", contents).unwrap_err()
        };
        let error = refused(|contents| contents.resources[3].stored_bytes = 12);
        assert!(error.to_string().contains("PS100012") && error.to_string().contains("behind"));
        assert!(refused(|c| c.resources[2].offset = 15).problem.contains("over"));
        assert!(refused(|c| c.resources[1].original_bytes = 9).problem.contains("two sizes"));
        assert!(refused(|c| c.resources[0].offset = u64::MAX).problem.contains("behind"));
        assert!(refused(|c| c.chunk_digests.clear()).problem.contains("digests"));
    }
}
