//! Tests of the layout.

use proptest::prelude::*;

use super::*;
use crate::chunks::chunk_start;

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

#[test]
fn nothing_but_a_header_is_a_layout_too() {
    let layout = Layout::plan(&[]).unwrap();
    assert_eq!((layout.payload_end(), layout.padding()), (HEADER_BYTES, 0));
    let recipe = layout.recipe(50).unwrap();
    assert_eq!(recipe.segments().len(), 1);
    assert_eq!(recipe.total_bytes(), HEADER_BYTES + 50);
}

#[test]
fn small_packs_are_loose_and_follow_the_header() {
    let layout = Layout::plan(&[pack(1, &[10, 20]), pack(2, &[CHUNK - 1])]).unwrap();
    assert_eq!(layout.offsets(0), [208, 218]);
    assert_eq!(layout.offsets(1), [238]);
    assert_eq!((layout.base(0), layout.base(1)), (None, None));
    assert!(layout.copies().is_empty());
    assert_eq!(layout.known_chunks().count(), 0);
}

#[test]
fn the_first_chunk_goes_with_the_header_and_the_rest_is_copied() {
    let layout = Layout::plan(&[pack(1, &[3 * CHUNK + 7])]).unwrap();
    let copy = PackCopy {
        pack: 0,
        pack_offset: CHUNK,
        dst_offset: HEADER_BYTES + CHUNK,
        bytes: 2 * CHUNK,
    };
    assert_eq!(layout.copies(), [copy]);
    assert_eq!(layout.glue_bytes(), HEADER_BYTES + CHUNK + 7);
    let known: Vec<_> = layout.known_chunks().map(|known| known.chunk).collect();
    assert_eq!(known, [0, 1, 2]);
    let recipe = layout.recipe(100).unwrap();
    let glue: Vec<_> = recipe.segments().iter().map(|s| (s.dst_offset, s.len)).collect();
    let end = chunk_start(3);
    assert_eq!(glue, [(0, 208 + CHUNK), (208 + CHUNK, 2 * CHUNK), (end, 7 + 100)]);
}

#[test]
fn a_seam_takes_the_tail_then_the_largest_that_fit_then_zeros() {
    let packs = [
        pack(1, &[CHUNK, CHUNK / 2]),
        pack(2, &[CHUNK / 4, CHUNK / 2 - 5, 6]),
        pack(3, &[2 * CHUNK]),
    ];
    let layout = Layout::plan(&packs).unwrap();
    let seam = chunk_start(1) + CHUNK / 2;
    // The half chunk but five bytes is the largest; then five bytes are left for nobody.
    assert_eq!(layout.offsets(1)[1], seam);
    assert_eq!(layout.padding(), 5);
    assert_eq!(layout.base(2), Some(chunk_start(2)));
    let end = chunk_start(4);
    assert_eq!(layout.offsets(1)[0], end);
    assert_eq!(layout.offsets(1)[2], end + CHUNK / 4);
    assert_eq!(layout.payload_end(), end + CHUNK / 4 + 6);
}

#[test]
fn packs_of_whole_chunks_have_no_seam() {
    let packs = [pack(1, &[2 * CHUNK]), pack(2, &[CHUNK]), pack(3, &[5])];
    let layout = Layout::plan(&packs).unwrap();
    assert_eq!(layout.padding(), 0);
    assert_eq!(layout.offsets(1), [chunk_start(2)]);
    assert_eq!(layout.offsets(2), [chunk_start(3)]);
}

#[test]
fn an_extent_outside_its_pack_is_named() {
    let mut bad = pack(1, &[10, 20]);
    bad.resources[1].bytes = 21;
    let error = Layout::plan(&[pack(0, &[1]), bad.clone()]).unwrap_err();
    assert_eq!((error.pack, error.resource), (bad.key, 1));
    bad.resources[1] = Extent { offset: u64::MAX, bytes: 1 };
    assert!(Layout::plan(&[bad]).is_err());
}

