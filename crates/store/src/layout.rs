//! Decides where every byte of a medium's payload lies: a pure function of the packs' sizes.
//!
//! ```text
//! 0        header
//! 208      pack 1: its whole chunks | seam: its partial chunk, loose resources, zeros
//! 208 + k  pack 2: its whole chunks | its partial chunk, loose resources that fitted nowhere
//!          tail of the medium: metadata, blob table, XML, integrity table
//! ```
//!
//! A pack of at least one whole chunk is *aligned* (unless that would make the padding more than
//! 1 %: then the smallest of them are treated like small packs): it starts on the chunk grid, so its whole
//! chunks are copied by the store and its chunk digests go into the integrity table unread. The
//! *seam* behind it, up to the next chunk start, takes its partial chunk, then resources of small
//! packs (*loose* ones), then zeros (holes are legal: reference, the WIM format). All that isn't
//! copied is *glue*. The header's neighbour, the first chunk of the first pack, is glue as well, so
//! that the first part of an upload has the size that S3 asks for.

mod seams;

use self::seams::{Loose, fill_seams, place_aligned};
use crate::chunks::{CHUNK, HEADER_BYTES, whole_chunks};
use crate::keys::PackKey;
use crate::recipe::{Recipe, RecipeError, Segment, SegmentSource};

/// A pack, as far as the layout has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPack {
    /// The pack's key.
    pub key: PackKey,
    /// Bytes of the pack.
    pub bytes: u64,
    /// The resources that the medium needs, none of them empty. Those of a pack smaller than a
    /// chunk are placed one by one, so ones that are not listed take no room.
    pub resources: Vec<Extent>,
}

/// Where a resource lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset in the pack, in bytes.
    pub offset: u64,
    /// Stored bytes.
    pub bytes: u64,
}

/// Whole chunks that are copied from a pack, unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackCopy {
    /// Position of the pack among the input.
    pub pack: usize,
    /// Offset in the pack, in bytes.
    pub pack_offset: u64,
    /// Offset in the medium, in bytes.
    pub dst_offset: u64,
    /// Bytes: a multiple of the chunk.
    pub bytes: u64,
}

/// A stretch of glue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GluePiece {
    /// Offset in the medium, in bytes.
    pub dst_offset: u64,
    /// Bytes.
    pub bytes: u64,
    /// What it is.
    pub from: GlueSource,
}

/// Where a stretch of glue comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlueSource {
    /// The WIM header, known last.
    Header,
    /// Bytes of a pack.
    Pack {
        /// Position of the pack among the input.
        pack: usize,
        /// Offset in the pack, in bytes.
        offset: u64,
    },
    /// Zeros up to the next chunk start.
    Zeros,
}

/// A chunk of the medium whose SHA-1 a pack's index knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownChunk {
    /// Number of the chunk in the medium, from 0.
    pub chunk: u64,
    /// Position of the pack among the input.
    pub pack: usize,
    /// Number of the chunk in the pack, from 0.
    pub pack_chunk: u64,
}

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    keys: Vec<PackKey>,
    /// Start of each aligned pack in the medium; `None` for loose ones.
    bases: Vec<Option<u64>>,
    whole: Vec<u64>,
    offsets: Vec<Vec<u64>>,
    copies: Vec<PackCopy>,
    glue: Vec<GluePiece>,
    padding: u64,
    payload_end: u64,
}

/// The packs can't be laid out: what was given is not what an index can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "resource {resource} of pack {pack} is empty or ends behind the pack's {bytes} bytes; the \
     pack's index is damaged: remove both, and run the task that writes them again"
)]
pub struct LayoutError {
    /// The pack.
    pub pack: PackKey,
    /// Position of the resource in the pack's list.
    pub resource: usize,
    /// Bytes of the pack.
    pub bytes: u64,
}

/// Padding may be one in so many bytes of the payload.
const PADDING_SHARE: u64 = 100;

