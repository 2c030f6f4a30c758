//! One volume of a medium: its bytes in order, and which of them the store copies.

use super::filling::{FilledVolume, Loose, Piece};
use super::{CopyRule, LayoutPack};
use crate::chunks::{CHUNK, HEADER_BYTES, chunk_start};
use crate::keys::PackKey;
use crate::recipe::{Recipe, RecipeError, Segment, SegmentSource};

/// A stretch of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Offset in the volume, in bytes.
    pub dst_offset: u64,
    /// Bytes; never 0.
    pub bytes: u64,
    /// What it is.
    pub from: Origin,
    /// Whether the store copies it from its pack; it is glue otherwise.
    pub copied: bool,
}

/// What a stretch of a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The WIM header, known last.
    Header,
    /// Bytes of a pack.
    Pack {
        /// Position of the pack among the input.
        pack: usize,
        /// Offset in the pack, in bytes.
        offset: u64,
    },
    /// Zeros up to where the next pack has to start.
    Zeros,
}

/// A chunk of a volume whose SHA-1 a pack's index knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownChunk {
    /// Number of the chunk in the volume, from 0.
    pub chunk: u64,
    /// Position of the pack among the input.
    pub pack: usize,
    /// Number of the chunk in the pack, from 0.
    pub pack_chunk: u64,
}

/// A volume up to its tail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    keys: Vec<PackKey>,
    stretches: Vec<Stretch>,
    known: Vec<KnownChunk>,
    padding: u64,
    payload_end: u64,
}

impl Volume {
    /// Puts together what `filled` names. `place` is told where each resource lies: position of its
    /// pack, position in the pack's list, offset.
    pub(super) fn build(
        packs: &[LayoutPack],
        copy_rule: CopyRule,
        filled: FilledVolume,
        place: &mut impl FnMut(usize, usize, u64),
    ) -> Self {
        let keys = packs.iter().map(|pack| pack.key).collect();
        let mut volume = Self { keys, ..Self::default() };
        volume.push(HEADER_BYTES, Origin::Header, false);
        for (seam, piece) in &filled.pieces {
            volume.push_loose(packs, seam, place);
            let zeros = piece.base - volume.payload_end;
            volume.padding += zeros;
            volume.push(zeros, Origin::Zeros, false);
            volume.push_piece(piece, copy_rule);
            for resource in piece.resources.clone() {
                let within = packs[piece.pack].resources[resource].offset - piece.range.start;
                place(piece.pack, resource, piece.base + within);
            }
        }
        volume.push_loose(packs, &filled.rest, place);
        volume
    }

    /// All bytes up to the payload's end, in order. The glue object holds those that aren't copied
    /// one behind the other, and then the volume's tail.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Each stretch, with its offset in the glue object if it is glue.
    pub fn glue(&self) -> impl Iterator<Item = (Stretch, Option<u64>)> {
        let mut end = 0;
        self.stretches.iter().map(move |stretch| {
            let offset = (!stretch.copied).then_some(end);
            end += offset.map_or(0, |_| stretch.bytes);
            (*stretch, offset)
        })
    }

    /// The chunks whose SHA-1s the packs' indexes know, in order: all whole chunks of aligned
    /// packs, copied or not.
    pub fn known_chunks(&self) -> &[KnownChunk] {
        &self.known
    }

    /// Zeros that nobody needed, in bytes.
    pub fn padding(&self) -> u64 {
        self.padding
    }

    /// Where the volume's tail starts, in bytes: right behind the last resource.
    pub fn payload_end(&self) -> u64 {
        self.payload_end
    }

    /// The recipe of the volume when its tail has `tail_bytes` (metadata, blob table, XML,
    /// integrity table), which follow the other glue in the glue object.
    pub fn recipe(&self, tail_bytes: u64) -> Result<Recipe, RecipeError> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut push = |dst_offset, len, source| match (segments.last_mut(), &source) {
            (Some(last), SegmentSource::Glue { .. }) if last.continues_as_glue(dst_offset) => {
                last.len += len;
            }
            _ if len > 0 => segments.push(Segment { dst_offset, len, source }),
            _ => {}
        };
        let mut glue_end = 0;
        for (stretch, in_glue) in self.glue() {
            let source = match (stretch.from, in_glue) {
                (Origin::Pack { pack, offset }, None) => {
                    SegmentSource::Pack { key: self.keys[pack], offset }
                }
                (_, offset) => SegmentSource::Glue { offset: offset.unwrap_or(glue_end) },
            };
            glue_end = in_glue.map_or(glue_end, |offset| offset + stretch.bytes);
            push(stretch.dst_offset, stretch.bytes, source);
        }
        push(self.payload_end, tail_bytes, SegmentSource::Glue { offset: glue_end });
        Recipe::new(self.payload_end + tail_bytes, segments)
    }

    /// Adds bytes at the payload's end; those that follow each other in a pack become one stretch.
    fn push(&mut self, bytes: u64, from: Origin, copied: bool) {
        if bytes == 0 {
            return;
        }
        let dst_offset = self.payload_end;
        self.payload_end += bytes;
        match self.stretches.last_mut() {
            Some(last) if last.copied == copied && last.goes_on(from) => last.bytes += bytes,
            _ => self.stretches.push(Stretch { dst_offset, bytes, from, copied }),
        }
    }

    fn push_loose(
        &mut self,
        packs: &[LayoutPack],
        loose: &[Loose],
        place: &mut impl FnMut(usize, usize, u64),
    ) {
        for &Loose { pack, resource, .. } in loose {
            let extent = packs[pack].resources[resource];
            place(pack, resource, self.payload_end);
            self.push(extent.bytes, Origin::Pack { pack, offset: extent.offset }, false);
        }
    }

    fn push_piece(&mut self, piece: &Piece, copy_rule: CopyRule) {
        let (start, end) = (piece.base, piece.base + (piece.range.end - piece.range.start));
        let first = (start - HEADER_BYTES).div_ceil(CHUNK);
        let behind = (end - HEADER_BYTES) / CHUNK;
        let first_of_pack = piece.range.start.div_ceil(CHUNK);
        self.known.extend((first..behind).map(|chunk| KnownChunk {
            chunk,
            pack: piece.pack,
            pack_chunk: first_of_pack + (chunk - first),
        }));
        let copied = match copy_rule {
            CopyRule::WholePieces => start..end,
            CopyRule::WholeChunks => {
                // The volume's first chunk goes with the header, so that the first part is large.
                let from = chunk_start(first.max(1)).min(end);
                from..chunk_start(behind).max(from)
            }
        };
        let mut at = start;
        for (until, copied) in [(copied.start, false), (copied.end, true), (end, false)] {
            let offset = piece.range.start + (at - start);
            self.push(until - at, Origin::Pack { pack: piece.pack, offset }, copied);
            at = until;
        }
    }
}

impl Stretch {
    /// Whether bytes of `next`, right behind this in the volume, are right behind it in the pack.
    fn goes_on(&self, next: Origin) -> bool {
        match (self.from, next) {
            (Origin::Pack { pack, offset }, Origin::Pack { pack: next, offset: next_offset }) => {
                pack == next && offset + self.bytes == next_offset
            }
            _ => false,
        }
    }
}
