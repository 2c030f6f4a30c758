//! Where aligned packs start, and what fills the room behind them.

use std::cmp::Reverse;

use super::LayoutPack;
use crate::chunks::{CHUNK, chunk_start};

/// A resource of a pack that is too small to be aligned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loose {
    pub bytes: u64,
    pub pack: usize,
    pub resource: usize,
}

/// The room behind an aligned pack, up to the next chunk start.
pub(super) struct Seam {
    pub free: u64,
    pub filled: Vec<Loose>,
}

/// Gives each pack of a whole chunk or more its place; the seam behind the last has no room, for
/// the medium's tail can follow at once.
pub(super) fn place_aligned(
    packs: &[LayoutPack],
    on_grid: &[bool],
) -> (Vec<(usize, u64)>, Vec<Seam>) {
    let (mut aligned, mut seams) = (Vec::new(), Vec::<Seam>::new());
    let mut chunk = 0;
    for (number, pack) in packs.iter().enumerate() {
        if !on_grid[number] {
            continue;
        }
        aligned.push((number, chunk_start(chunk)));
        let chunks = pack.bytes.div_ceil(CHUNK);
        chunk += chunks;
        seams.push(Seam { free: chunks * CHUNK - pack.bytes, filled: Vec::new() });
    }
    if let Some(last) = seams.last_mut() {
        last.free = 0;
    }
    (aligned, seams)
}

/// Puts loose resources into the seams, the largest first, each into the first seam that has room;
/// returns those that found none. Within a seam, and among the rest, they lie in pack order, so
/// that they are read from front to back.
pub(super) fn fill_seams(packs: &[LayoutPack], on_grid: &[bool], seams: &mut [Seam]) -> Vec<Loose> {
    let mut loose: Vec<Loose> = packs
        .iter()
        .enumerate()
        .filter(|&(pack, _)| !on_grid[pack])
        .flat_map(|(pack, layout)| {
            let numbered = layout.resources.iter().enumerate();
            numbered.map(move |(resource, extent)| Loose { bytes: extent.bytes, pack, resource })
        })
        .collect();
    loose.sort_by_key(|loose| (Reverse(loose.bytes), loose.pack, loose.resource));
    let smallest = loose.last().map_or(0, |loose| loose.bytes);
    let mut open: Vec<&mut Seam> = seams.iter_mut().filter(|seam| seam.free > 0).collect();
    let mut rest = Vec::new();
    for resource in loose {
        match open.iter().position(|seam| seam.free >= resource.bytes) {
            None => rest.push(resource),
            Some(at) => {
                open[at].free -= resource.bytes;
                open[at].filled.push(resource);
                // A seam that can take nothing any more isn't looked at again.
                if open[at].free < smallest {
                    open.remove(at);
                }
            }
        }
    }
    let in_pack_order =
        |loose: &Loose| (loose.pack, packs[loose.pack].resources[loose.resource].offset);
    for seam in seams {
        seam.filled.sort_by_key(in_pack_order);
    }
    rest.sort_by_key(in_pack_order);
    rest
}
