//! Tests of the layout.

mod properties;
mod split;

use super::*;
use crate::chunks::{CHUNK, chunk_start};
use crate::recipe::SegmentSource;

/// A pack whose resources of the given sizes lie back to back.
fn pack(name: u64, sizes: &[u64]) -> LayoutPack {
    let mut bytes = 0;
    let resources = sizes.iter().map(|&size| {
        let offset = bytes;
        bytes += size;
        Extent { offset, bytes: size }
    });
    let resources = resources.collect();
    LayoutPack { key: PackKey::of(&name.to_le_bytes()), bytes, resources }
}

/// A layout in one volume for a store that wants large parts.
fn plan(packs: &[LayoutPack]) -> Layout {
    Layout::plan(packs, CopyRule::WholeChunks, None).unwrap()
}

fn only(layout: &Layout) -> &Volume {
    assert_eq!(layout.volumes().len(), 1);
    &layout.volumes()[0]
}

/// Offsets of a pack's resources in the only volume.
fn offsets(layout: &Layout, pack: usize) -> Vec<u64> {
    only(layout);
    layout.places(pack).iter().map(|place| place.offset).collect()
}

/// The stretches that the store copies, as (pack, offset in it, offset in the volume, bytes).
fn copies(volume: &Volume) -> Vec<(usize, u64, u64, u64)> {
    let stretches = volume.stretches().iter().filter(|stretch| stretch.copied);
    stretches
        .filter_map(|stretch| match stretch.from {
            Origin::Pack { pack, offset } => {
                Some((pack, offset, stretch.dst_offset, stretch.bytes))
            }
            _ => None,
        })
        .collect()
}

fn glue_bytes(volume: &Volume) -> u64 {
    let glue = volume.stretches().iter().filter(|stretch| !stretch.copied);
    glue.map(|stretch| stretch.bytes).sum()
}

#[test]
fn nothing_but_a_header_is_a_layout_too() {
    let layout = plan(&[]);
    let volume = only(&layout);
    assert_eq!((volume.payload_end(), volume.padding()), (HEADER_BYTES, 0));
    let recipe = volume.recipe(50).unwrap();
    assert_eq!(recipe.segments().len(), 1);
    assert_eq!(recipe.total_bytes(), HEADER_BYTES + 50);
}

#[test]
fn small_packs_are_loose_and_follow_the_header() {
    let layout = plan(&[pack(1, &[10, 20]), pack(2, &[CHUNK - 1])]);
    assert_eq!(offsets(&layout, 0), [208, 218]);
    assert_eq!(offsets(&layout, 1), [238]);
    assert!(copies(only(&layout)).is_empty());
    assert!(only(&layout).known_chunks().is_empty());
}

#[test]
fn the_first_chunk_goes_with_the_header_and_the_rest_is_copied() {
    let layout = plan(&[pack(1, &[3 * CHUNK + 7])]);
    let volume = only(&layout);
    assert_eq!(copies(volume), [(0, CHUNK, HEADER_BYTES + CHUNK, 2 * CHUNK)]);
    assert_eq!(glue_bytes(volume), HEADER_BYTES + CHUNK + 7);
    let known: Vec<_> = volume.known_chunks().iter().map(|known| known.chunk).collect();
    assert_eq!(known, [0, 1, 2]);
    let recipe = volume.recipe(100).unwrap();
    let segments: Vec<_> = recipe.segments().iter().map(|s| (s.dst_offset, s.len)).collect();
    let end = chunk_start(3);
    assert_eq!(segments, [(0, 208 + CHUNK), (208 + CHUNK, 2 * CHUNK), (end, 7 + 100)]);
}

#[test]
fn a_store_of_parts_of_any_size_copies_packs_whole() {
    let packs = [pack(1, &[3 * CHUNK + 7]), pack(2, &[CHUNK - 9]), pack(3, &[2 * CHUNK + 1])];
    let layout = Layout::plan(&packs, CopyRule::WholePieces, None).unwrap();
    let volume = only(&layout);
    let second = chunk_start(4);
    let whole = [(0, 0, HEADER_BYTES, 3 * CHUNK + 7), (2, 0, second, 2 * CHUNK + 1)];
    assert_eq!(copies(volume), whole);
    // The header, the loose resource and the zeros.
    assert_eq!(glue_bytes(volume), HEADER_BYTES + CHUNK - 7);
    assert_eq!(volume.recipe(9).unwrap().segments().len(), 5);
}

#[test]
fn a_seam_takes_the_tail_then_the_largest_that_fit_then_zeros() {
    let packs = [
        pack(1, &[CHUNK, CHUNK / 2]),
        pack(2, &[CHUNK / 4, CHUNK / 2 - 5, 6]),
        pack(3, &[2 * CHUNK]),
    ];
    let layout = plan(&packs);
    let seam = chunk_start(1) + CHUNK / 2;
    // The half chunk but five bytes is the largest; then five bytes are left for nobody.
    assert_eq!(offsets(&layout, 1)[1], seam);
    assert_eq!(only(&layout).padding(), 5);
    assert_eq!(offsets(&layout, 2), [chunk_start(2)]);
    let end = chunk_start(4);
    assert_eq!(offsets(&layout, 1)[0], end);
    assert_eq!(offsets(&layout, 1)[2], end + CHUNK / 4);
    assert_eq!(only(&layout).payload_end(), end + CHUNK / 4 + 6);
}