impl Layout {
    /// Lays the packs out in the order given. The same input gives the same layout.
    pub fn plan(packs: &[LayoutPack]) -> Result<Self, LayoutError> {
        for pack in packs {
            check(pack)?;
        }
        let mut on_grid: Vec<bool> = packs.iter().map(|p| whole_chunks(p.bytes) > 0).collect();
        loop {
            let layout = Self::plan_on_grid(packs, &on_grid);
            if layout.padding <= layout.payload_end / PADDING_SHARE {
                return Ok(layout);
            }
            // The smallest gain least by being copied, and their resources fill seams: an eighth
            // of those left at a time, for there may be many. With one pack left on the grid there
            // is no padding.
            let mut aligned: Vec<usize> = (0..packs.len()).filter(|&at| on_grid[at]).collect();
            aligned.sort_by_key(|&at| (packs[at].bytes, at));
            for &smallest in aligned.iter().take(aligned.len().div_ceil(8)) {
                on_grid[smallest] = false;
            }
        }
    }

    /// Lays out with these packs on the chunk grid.
    fn plan_on_grid(packs: &[LayoutPack], on_grid: &[bool]) -> Self {
        let (aligned, mut seams) = place_aligned(packs, on_grid);
        let rest = fill_seams(packs, on_grid, &mut seams);
        let mut layout = Self::empty(packs);
        layout.push_glue(HEADER_BYTES, GlueSource::Header);
        for (number, &(pack, base)) in aligned.iter().enumerate() {
            layout.push_aligned(packs, pack, base, number == 0);
            layout.push_loose(packs, &seams[number].filled);
            let next = aligned.get(number + 1).map(|&(_, base)| base);
            let zeros = next.map_or(0, |next| next - layout.payload_end);
            layout.padding += zeros;
            layout.push_glue(zeros, GlueSource::Zeros);
        }
        layout.push_loose(packs, &rest);
        layout
    }

    fn empty(packs: &[LayoutPack]) -> Self {
        Self {
            keys: packs.iter().map(|pack| pack.key).collect(),
            bases: vec![None; packs.len()],
            whole: packs.iter().map(|pack| whole_chunks(pack.bytes)).collect(),
            offsets: packs.iter().map(|pack| vec![0; pack.resources.len()]).collect(),
            copies: Vec::new(),
            glue: Vec::new(),
            padding: 0,
            payload_end: 0,
        }
    }

    /// Offset in the medium, in bytes, of each resource of pack `pack`, in the order of its list.
    pub fn offsets(&self, pack: usize) -> &[u64] {
        &self.offsets[pack]
    }

    /// Where an aligned pack starts in the medium, in bytes; `None` for a pack whose resources are
    /// placed one by one.
    pub fn base(&self, pack: usize) -> Option<u64> {
        self.bases[pack]
    }

    /// The copies that the store makes, by their offset in the medium.
    pub fn copies(&self) -> &[PackCopy] {
        &self.copies
    }

    /// The glue up to the payload's end, by its offset in the medium. The glue object holds these
    /// one behind the other, and then the medium's tail.
    pub fn glue(&self) -> &[GluePiece] {
        &self.glue
    }

    /// Bytes of the glue object without the medium's tail.
    pub fn glue_bytes(&self) -> u64 {
        self.glue.iter().map(|piece| piece.bytes).sum()
    }

    /// Zeros that nobody needed, in bytes.
    pub fn padding(&self) -> u64 {
        self.padding
    }

    /// Where the medium's tail starts, in bytes: right behind the last resource.
    pub fn payload_end(&self) -> u64 {
        self.payload_end
    }

