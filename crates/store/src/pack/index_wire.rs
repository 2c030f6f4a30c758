//! The index as an object: `PRSTPKIX`, a version, the length, then a zstd-compressed message.
//!
//! Half a million resources are common in an OS image, so the message keeps one column for each
//! property: digests as plain bytes, offsets as the gap to the resource before (nearly always 0).

use std::collections::BTreeMap;
use std::io::Read;

use bytes::Bytes;
use prost::Message;

use super::index::{IndexError, PackContents, PackFacts, PackIndex, ResourceEntry};
use super::{ChunkDigests, Sha1Digest, Sha256Digest};

/// Largest index that is read, in bytes before compression: room for a million resources and more
/// than 100 MiB of metadata.
pub const INDEX_LIMIT: u64 = 256 * 1024 * 1024;

/// More bytes of message for one stored byte than this are not believed. Digests don't shrink at
/// all; trees of 100,000 empty files shrink to a hundredth.
const RATIO_MAX: u64 = 256;

const MAGIC: &[u8; 8] = b"PRSTPKIX";
const VERSION: u32 = 2;
const HEAD: usize = 20;
const LEVEL: i32 = 3;

const COMPRESSED: u32 = 1;
const HAS_SHA256: u32 = 2;

#[derive(Clone, PartialEq, Message)]
struct WireIndex {
    #[prost(uint64, tag = "1")]
    pack_bytes: u64,
    #[prost(bytes = "bytes", tag = "2")]
    chunk_sha1s: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    sha1s: Bytes,
    /// Of the entries flagged `HAS_SHA256` alone.
    #[prost(bytes = "bytes", tag = "4")]
    sha256s: Bytes,
    /// From the end of the entry before to this one.
    #[prost(uint64, repeated, tag = "5")]
    gaps: Vec<u64>,
    #[prost(uint64, repeated, tag = "6")]
    stored_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "7")]
    original_bytes: Vec<u64>,
    #[prost(uint32, repeated, tag = "8")]
    flags: Vec<u32>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    tree: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "10")]
    xml: Option<Bytes>,
    #[prost(string, tag = "11")]
    content_id: String,
    #[prost(string, tag = "12")]
    codec: String,
    #[prost(btree_map = "string, string", tag = "13")]
    versions: BTreeMap<String, String>,
    #[prost(bytes = "bytes", tag = "14")]
    chunk_blake3s: Bytes,
}

impl PackIndex {
    /// The index as an object's bytes; the same index gives the same bytes. `pack` names the pack
    /// in an error.
    pub fn encode(&self, pack: &str) -> Result<Bytes, IndexError> {
        let failed = |problem: String| IndexError { pack: pack.to_owned(), problem };
        let message = to_wire(self.contents()).encode_to_vec();
        if message.len() as u64 > INDEX_LIMIT {
            let length = message.len();
            return Err(failed(format!("{length} bytes, more than {INDEX_LIMIT}")));
        }
        let body =
            compress(&message).map_err(|error| failed(format!("cannot be compressed: {error}")))?;
        let mut object = Vec::with_capacity(HEAD + body.len());
        object.extend_from_slice(MAGIC);
        object.extend_from_slice(&VERSION.to_le_bytes());
        object.extend_from_slice(&(message.len() as u64).to_le_bytes());
        object.extend_from_slice(&body);
        Ok(object.into())
    }

    /// Reads an index object. `pack` names the pack in an error.
    pub fn decode(pack: &str, object: &[u8]) -> Result<Self, IndexError> {
        let contents = decompress(object)
            .and_then(|message| {
                WireIndex::decode(message).map_err(|error| format!("is damaged: {error}"))
            })
            .and_then(from_wire)
            .map_err(|problem| IndexError { pack: pack.to_owned(), problem })?;
        Self::new(pack, contents)
    }
}

/// With a checksum, which whoever decompresses it checks: a bit may flip on the way here.
fn compress(message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(message)
}