#[test]
fn packs_of_whole_chunks_have_no_seam() {
    let layout = plan(&[pack(1, &[2 * CHUNK]), pack(2, &[CHUNK]), pack(3, &[5])]);
    assert_eq!(only(&layout).padding(), 0);
    assert_eq!(offsets(&layout, 1), [chunk_start(2)]);
    assert_eq!(offsets(&layout, 2), [chunk_start(3)]);
}

#[test]
fn an_extent_outside_its_pack_is_named() {
    let refused = |bad: LayoutPack| {
        let packs = [pack(0, &[1]), bad];
        Layout::plan(&packs, CopyRule::WholeChunks, None).unwrap_err()
    };
    let mut bad = pack(1, &[10, 20]);
    bad.resources[1].bytes = 21;
    let damaged = LayoutError::Damaged { pack: bad.key, resource: 1, bytes: 30 };
    assert_eq!(refused(bad.clone()), damaged);
    bad.resources[1] = Extent { offset: u64::MAX, bytes: 1 };
    assert_eq!(refused(bad.clone()), damaged);
    bad.resources[1] = Extent { offset: 9, bytes: 1 };
    assert_eq!(refused(bad), damaged);
}

#[test]
fn a_hundred_thousand_loose_resources_are_placed_at_once() {
    let small: Vec<_> = (0..100).map(|n| pack(n, &vec![5_000; 1000])).collect();
    let large = (100..1100).map(|n| pack(n, &[CHUNK + 1]));
    let packs: Vec<_> = small.into_iter().chain(large).collect();
    let layout = plan(&packs);
    let volume = only(&layout);
    // On the grid, each of the large packs would waste all but a byte of a chunk.
    assert!(volume.padding() <= volume.payload_end() / 100, "{}", volume.padding());
}

/// Sizes that don't divide a chunk, the same in every run.
fn drawn(seed: &mut u64, from: u64, below: u64) -> u64 {
    // A linear congruential generator; its upper bits are even enough for sizes.
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    from + (*seed >> 33) % (below - from)
}

/// Packs as a medium of 5 GB has them: an OS image, a boot image, drivers, applications, packages
/// of a few small files.
fn medium_of_five_gigabytes() -> Vec<LayoutPack> {
    let mut seed = 3;
    let mut sizes = |count: usize, from, below| -> Vec<u64> {
        (0..count).map(|_| drawn(&mut seed, from, below)).collect()
    };
    let mut packs = vec![sizes(60_000, 200, 110_000)];
    packs.push(vec![470_123_456]);
    packs.extend((0..12).map(|_| sizes(300, 1_000, 250_000)));
    packs.extend((0..25).map(|_| sizes(3, 1_000_000, 35_000_000)));
    packs.extend((0..60).map(|_| sizes(8, 100, 400_000)));
    (0..).zip(&packs).map(|(name, sizes)| pack(name, sizes)).collect()
}

#[test]
fn less_than_one_percent_of_a_real_medium_is_padding_and_nearly_all_is_copied() {
    let packs = medium_of_five_gigabytes();
    let layout = Layout::plan(&packs, CopyRule::WholePieces, None).unwrap();
    let volume = only(&layout);
    let share = |part: u64| part as f64 / volume.payload_end() as f64;
    assert!(volume.payload_end() > 4_800_000_000, "{}", volume.payload_end());
    assert!(share(volume.padding()) < 0.01, "{}", share(volume.padding()));
    assert!(share(glue_bytes(volume)) < 0.05, "{}", share(glue_bytes(volume)));
}

/// Few packs of middling size: their seams would be a few per cent of the medium, and hardly
/// anything is loose by itself.
#[test]
fn only_what_fills_the_seams_is_loosened() {
    let mut seed = 7;
    let mut sizes = |count: usize, from, below| -> Vec<u64> {
        (0..count).map(|_| drawn(&mut seed, from, below)).collect()
    };
    let mut packs = vec![sizes(9_000, 200, 140_000)];
    packs.extend((0..10).map(|_| sizes(8, 2_000_000, 18_000_000)));
    let packs: Vec<_> = (0..).zip(&packs).map(|(name, sizes)| pack(name, sizes)).collect();
    let layout = Layout::plan(&packs, CopyRule::WholePieces, None).unwrap();
    let volume = only(&layout);
    let waste: u64 = packs.iter().map(|pack| CHUNK - pack.bytes % CHUNK).sum();
    assert!(waste > volume.payload_end() / 50, "the packs waste little by themselves");
    assert!(volume.padding() <= volume.payload_end() / 100, "{}", volume.padding());
    assert!(glue_bytes(volume) < waste * 11 / 10, "{} of {waste}", glue_bytes(volume));
}