    /// The chunks of the medium whose SHA-1s the packs' indexes know, in order: all whole chunks of
    /// aligned packs, the first one (which is glue) included.
    pub fn known_chunks(&self) -> impl Iterator<Item = KnownChunk> + '_ {
        let mut aligned: Vec<(u64, usize)> = self
            .bases
            .iter()
            .enumerate()
            .filter_map(|(pack, base)| Some(((*base)?, pack)))
            .collect();
        aligned.sort_unstable();
        aligned.into_iter().flat_map(|(base, pack)| {
            let first = (base - HEADER_BYTES) / CHUNK;
            (0..self.whole[pack]).map(move |pack_chunk| KnownChunk {
                chunk: first + pack_chunk,
                pack,
                pack_chunk,
            })
        })
    }

    /// The recipe of the medium when its tail has `tail_bytes` (metadata, blob table, XML,
    /// integrity table), which follow the other glue in the glue object.
    pub fn recipe(&self, tail_bytes: u64) -> Result<Recipe, RecipeError> {
        let tail = (self.payload_end, tail_bytes);
        let glue = self.glue.iter().map(|piece| (piece.dst_offset, piece.bytes));
        let mut segments: Vec<Segment> = Vec::new();
        let mut glue_offset = 0;
        let mut copies = self.copies.iter().peekable();
        for (dst_offset, len) in glue.chain([tail]).filter(|&(_, len)| len > 0) {
            while let Some(copy) = copies.next_if(|copy| copy.dst_offset < dst_offset) {
                segments.push(self.segment(copy));
            }
            match segments.last_mut() {
                Some(last) if last.continues_as_glue(dst_offset) => last.len += len,
                _ => segments.push(Segment {
                    dst_offset,
                    len,
                    source: SegmentSource::Glue { offset: glue_offset },
                }),
            }
            glue_offset += len;
        }
        segments.extend(copies.map(|copy| self.segment(copy)));
        Recipe::new(self.payload_end + tail_bytes, segments)
    }

    fn segment(&self, copy: &PackCopy) -> Segment {
        Segment {
            dst_offset: copy.dst_offset,
            len: copy.bytes,
            source: SegmentSource::Pack { key: self.keys[copy.pack], offset: copy.pack_offset },
        }
    }

    /// Adds glue at the payload's end; bytes that follow each other in a pack become one piece.
    fn push_glue(&mut self, bytes: u64, from: GlueSource) {
        if bytes == 0 {
            return;
        }
        let dst_offset = self.payload_end;
        self.payload_end += bytes;
        if let (Some(last), GlueSource::Pack { pack, offset }) = (self.glue.last_mut(), from)
            && last.dst_offset + last.bytes == dst_offset
            && last.is_followed_by(pack, offset)
        {
            last.bytes += bytes;
            return;
        }
        self.glue.push(GluePiece { dst_offset, bytes, from });
    }

    fn push_aligned(&mut self, packs: &[LayoutPack], pack: usize, base: u64, first: bool) {
        let LayoutPack { bytes, resources, .. } = &packs[pack];
        let from = |offset| GlueSource::Pack { pack, offset };
        self.bases[pack] = Some(base);
        self.offsets[pack] = resources.iter().map(|extent| base + extent.offset).collect();
        let copied_from = if first { CHUNK } else { 0 };
        self.push_glue(copied_from, from(0));
        let whole = self.whole[pack] * CHUNK;
        if whole > copied_from {
            self.copies.push(PackCopy {
                pack,
                pack_offset: copied_from,
                dst_offset: self.payload_end,
                bytes: whole - copied_from,
            });
            self.payload_end += whole - copied_from;
        }
        self.push_glue(bytes - whole, from(whole));
    }

    fn push_loose(&mut self, packs: &[LayoutPack], loose: &[Loose]) {
        for &Loose { pack, resource, .. } in loose {
            let extent = packs[pack].resources[resource];
            self.offsets[pack][resource] = self.payload_end;
            let offset = extent.offset;
            self.push_glue(extent.bytes, GlueSource::Pack { pack, offset });
        }
    }
}

impl GluePiece {
    fn is_followed_by(&self, next_pack: usize, next_offset: u64) -> bool {
        matches!(self.from, GlueSource::Pack { pack, offset }
            if pack == next_pack && offset + self.bytes == next_offset)
    }
}

fn check(pack: &LayoutPack) -> Result<(), LayoutError> {
    let fits = |extent: &Extent| {
        let end = extent.offset.checked_add(extent.bytes);
        extent.bytes > 0 && end.is_some_and(|end| end <= pack.bytes)
    };
    match pack.resources.iter().position(|extent| !fits(extent)) {
        None => Ok(()),
        Some(resource) => Err(LayoutError { pack: pack.key, resource, bytes: pack.bytes }),
    }
}

#[cfg(test)]
mod tests;