fn decompress(object: &[u8]) -> Result<Bytes, String> {
    let (head, body) = object.split_first_chunk::<HEAD>().ok_or_else(|| "is cut off".to_owned())?;
    if &head[..8] != MAGIC {
        return Err("is not an index".to_owned());
    }
    let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if version != VERSION {
        return Err(format!("has version {version}, this program reads {VERSION}"));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&head[12..]);
    let length = u64::from_le_bytes(length);
    if length > INDEX_LIMIT {
        return Err(format!("says it has {length} bytes, more than {INDEX_LIMIT}"));
    }
    if length > (body.len() as u64).saturating_mul(RATIO_MAX) {
        return Err(format!("says it has {length} bytes in {} stored ones", body.len()));
    }
    let mut message = Vec::new();
    zstd::stream::read::Decoder::with_buffer(body)
        // One byte more than announced shows a body that is too long without reading all of it.
        .map(|decoder| decoder.take(length + 1))
        .and_then(|mut bounded| bounded.read_to_end(&mut message))
        .map_err(|error| format!("is damaged: {error}"))?;
    if message.len() as u64 != length {
        return Err(format!("has not the {length} bytes that it says"));
    }
    Ok(message.into())
}

fn to_wire(contents: &PackContents) -> WireIndex {
    let resources = &contents.resources;
    let mut end = 0;
    let gaps = resources.iter().map(|entry| {
        let gap = entry.offset - end;
        end = entry.offset + entry.stored_bytes;
        gap
    });
    WireIndex {
        pack_bytes: contents.pack_bytes,
        chunk_sha1s: joined(contents.chunk_digests.iter().map(|chunk| chunk.sha1)),
        sha1s: joined(resources.iter().map(|entry| entry.sha1)),
        sha256s: joined(resources.iter().filter_map(|entry| entry.sha256)),
        gaps: gaps.collect(),
        stored_bytes: resources.iter().map(|entry| entry.stored_bytes).collect(),
        original_bytes: resources.iter().map(|entry| entry.original_bytes).collect(),
        flags: resources.iter().map(flags).collect(),
        tree: contents.tree.clone().map(Bytes::from),
        xml: contents.xml.clone().map(Bytes::from),
        content_id: contents.facts.content_id.clone(),
        codec: contents.facts.codec.clone(),
        versions: contents.facts.versions.clone(),
        chunk_blake3s: joined(contents.chunk_digests.iter().map(|chunk| chunk.blake3)),
    }
}

fn joined<const N: usize>(digests: impl Iterator<Item = [u8; N]>) -> Bytes {
    digests.flatten().collect::<Vec<u8>>().into()
}

fn flags(entry: &ResourceEntry) -> u32 {
    let compressed = if entry.compressed { COMPRESSED } else { 0 };
    let has_sha256 = if entry.sha256.is_some() { HAS_SHA256 } else { 0 };
    compressed | has_sha256
}

fn from_wire(wire: WireIndex) -> Result<PackContents, String> {
    Ok(PackContents {
        pack_bytes: wire.pack_bytes,
        chunk_digests: chunk_digests(&wire)?,
        resources: resources(&wire)?,
        tree: wire.tree.map(Vec::from),
        xml: wire.xml.map(Vec::from),
        facts: PackFacts {
            content_id: wire.content_id,
            codec: wire.codec,
            versions: wire.versions,
        },
    })
}

fn chunk_digests(wire: &WireIndex) -> Result<Vec<ChunkDigests>, String> {
    let sha1s: Vec<Sha1Digest> = digests(&wire.chunk_sha1s, "chunk digests")?;
    let blake3s: Vec<[u8; 32]> = digests(&wire.chunk_blake3s, "chunk digests")?;
    if sha1s.len() != blake3s.len() {
        return Err("has chunk digests of two kinds that are not as many".to_owned());
    }
    let pairs = sha1s.into_iter().zip(blake3s);
    Ok(pairs.map(|(sha1, blake3)| ChunkDigests { sha1, blake3 }).collect())
}

