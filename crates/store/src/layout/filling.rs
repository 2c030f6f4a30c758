//! Which volume takes what: aligned pieces of packs first, then loose resources in the room that is
//! left in front of and behind them.

use std::cmp::Reverse;
use std::ops::Range;

use super::aligned::Aligned;
use super::{LayoutPack, VolumeRoom};
use crate::chunks::{CHUNK, HEADER_BYTES};

/// A resource that is placed by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loose {
    pub pack: usize,
    pub resource: usize,
    bytes: u64,
}

/// A range of a pack that keeps its place on the chunk grid.
#[derive(Debug)]
pub(super) struct Piece {
    pub pack: usize,
    /// Bytes of the pack.
    pub range: Range<u64>,
    /// Positions of its resources in the pack's list.
    pub resources: Range<usize>,
    /// Offset in the volume.
    pub base: u64,
}

/// Room between two pieces, or in front of the first.
#[derive(Debug, Default)]
struct Seam {
    free: u64,
    filled: Vec<Loose>,
}

/// What a volume takes.
#[derive(Debug, Default)]
pub(super) struct FilledVolume {
    /// The pieces, each with the loose resources in front of it.
    pub pieces: Vec<(Vec<Loose>, Piece)>,
    /// The loose resources behind the last piece.
    pub rest: Vec<Loose>,
}

#[derive(Debug)]
struct OpenVolume {
    seams: Vec<Seam>,
    pieces: Vec<Piece>,
    rest: Vec<Loose>,
    end: u64,
    /// Room behind `end`, for payload and entries.
    free: u64,
}

/// What all volumes take.
#[derive(Debug)]
pub(super) struct Filling {
    room: VolumeRoom,
    volumes: Vec<OpenVolume>,
    loose: Vec<Loose>,
}

impl Filling {
    /// Fills volumes with the packs: what is aligned, then the other resources one by one.
    pub fn plan(packs: &[LayoutPack], aligned: &Aligned, room: VolumeRoom) -> Self {
        let mut filling = Self { room, volumes: Vec::new(), loose: Vec::new() };
        filling.open();
        for (number, pack) in packs.iter().enumerate() {
            let count = aligned.count(number);
            if count > 0 {
                filling.place_pack(number, pack, count);
            }
            filling.loosen(number, pack, count..pack.resources.len());
        }
        filling.place_loose();
        filling.sort(packs);
        filling
    }

    /// The volumes in order, but for those that stayed empty. The first is there in any case.
    pub fn into_volumes(self) -> Vec<FilledVolume> {
        let filled = |volume: OpenVolume| {
            let seams = volume.seams.into_iter().map(|seam| seam.filled);
            FilledVolume { pieces: seams.zip(volume.pieces).collect(), rest: volume.rest }
        };
        let mut volumes: Vec<_> = self.volumes.into_iter().map(filled).collect();
        let mut number = 0;
        volumes.retain(|volume| {
            number += 1;
            number == 1 || !volume.pieces.is_empty() || !volume.rest.is_empty()
        });
        volumes
    }

    fn open(&mut self) -> usize {
        let number = self.volumes.len();
        self.volumes.push(OpenVolume {
            seams: Vec::new(),
            pieces: Vec::new(),
            rest: Vec::new(),
            end: HEADER_BYTES,
            free: self.room.payload(number).saturating_sub(HEADER_BYTES),
        });
        number
    }

    fn loosen(&mut self, number: usize, pack: &LayoutPack, resources: Range<usize>) {
        self.loose.extend(resources.map(|resource| {
            let bytes = pack.resources[resource].bytes;
            Loose { pack: number, resource, bytes }
        }));
    }

    /// Puts the first `count` resources of a pack into the first volume that has room for all of
    /// them, or cuts it.
    fn place_pack(&mut self, number: usize, pack: &LayoutPack, count: usize) {
        let end = match count == pack.resources.len() {
            true => pack.bytes,
            false => pack.resources[count - 1].end(),
        };
        let all = Cut { range: 0..end, resources: 0..count };
        let has_room = |volume: &OpenVolume| volume.fits(&all, self.room.entry);
        match self.volumes.iter().position(has_room) {
            Some(volume) => self.volumes[volume].push(number, all, self.room.entry),
            None => self.cut_pack(number, pack, count),
        }
    }

    /// Puts a pack's pieces into the last volume and new ones.
    fn cut_pack(&mut self, number: usize, pack: &LayoutPack, count: usize) {
        let mut at = 0;
        while at < count {
            if !Cut::of(pack, at..count).has_whole_chunk() {
                return self.loosen(number, pack, at..count);
            }
            let mut last = self.volumes.len() - 1;
            let mut next = self.furthest(last, pack, at..count);
            if !Cut::of(pack, at..next).has_whole_chunk() && !self.volumes[last].is_empty() {
                last = self.open();
                next = self.furthest(last, pack, at..count);
            }
            let cut = Cut::of(pack, at..next);
            if cut.has_whole_chunk() {
                self.volumes[last].push(number, cut, self.room.entry);
                at = next;
            } else {
                // No chunk of these can be whole in a volume of this size.
                next = next.max(at + 1);
                self.loosen(number, pack, at..next);
                at = next;
            }
        }
    }

