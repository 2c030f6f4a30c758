//! The recipe of a volume of a medium: which range of which object goes where.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use crate::chunks::chunk_floor;
use crate::compose::{Part, PartRules, Source};
use crate::keys::{ObjectKey, PackKey};
use crate::objects::Objects;
use crate::pack::SeenPack;
use crate::whole::{check_digest, with_digest};

/// Largest recipe that is read, in bytes.
pub const RECIPE_LIMIT: u64 = 64 * 1024 * 1024;

const VERSION: u32 = 1;

/// How the bytes of a medium come together. Its segments tile the medium exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    total_bytes: u64,
    segments: Vec<Segment>,
    packs: BTreeMap<PackKey, SeenPack>,
}

/// A range of the medium and where its bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the medium, in bytes.
    pub dst_offset: u64,
    /// Bytes; never 0.
    pub len: u64,
    /// Where they lie.
    pub source: SegmentSource,
}

/// The object that a segment lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentSource {
    /// A pack.
    Pack {
        /// Which one.
        key: PackKey,
        /// Offset in the pack, in bytes.
        offset: u64,
    },
    /// The volume's glue object.
    Glue {
        /// Offset in the glue, in bytes.
        offset: u64,
    },
}

/// A piece of a segment that is placed in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipePart {
    /// Position among the parts, from 0.
    pub number: u32,
    /// Offset in the medium, in bytes.
    pub dst_offset: u64,
    /// Bytes.
    pub len: u64,
    /// Where they lie.
    pub source: SegmentSource,
}

/// A recipe is not one, or can't be carried out where it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// The object can't be read.
    #[error("the recipe {problem}; run the assemble task of this build again")]
    Damaged {
        /// What is wrong.
        problem: String,
    },
    /// Ranges overlap or leave a gap.
    #[error("the recipe doesn't tile the medium: {0}; report this as a bug")]
    Tiling(#[from] TilingError),
    /// A part is too small for the output's store.
    #[error(
        "part {number} of the medium has {len} bytes, the output's store wants at least {min} in \
         all parts but the last; report this as a bug"
    )]
    SmallPart {
        /// Which part, from 0.
        number: u32,
        /// Its bytes.
        len: u64,
        /// The store's minimum in bytes.
        min: u64,
    },
    /// The medium is too large for the output's store.
    #[error(
        "the medium needs {parts} parts or more, the output's store takes {max}; write it to a store where \
         the packs are too, so that larger parts can be copied on the server"
    )]
    ManyParts {
        /// How many parts it would take at least.
        parts: u64,
        /// The store's maximum.
        max: u32,
    },
}

/// Ranges that should tile something overlap, leave a gap or miss the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next range should start at {expected}, but {found} was found")]
pub struct TilingError {
    /// Where the next range should start, or the ranges should end, in bytes.
    pub expected: u64,
    /// Where it starts, or they end. A start equal to the expected one means a length of 0 or one
    /// beyond 2^64.
    pub found: u64,
}

/// Checks that the ranges (offset, length) tile 0 to `total` exactly, in this order.
pub fn check_tiling(
    total: u64,
    ranges: impl IntoIterator<Item = (u64, u64)>,
) -> Result<(), TilingError> {
    let mut end = 0u64;
    for (offset, len) in ranges {
        let next = offset.checked_add(len).filter(|_| len > 0 && offset == end);
        end = next.ok_or(TilingError { expected: end, found: offset })?;
    }
    if end == total {
        return Ok(());
    }
    Err(TilingError { expected: total, found: end })
}

impl Segment {
    /// Whether glue at `dst_offset` of the medium lies right behind this segment in the glue too.
    /// The glue object is in the order of the medium, so being neighbours there is enough.
    pub(crate) fn continues_as_glue(&self, dst_offset: u64) -> bool {
        let glue = matches!(self.source, SegmentSource::Glue { .. });
        glue && self.dst_offset + self.len == dst_offset
    }
}

impl SegmentSource {
    /// The same object, `bytes` further on.
    pub(crate) fn skip(self, bytes: u64) -> Self {
        match self {
            Self::Pack { key, offset } => Self::Pack { key, offset: offset + bytes },
            Self::Glue { offset } => Self::Glue { offset: offset + bytes },
        }
    }
}

impl Recipe {
    /// A recipe, if the segments tile the medium in this order.
    pub fn new(total_bytes: u64, segments: Vec<Segment>) -> Result<Self, RecipeError> {
        let ranges = segments.iter().map(|segment| (segment.dst_offset, segment.len));
        check_tiling(total_bytes, ranges)?;
        Ok(Self { total_bytes, segments, packs: BTreeMap::new() })
    }

    /// The same, made of these very packs: nothing else that is found under their names is taken.
    #[must_use]
    pub fn of_packs(self, packs: impl IntoIterator<Item = (PackKey, SeenPack)>) -> Self {
        Self { packs: packs.into_iter().collect(), ..self }
    }

    /// The packs that the medium was laid out from, as they were seen then. Releases before this one
    /// wrote down none.
    pub fn packs(&self) -> &BTreeMap<PackKey, SeenPack> {
        &self.packs
    }

    /// Bytes of the medium.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The segments by their offset in the medium.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The recipe as an object's bytes.
    pub fn encode(&self) -> Bytes {
        let segments = self.segments.iter().map(|segment| {
            let (pack_key, source_offset) = match segment.source {
                SegmentSource::Pack { key, offset } => (key.as_bytes().to_vec(), offset),
                SegmentSource::Glue { offset } => (Vec::new(), offset),
            };
            WireSegment {
                dst_offset: segment.dst_offset,
                len: segment.len,
                pack_key,
                source_offset,
            }
        });
        let packs = self.packs.iter().map(|(key, seen)| WirePack {
            pack_key: key.as_bytes().to_vec(),
            index_sha256: seen.index_sha256.to_vec(),
            tag: seen.tag.clone(),
        });
        let wire = WireRecipe {
            version: VERSION,
            total_bytes: self.total_bytes,
            segments: segments.collect(),
            packs: packs.collect(),
        };
        with_digest(wire.encode_to_vec())
    }

