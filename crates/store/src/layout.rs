//! Decides where every byte of a medium's payload lies: a pure function of the packs' sizes.
//!
//! ```text
//! 0        header
//! 208      pack 1 | seam: loose resources, zeros
//! 208 + k  pack 2 | loose resources that fitted nowhere
//!          tail of the volume: metadata, blob table, XML, integrity table
//! ```
//!
//! A pack of at least one whole chunk is *aligned*: it starts on the chunk grid, so its chunk
//! digests go into the integrity table unread. The *seam* in front of the next one takes resources
//! of small packs (*loose* ones), then zeros (holes are legal: reference, the WIM format). Where
//! that would leave more than 1 % of zeros, resources at the end of aligned packs become loose too,
//! as many as it takes.
//!
//! A medium is one volume or, when it is split, several of a bounded size. A pack that doesn't fit
//! is cut between two resources; its next *piece* opens the next volume as far behind a chunk start
//! as it lies in the pack, so that its chunks are on the grid there too.
//!
//! What the store copies and what is *glue* is another matter, which moves no byte: see
//! [`CopyRule`].

mod aligned;
mod filling;
mod volume;

use self::aligned::Aligned;
use self::filling::Filling;
pub use self::volume::{KnownChunk, Origin, Stretch, Volume};
use crate::chunks::HEADER_BYTES;
use crate::keys::PackKey;

/// A pack, as far as the layout has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPack {
    /// The pack's key.
    pub key: PackKey,
    /// Bytes of the pack.
    pub bytes: u64,
    /// The resources that the medium needs, none of them empty, by their offset. Those of a pack
    /// smaller than a chunk are placed one by one, so ones that are not listed take no room.
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

impl Extent {
    fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// Where a resource lies in the medium.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Position among the volumes, from 0.
    pub volume: usize,
    /// Offset in the volume, in bytes.
    pub offset: u64,
}

/// What of an aligned pack the store copies; the rest is glue. The bytes of the medium are the same
/// either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyRule {
    /// Whole chunks, but for a volume's first: every part but the last is large, as S3 asks.
    WholeChunks,
    /// All of it: for stores that take parts of any size, and those that compose whole objects.
    WholePieces,
}

impl CopyRule {
    /// The rule for a store that wants parts of at least `min_bytes`.
    pub fn for_least_part(min_bytes: u64) -> Self {
        // The header alone becomes a part.
        if min_bytes <= 1 { Self::WholePieces } else { Self::WholeChunks }
    }
}

/// The room in the volumes of a split medium, all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeRoom {
    /// Most bytes of a volume.
    pub volume: u64,
    /// What follows the payload of the first volume, but for the entries of its resources.
    pub first_tail: u64,
    /// What follows the payload of every other, but for the entries of its resources.
    pub other_tail: u64,
    /// What each resource adds to its volume's tail.
    pub entry: u64,
}

impl VolumeRoom {
    /// A single volume of any size.
    const UNBOUNDED: Self = Self { volume: u64::MAX, first_tail: 0, other_tail: 0, entry: 0 };

    /// Room for payload, the header included, and entries.
    fn payload(&self, volume: usize) -> u64 {
        let tail = if volume == 0 { self.first_tail } else { self.other_tail };
        self.volume.saturating_sub(tail)
    }

    /// Room for one resource in a volume of its own, that is not the first.
    fn resource(&self) -> u64 {
        self.payload(1).saturating_sub(HEADER_BYTES + self.entry)
    }
}

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    volumes: Vec<Volume>,
    places: Vec<Vec<Place>>,
}

/// The packs can't be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// What was given is not what an index can hold.
    #[error(
        "resource {resource} of pack {pack} is empty, out of order or ends behind the pack's \
         {bytes} bytes; the pack's index is damaged: remove both, and run the task that writes \
         them again"
    )]
    Damaged {
        /// The pack.
        pack: PackKey,
        /// Position of the resource in the pack's list.
        resource: usize,
        /// Bytes of the pack.
        bytes: u64,
    },
    /// A resource is larger than any volume has room for.
    #[error(
        "resource {resource} of pack {pack} has {bytes} bytes, a volume has room for {room}; let \
         the volumes be larger, or don't split the medium"
    )]
    LargeResource {
        /// Position of the pack among the input.
        pack: usize,
        /// Position of the resource in the pack's list.
        resource: usize,
        /// Its stored bytes.
        bytes: u64,
        /// Room in an empty volume.
        room: u64,
    },
    /// The first volume's tail alone is too large.
    #[error(
        "metadata and tables take {tail} bytes, a volume has {volume}; let the volumes be larger, \
         or don't split the medium"
    )]
    LargeTail {
        /// Bytes of the tail.
        tail: u64,
        /// Bytes of a volume.
        volume: u64,
    },
}

/// Padding may be one in so many bytes of the payload.
const PADDING_SHARE: u64 = 100;

impl Layout {
    /// Lays the packs out in the order given, in volumes of `room` or in a single one. The same
    /// input gives the same layout.
    pub fn plan(
        packs: &[LayoutPack],
        copy_rule: CopyRule,
        room: Option<VolumeRoom>,
    ) -> Result<Self, LayoutError> {
        let room = room.unwrap_or(VolumeRoom::UNBOUNDED);
        check(packs, &room)?;
        let mut aligned = Aligned::all(packs);
        loop {
            let filling = Filling::plan(packs, &aligned, room);
            let layout = Self::of(packs, copy_rule, filling);
            let sum = |of: fn(&Volume) -> u64| layout.volumes.iter().map(of).sum::<u64>();
            let allowed = sum(Volume::payload_end) / PADDING_SHARE;
            let padding = sum(Volume::padding);
            if padding <= allowed {
                return Ok(layout);
            }
            // With no pack left on the grid there is no padding. A part of what is allowed at
            // least, so that the last few bytes don't take a round each.
            aligned.loosen(packs, (padding - allowed).max(allowed / 8));
        }
    }

    fn of(packs: &[LayoutPack], copy_rule: CopyRule, filling: Filling) -> Self {
        let mut places: Vec<Vec<Place>> =
            packs.iter().map(|pack| vec![Place::default(); pack.resources.len()]).collect();
        let build = |(number, filled)| {
            let mut place = |pack: usize, resource: usize, offset| {
                places[pack][resource] = Place { volume: number, offset };
            };
            Volume::build(packs, copy_rule, filled, &mut place)
        };
        let volumes = filling.into_volumes().into_iter().enumerate().map(build).collect();
        Self { volumes, places }
    }

    /// The volumes in order; one at least.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// Where each resource of pack `pack` lies, in the order of its list.
    pub fn places(&self, pack: usize) -> &[Place] {
        &self.places[pack]
    }
}

fn check(packs: &[LayoutPack], room: &VolumeRoom) -> Result<(), LayoutError> {
    let tail = HEADER_BYTES.saturating_add(room.first_tail);
    if tail > room.volume {
        return Err(LayoutError::LargeTail { tail, volume: room.volume });
    }
    for (number, pack) in packs.iter().enumerate() {
        let mut end = 0;
        for (resource, extent) in pack.resources.iter().enumerate() {
            let next = extent.offset.checked_add(extent.bytes);
            let sound = extent.bytes > 0 && extent.offset >= end;
            end = next.filter(|&next| sound && next <= pack.bytes).ok_or(LayoutError::Damaged {
                pack: pack.key,
                resource,
                bytes: pack.bytes,
            })?;
            let (bytes, room) = (extent.bytes, room.resource());
            if bytes > room {
                return Err(LayoutError::LargeResource { pack: number, resource, bytes, room });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