fn resources(wire: &WireIndex) -> Result<Vec<ResourceEntry>, String> {
    let sha1s: Vec<Sha1Digest> = digests(&wire.sha1s, "SHA-1s")?;
    let sha256s: Vec<Sha256Digest> = digests(&wire.sha256s, "SHA-256s")?;
    let count = wire.flags.len();
    let columns =
        [sha1s.len(), wire.gaps.len(), wire.stored_bytes.len(), wire.original_bytes.len()];
    let with_sha256 = wire.flags.iter().filter(|&&f| f & HAS_SHA256 != 0).count();
    if columns != [count; 4] || with_sha256 != sha256s.len() {
        return Err("has columns of different lengths".to_owned());
    }
    let mut sha256s = sha256s.into_iter();
    let mut end = 0u64;
    let mut entries = Vec::with_capacity(count);
    for (at, &flags) in wire.flags.iter().enumerate() {
        let stored_bytes = wire.stored_bytes[at];
        let offset = end.checked_add(wire.gaps[at]);
        let next = offset.and_then(|offset| offset.checked_add(stored_bytes));
        let (Some(offset), Some(next)) = (offset, next) else {
            return Err(format!("has resource {at} beyond 2^64"));
        };
        entries.push(ResourceEntry {
            sha1: sha1s[at],
            sha256: (flags & HAS_SHA256 != 0).then(|| sha256s.next()).flatten(),
            offset,
            stored_bytes,
            original_bytes: wire.original_bytes[at],
            compressed: flags & COMPRESSED != 0,
        });
        end = next;
    }
    Ok(entries)
}

fn digests<const N: usize>(bytes: &[u8], what: &str) -> Result<Vec<[u8; N]>, String> {
    let (digests, rest) = bytes.as_chunks::<N>();
    if rest.is_empty() { Ok(digests.to_vec()) } else { Err(format!("has {what} that are cut off")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::index::tests::sample;
    use super::*;

    #[test]
    fn an_index_survives_the_round_trip() {
        for count in [0, 1, 2, 1000] {
            let index = PackIndex::new("p", sample(count)).unwrap();
            let object = index.encode("p").unwrap();
            assert_eq!(PackIndex::decode("p", &object).unwrap(), index);
        }
    }

    #[test]
    fn half_a_million_resources_stay_small() {
        let index = PackIndex::new("p", sample(500_000)).unwrap();
        let object = index.encode("p").unwrap();
        // 20 + 2/3 × 32 bytes of digests can't shrink (the sample's are mostly zeros, so they do).
        assert!(object.len() < 500_000 * 45, "{} bytes", object.len());
        assert_eq!(PackIndex::decode("p", &object).unwrap(), index);
    }

    #[test]
    fn strangers_and_liars_are_refused() {
        let object = PackIndex::new("p", sample(3)).unwrap().encode("p").unwrap();
        let refused = |object: &[u8]| PackIndex::decode("p", object).unwrap_err().problem;
        assert!(refused(&object[..10]).contains("cut off"));
        assert!(refused(b"MSWIM\0\0\0 and some more bytes").contains("not an index"));
        let mut newer = object.to_vec();
        newer[8] = 9;
        assert!(refused(&newer).contains("version 9"));
        let mut longer = object.to_vec();
        longer[12] ^= 1;
        assert!(refused(&longer).contains("bytes that it says"));
        let mut huge = object.to_vec();
        huge[19] = 1;
        assert!(refused(&huge).contains("more than"));
        let zeros = vec![0; 16 << 20];
        let mut bomb = object[..12].to_vec();
        bomb.extend((zeros.len() as u64).to_le_bytes());
        bomb.extend(zstd::bulk::compress(&zeros, LEVEL).unwrap());
        assert!(refused(&bomb).contains("stored ones"));
    }

    proptest! {
        #[test]
        fn a_damaged_index_never_panics(at in 0usize..400, to: u8) {
            let mut object = PackIndex::new("p", sample(20)).unwrap().encode("p").unwrap().to_vec();
            let at = at % object.len();
            object[at] = to;
            let _ = PackIndex::decode("p", &object);
        }

        #[test]
        fn a_flipped_bit_never_gives_another_index(bit in 0usize..100_000) {
            let index = PackIndex::new("p", sample(20)).unwrap();
            let mut object = index.encode("p").unwrap().to_vec();
            let bit = bit % (object.len() * 8);
            object[bit / 8] ^= 1 << (bit % 8);
            if let Ok(decoded) = PackIndex::decode("p", &object) {
                prop_assert_eq!(decoded, index);
            }
        }
    }
}
