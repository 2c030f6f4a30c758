//! Layouts in several volumes.

use super::*;

const MIB: u64 = 1024 * 1024;

fn room(volume: u64) -> VolumeRoom {
    VolumeRoom { volume, first_tail: 10_000, other_tail: 5_000, entry: 50 }
}

fn split(packs: &[LayoutPack], volume: u64) -> Layout {
    Layout::plan(packs, CopyRule::WholeChunks, Some(room(volume))).unwrap()
}

#[test]
fn a_medium_that_fits_is_one_volume_like_any_other() {
    let packs = [pack(1, &[3 * CHUNK + 7]), pack(2, &[10, 20])];
    assert_eq!(split(&packs, 40 * MIB), plan(&packs));
}

#[test]
fn a_pack_goes_on_in_the_next_volume_where_its_chunks_are_on_the_grid() {
    let layout = split(&[pack(1, &[7 * MIB; 300])], 1000 * MIB);
    let [first, second, third] = layout.volumes() else { panic!("{layout:?}") };
    // Another resource would leave no room for the tail.
    assert_eq!(first.payload_end(), HEADER_BYTES + 142 * 7 * MIB);
    // The next starts 4 MiB behind a chunk start, at 994 MiB.
    let place = layout.places(0)[142];
    assert_eq!(place, Place { volume: 1, offset: HEADER_BYTES + 4 * MIB });
    assert_eq!(second.padding(), 4 * MIB);
    let known = second.known_chunks()[0];
    assert_eq!((known.chunk, known.pack_chunk), (1, 100));
    assert_eq!(copies(second)[0], (0, 100 * CHUNK, chunk_start(1), 98 * CHUNK));
    assert_eq!(third.known_chunks()[0].pack_chunk, 199);
}

#[test]
fn loose_resources_fill_the_hole_in_front_of_a_piece() {
    let mut packs = vec![pack(1, &[7 * MIB; 30])];
    packs.extend((2..20).map(|name| pack(name, &[MIB])));
    let layout = split(&packs, 100 * MIB);
    let padding: u64 = layout.volumes().iter().map(Volume::padding).sum();
    assert!(padding < MIB, "{padding}");
    assert!((1..packs.len()).any(|pack| layout.places(pack)[0].volume == 1));
}

#[test]
fn a_later_pack_fills_the_volume_that_a_large_resource_left() {
    let packs = [pack(1, &[30 * MIB]), pack(2, &[90 * MIB]), pack(3, &[45 * MIB])];
    let layout = split(&packs, 100 * MIB);
    let volumes: Vec<_> = (0..3).map(|pack| layout.places(pack)[0].volume).collect();
    assert_eq!(volumes, [0, 1, 0]);
}

#[test]
fn a_resource_that_fits_nowhere_is_named_with_the_room() {
    let refused = |packs: &[LayoutPack], volume| {
        Layout::plan(packs, CopyRule::WholePieces, Some(room(volume))).unwrap_err()
    };
    let room = 20 * MIB - HEADER_BYTES - 5_000 - 50;
    let packs = [pack(1, &[room]), pack(2, &[5, room + 1])];
    let expected = LayoutError::LargeResource { pack: 1, resource: 1, bytes: room + 1, room };
    assert_eq!(refused(&packs, 20 * MIB), expected);
    assert_eq!(split(&packs[..1], 20 * MIB).volumes().len(), 2);
    let large = LayoutError::LargeTail { tail: HEADER_BYTES + 10_000, volume: 9_000 };
    assert_eq!(refused(&[], 9_000), large);
}

#[test]
fn a_medium_for_fat32_has_little_padding_too() {
    let packs = medium_of_five_gigabytes();
    let layout = Layout::plan(&packs, CopyRule::WholePieces, Some(room(3800 * MIB))).unwrap();
    assert_eq!(layout.volumes().len(), 2);
    let sum = |of: fn(&Volume) -> u64| layout.volumes().iter().map(of).sum::<u64>();
    assert!(sum(Volume::padding) < sum(Volume::payload_end) / 100);
    assert!(sum(glue_bytes) < sum(Volume::payload_end) / 20);
}