#[test]
fn a_hundred_thousand_loose_resources_are_placed_at_once() {
    let small: Vec<_> = (0..100).map(|n| pack(n, &vec![5_000; 1000])).collect();
    let large = (100..1100).map(|n| pack(n, &[CHUNK + 1]));
    let packs: Vec<_> = small.into_iter().chain(large).collect();
    let layout = Layout::plan(&packs).unwrap();
    // On the grid, each of the large packs would waste all but a byte of a chunk.
    assert!(layout.padding() <= layout.payload_end() / 100, "{}", layout.padding());
}

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let size = prop_oneof![
        4 => 1u64..5_000_000,
        1 => Just(CHUNK),
        1 => CHUNK..3 * CHUNK,
        1 => 1u64..100,
    ];
    prop::collection::vec(size, 1..12)
}

/// Every byte range that something claims, as (start, end).
fn claims(layout: &Layout) -> Vec<(u64, u64)> {
    let copies = layout.copies().iter().map(|copy| (copy.dst_offset, copy.bytes));
    let glue = layout.glue().iter().map(|piece| (piece.dst_offset, piece.bytes));
    let mut claims: Vec<_> = copies.chain(glue).map(|(at, len)| (at, at + len)).collect();
    claims.sort_unstable();
    claims
}

/// Which pack and which offset in it the byte `at` of the medium is.
fn origin(layout: &Layout, at: u64) -> Option<(usize, u64)> {
    let copy = layout.copies().iter().find_map(|copy| {
        let within = at.checked_sub(copy.dst_offset)?;
        (within < copy.bytes).then_some((copy.pack, copy.pack_offset + within))
    });
    copy.or_else(|| {
        layout.glue().iter().find_map(|piece| {
            let within = at.checked_sub(piece.dst_offset)?;
            match piece.from {
                GlueSource::Pack { pack, offset } if within < piece.bytes => {
                    Some((pack, offset + within))
                }
                _ => None,
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_layout_tiles_and_puts_every_resource_where_it_says(
        input in prop::collection::vec(sizes(), 0..10),
        tail in 0u64..100_000,
    ) {
        let packs: Vec<_> = (0..).zip(&input).map(|(name, sizes)| pack(name, sizes)).collect();
        let layout = Layout::plan(&packs).unwrap();
        prop_assert_eq!(&layout, &Layout::plan(&packs).unwrap());

        // The claims tile the payload: no overlap, no gap.
        let mut end = 0;
        for (from, to) in claims(&layout) {
            prop_assert_eq!(from, end);
            prop_assert!(to > from);
            end = to;
        }
        prop_assert_eq!(end, layout.payload_end());

        // Every resource, first to last byte, comes from its own place in its pack.
        for (number, pack) in packs.iter().enumerate() {
            for (extent, &offset) in pack.resources.iter().zip(layout.offsets(number)) {
                for within in [0, extent.bytes / 2, extent.bytes - 1] {
                    let expected = Some((number, extent.offset + within));
                    prop_assert_eq!(origin(&layout, offset + within), expected);
                }
            }
        }

        // Nothing is there twice: what isn't a resource, the header or the tail is padding.
        let resources: u64 = packs.iter().map(|pack| pack.bytes).sum();
        prop_assert_eq!(layout.payload_end(), HEADER_BYTES + resources + layout.padding());

        for copy in layout.copies() {
            prop_assert_eq!((copy.dst_offset - HEADER_BYTES) % CHUNK, 0);
            prop_assert_eq!((copy.pack_offset % CHUNK, copy.bytes % CHUNK), (0, 0));
        }
        for known in layout.known_chunks() {
            let expected = Some((known.pack, known.pack_chunk * CHUNK));
            prop_assert_eq!(origin(&layout, chunk_start(known.chunk)), expected);
        }

        // The recipe tiles too, and its glue is read from front to back without a gap.
        let recipe = layout.recipe(tail).unwrap();
        let glue: u64 = recipe.segments().iter()
            .filter(|segment| matches!(segment.source, SegmentSource::Glue { .. }))
            .map(|segment| segment.len)
            .sum();
        prop_assert_eq!(glue, layout.glue_bytes() + tail);
        prop_assert_eq!(recipe.total_bytes(), layout.payload_end() + tail);
    }
}
