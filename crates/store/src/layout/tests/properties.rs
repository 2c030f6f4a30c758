//! What holds of every layout.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Input {
    packs: Vec<LayoutPack>,
    copy_rule: CopyRule,
    room: Option<VolumeRoom>,
}

fn sizes(scale: u64) -> impl Strategy<Value = Vec<u64>> {
    let size = prop_oneof![
        4 => 1u64..5_000_000,
        1 => Just(CHUNK),
        1 => CHUNK..3 * CHUNK,
        1 => 1u64..100,
    ];
    prop::collection::vec(size.prop_map(move |size| size * scale), 1..12)
}

fn room(scale: u64) -> impl Strategy<Value = VolumeRoom> {
    let room = (3 * CHUNK + 100_000..20 * CHUNK, 0u64..40_000, 0u64..40_000, 0u64..60);
    room.prop_map(move |(volume, first_tail, other_tail, entry)| VolumeRoom {
        volume: volume * scale,
        first_tail,
        other_tail,
        entry,
    })
}

/// Media of few chunks, in which a hole is a large share, and of many.
fn input() -> impl Strategy<Value = Input> {
    let scale = prop_oneof![Just(1), Just(41)];
    scale.prop_flat_map(|scale| {
        let packs = prop::collection::vec(sizes(scale), 0..10);
        let copy_rule = prop_oneof![Just(CopyRule::WholeChunks), Just(CopyRule::WholePieces)];
        (packs, copy_rule, prop::option::of(room(scale))).prop_map(|(sizes, copy_rule, room)| {
            let packs = (0..).zip(&sizes).map(|(name, sizes)| pack(name, sizes)).collect();
            Input { packs, copy_rule, room }
        })
    })
}

/// Which pack and which offset in it the byte `at` of a volume is.
fn origin(volume: &Volume, at: u64) -> Option<(usize, u64)> {
    let behind = volume.stretches().partition_point(|stretch| stretch.dst_offset <= at);
    let stretch = volume.stretches()[behind - 1];
    match stretch.from {
        Origin::Pack { pack, offset } if at < stretch.dst_offset + stretch.bytes => {
            Some((pack, offset + (at - stretch.dst_offset)))
        }
        _ => None,
    }
}

/// The volume's bytes as they come together when a recipe is carried out: for each segment, what it
/// is, with bytes of glue named by where they come from.
fn content(volume: &Volume) -> Vec<(u64, Origin)> {
    let mut content: Vec<(u64, Origin)> = Vec::new();
    let mut end: Option<Stretch> = None;
    for stretch in volume.stretches() {
        let goes_on = |end: &Stretch| match (end.from, stretch.from) {
            (Origin::Pack { pack: a, offset }, Origin::Pack { pack: b, offset: next }) => {
                a == b && offset + end.bytes == next
            }
            _ => false,
        };
        if !end.as_ref().is_some_and(goes_on) {
            content.push((stretch.dst_offset, stretch.from));
        }
        end = Some(*stretch);
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_layout_tiles_and_puts_every_resource_where_it_says(
        Input { packs, copy_rule, room } in input(),
        tail in 0u64..100_000,
    ) {
        let layout = Layout::plan(&packs, copy_rule, room).unwrap();
        prop_assert_eq!(&layout, &Layout::plan(&packs, copy_rule, room).unwrap());

        for volume in layout.volumes() {
            // The stretches tile the payload: no overlap, no gap.
            let mut end = 0;
            for stretch in volume.stretches() {
                prop_assert_eq!(stretch.dst_offset, end);
                prop_assert!(stretch.bytes > 0);
                end += stretch.bytes;
            }
            prop_assert_eq!(end, volume.payload_end());

            // What an index knows is on the grid, and so is what S3 copies.
            for known in volume.known_chunks() {
                let expected = Some((known.pack, known.pack_chunk * CHUNK));
                prop_assert_eq!(origin(volume, chunk_start(known.chunk)), expected);
            }
            for (_, offset, dst_offset, bytes) in copies(volume) {
                prop_assert_eq!((dst_offset - HEADER_BYTES) % CHUNK, offset % CHUNK);
                if copy_rule == CopyRule::WholeChunks {
                    prop_assert_eq!((offset % CHUNK, bytes % CHUNK), (0, 0));
                }
            }

            // The recipe tiles too, and its glue is read from front to back without a gap.
            let recipe = volume.recipe(tail).unwrap();
            let mut glue = 0;
            for segment in recipe.segments() {
                if let SegmentSource::Glue { offset } = segment.source {
                    prop_assert_eq!(offset, glue);
                    glue += segment.len;
                }
            }
            prop_assert_eq!(glue, glue_bytes(volume) + tail);
            prop_assert_eq!(recipe.total_bytes(), volume.payload_end() + tail);
        }
    }

    #[test]
    fn each_resource_is_there_once_and_whole(
        Input { packs, copy_rule, room } in input(),
    ) {
        let layout = Layout::plan(&packs, copy_rule, room).unwrap();
        let mut resources = vec![0; layout.volumes().len()];
        for (number, pack) in packs.iter().enumerate() {
            for (extent, place) in pack.resources.iter().zip(layout.places(number)) {
                let volume = &layout.volumes()[place.volume];
                resources[place.volume] += 1;
                for within in [0, extent.bytes / 2, extent.bytes - 1] {
                    let expected = Some((number, extent.offset + within));
                    prop_assert_eq!(origin(volume, place.offset + within), expected);
                }
            }
        }

        // Nothing is there twice: what isn't a resource, a header or the tail is padding.
        let bytes: u64 = packs.iter().map(|pack| pack.bytes).sum();
        let sum = |of: fn(&Volume) -> u64| layout.volumes().iter().map(of).sum::<u64>();
        let headers = HEADER_BYTES * layout.volumes().len() as u64;
        prop_assert_eq!(sum(Volume::payload_end), headers + bytes + sum(Volume::padding));
        prop_assert!(sum(Volume::padding) <= sum(Volume::payload_end) / 100);

        // No volume is too large or empty, but the first may be.
        for (number, (volume, &resources)) in layout.volumes().iter().zip(&resources).enumerate() {
            prop_assert!(number == 0 || resources > 0);
            if let Some(room) = room {
                let tail = if number == 0 { room.first_tail } else { room.other_tail };
                prop_assert!(volume.payload_end() + tail + room.entry * resources <= room.volume);
            }
        }
    }

    #[test]
    fn what_is_copied_moves_no_byte(
        Input { packs, room, .. } in input(),
    ) {
        let chunks = Layout::plan(&packs, CopyRule::WholeChunks, room).unwrap();
        let pieces = Layout::plan(&packs, CopyRule::WholePieces, room).unwrap();
        prop_assert_eq!(chunks.volumes().len(), pieces.volumes().len());
        for (a, b) in chunks.volumes().iter().zip(pieces.volumes()) {
            prop_assert_eq!(content(a), content(b));
            prop_assert_eq!(a.known_chunks(), b.known_chunks());
            prop_assert!(glue_bytes(a) >= glue_bytes(b));
        }
    }
}