    /// Reads a recipe object.
    pub fn decode(object: &[u8]) -> Result<Self, RecipeError> {
        let damaged = |problem: String| RecipeError::Damaged { problem };
        check_digest(object).map_err(|error| damaged(error.to_string()))?;
        let wire = WireRecipe::decode(object).map_err(|e| damaged(format!("is damaged: {e}")))?;
        if wire.version != VERSION {
            let found = wire.version;
            return Err(damaged(format!("has version {found}, not {VERSION}")));
        }
        let segments: Option<Vec<_>> = wire.segments.iter().map(segment).collect();
        let packs: Option<Vec<_>> = wire.packs.into_iter().map(seen_pack).collect();
        let (segments, packs) = segments
            .zip(packs)
            .ok_or_else(|| damaged("has an ill-formed pack key or digest".to_owned()))?;
        Ok(Self::new(wire.total_bytes, segments)?.of_packs(packs))
    }

    /// A part as [`crate::Compose::place`] wants it: packs, the very ones that were seen, and the object
    /// `glue` lie in `objects`.
    pub fn bind(&self, part: &RecipePart, objects: &Objects, glue: &ObjectKey) -> Part {
        let (key, offset, if_match) = match part.source {
            SegmentSource::Pack { key, offset } => {
                let tag = self.packs.get(&key).and_then(|seen| seen.tag.clone());
                (key.pack(), offset, tag)
            }
            SegmentSource::Glue { offset } => (glue.clone(), offset, None),
        };
        Part {
            number: part.number,
            dst_offset: part.dst_offset,
            len: part.len,
            source: Source { objects: objects.clone(), key, offset, if_match },
        }
    }

    /// Cuts the recipe into parts of at most `rules.max_bytes`, at chunk starts. The same recipe
    /// and rules give the same parts, so every worker knows them by number.
    pub fn parts(&self, rules: &PartRules) -> Result<Vec<RecipePart>, RecipeError> {
        // Counted before they are cut: a damaged recipe may claim a medium of 2^60 bytes.
        let least = self.total_bytes.div_ceil(rules.max_bytes.max(1));
        if least > u64::from(rules.max_parts) {
            return Err(RecipeError::ManyParts { parts: least, max: rules.max_parts });
        }
        let mut parts = Vec::new();
        for segment in &self.segments {
            cut(segment, rules.max_bytes, &mut parts);
        }
        if parts.len() as u64 > u64::from(rules.max_parts) {
            return Err(RecipeError::ManyParts { parts: parts.len() as u64, max: rules.max_parts });
        }
        let all_but_last = parts.split_last().map_or(&[][..], |(_, others)| others);
        let (min, small) = (rules.min_bytes, |part: &&RecipePart| part.len < rules.min_bytes);
        match all_but_last.iter().find(small) {
            None => Ok(parts),
            Some(&RecipePart { number, len, .. }) => {
                Err(RecipeError::SmallPart { number, len, min })
            }
        }
    }
}

fn cut(segment: &Segment, max_bytes: u64, parts: &mut Vec<RecipePart>) {
    let end = segment.dst_offset + segment.len;
    let mut at = segment.dst_offset;
    while at < end {
        let furthest = at.saturating_add(max_bytes.max(1));
        let on_grid = chunk_floor(furthest);
        let next = match furthest {
            furthest if furthest >= end => end,
            furthest if on_grid > at => on_grid.min(furthest),
            furthest => furthest,
        };
        parts.push(RecipePart {
            number: parts.len() as u32,
            dst_offset: at,
            len: next - at,
            source: segment.source.skip(at - segment.dst_offset),
        });
        at = next;
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireRecipe {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint64, tag = "2")]
    total_bytes: u64,
    #[prost(message, repeated, tag = "3")]
    segments: Vec<WireSegment>,
    #[prost(message, repeated, tag = "4")]
    packs: Vec<WirePack>,
}

#[derive(Clone, PartialEq, Message)]
struct WirePack {
    #[prost(bytes = "vec", tag = "1")]
    pack_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    index_sha256: Vec<u8>,
    #[prost(string, optional, tag = "3")]
    tag: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct WireSegment {
    #[prost(uint64, tag = "1")]
    dst_offset: u64,
    #[prost(uint64, tag = "2")]
    len: u64,
    /// Empty for the glue.
    #[prost(bytes = "vec", tag = "3")]
    pack_key: Vec<u8>,
    #[prost(uint64, tag = "4")]
    source_offset: u64,
}

fn segment(wire: &WireSegment) -> Option<Segment> {
    let offset = wire.source_offset;
    let source = if wire.pack_key.is_empty() {
        SegmentSource::Glue { offset }
    } else {
        let key = PackKey::from_bytes(wire.pack_key.as_slice().try_into().ok()?);
        SegmentSource::Pack { key, offset }
    };
    offset.checked_add(wire.len)?;
    Some(Segment { dst_offset: wire.dst_offset, len: wire.len, source })
}

fn seen_pack(wire: WirePack) -> Option<(PackKey, SeenPack)> {
    let key = PackKey::from_bytes(wire.pack_key.as_slice().try_into().ok()?);
    let index_sha256 = wire.index_sha256.as_slice().try_into().ok()?;
    Some((key, SeenPack { index_sha256, tag: wire.tag }))
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