    /// How far these resources fit into a volume.
    fn furthest(&self, volume: usize, pack: &LayoutPack, resources: Range<usize>) -> usize {
        let volume = &self.volumes[volume];
        let Range { start, end } = resources;
        let fits = |next: usize| volume.fits(&Cut::of(pack, start..next), self.room.entry);
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Puts loose resources into the seams, the largest first, each into the first seam that has
    /// room; then behind the pieces of the first volume that has.
    fn place_loose(&mut self) {
        let mut loose = std::mem::take(&mut self.loose);
        loose.sort_by_key(|loose| (Reverse(loose.bytes), loose.pack, loose.resource));
        let smallest = loose.last().map_or(0, |loose| loose.bytes);
        let seams = self.volumes.iter().enumerate();
        let mut open: Vec<(usize, usize)> = seams
            .flat_map(|(volume, open)| (0..open.seams.len()).map(move |seam| (volume, seam)))
            .collect();
        // A seam that can take nothing any more isn't looked at again.
        let volumes = &self.volumes;
        open.retain(|&(volume, seam)| volumes[volume].seams[seam].free >= smallest.max(1));
        for resource in loose {
            let has_room =
                |&(volume, seam): &(usize, usize)| self.has_room(volume, seam, resource.bytes);
            match open.iter().position(has_room) {
                None => self.place_behind(resource),
                Some(at) => {
                    let (volume, seam) = open[at];
                    let volume = &mut self.volumes[volume];
                    volume.free -= self.room.entry;
                    let seam = &mut volume.seams[seam];
                    seam.free -= resource.bytes;
                    seam.filled.push(resource);
                    if seam.free < smallest.max(1) {
                        open.remove(at);
                    }
                }
            }
        }
    }

    fn has_room(&self, volume: usize, seam: usize, bytes: u64) -> bool {
        let volume = &self.volumes[volume];
        volume.free >= self.room.entry && volume.seams[seam].free >= bytes
    }

    fn place_behind(&mut self, resource: Loose) {
        let needed = resource.bytes + self.room.entry;
        let found = self.volumes.iter().position(|volume| volume.free >= needed);
        let at = found.unwrap_or_else(|| self.open());
        let volume = &mut self.volumes[at];
        volume.free -= needed;
        volume.rest.push(resource);
    }

    /// Within a seam, and among the rest, resources lie in pack order, so that they are read from
    /// front to back.
    fn sort(&mut self, packs: &[LayoutPack]) {
        let in_pack_order =
            |loose: &Loose| (loose.pack, packs[loose.pack].resources[loose.resource].offset);
        for volume in &mut self.volumes {
            for seam in &mut volume.seams {
                seam.filled.sort_by_key(in_pack_order);
            }
            volume.rest.sort_by_key(in_pack_order);
        }
    }
}

/// A part of a pack that could become a piece.
#[derive(Debug)]
struct Cut {
    range: Range<u64>,
    resources: Range<usize>,
}

impl Cut {
    /// From the first to the last of these resources.
    fn of(pack: &LayoutPack, resources: Range<usize>) -> Self {
        let listed = &pack.resources[resources.clone()];
        let range = match (listed.first(), listed.last()) {
            (Some(first), Some(last)) => first.offset..last.end(),
            _ => 0..0,
        };
        Self { range, resources }
    }

    fn has_whole_chunk(&self) -> bool {
        self.range.start.div_ceil(CHUNK) < self.range.end / CHUNK
    }
}

impl OpenVolume {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Where a range of a pack has to start: as far behind a chunk start as in its pack.
    fn base(&self, range: &Range<u64>) -> u64 {
        let chunk_start = HEADER_BYTES + (self.end - HEADER_BYTES).next_multiple_of(CHUNK);
        chunk_start + range.start % CHUNK
    }

    fn needs(&self, cut: &Cut, entry: u64) -> u64 {
        let seam = self.base(&cut.range) - self.end;
        seam + (cut.range.end - cut.range.start) + entry * cut.resources.len() as u64
    }

    fn fits(&self, cut: &Cut, entry: u64) -> bool {
        self.needs(cut, entry) <= self.free
    }

    fn push(&mut self, pack: usize, cut: Cut, entry: u64) {
        self.free -= self.needs(&cut, entry);
        let base = self.base(&cut.range);
        self.seams.push(Seam { free: base - self.end, filled: Vec::new() });
        self.end = base + (cut.range.end - cut.range.start);
        self.pieces.push(Piece { pack, range: cut.range, resources: cut.resources, base });
    }
}
