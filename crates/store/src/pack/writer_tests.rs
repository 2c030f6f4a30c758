//! Tests of the pack writer.

use std::fs::File;

use proptest::prelude::*;

use super::super::Sha1Digest;
use super::*;

fn sha1(bytes: &[u8]) -> Sha1Digest {
    Sha1::digest(bytes).into()
}

fn digests(chunk: &[u8]) -> ChunkDigests {
    ChunkDigests { sha1: sha1(chunk), blake3: blake3::hash(chunk).into() }
}

const LEAD: u64 = 208;

fn content(finished: &FinishedPack) -> Vec<u8> {
    let mut file = std::fs::read(finished.staged.file.path()).unwrap();
    file.split_off(LEAD as usize)
}

fn check(finished: &FinishedPack, expected: &[u8]) {
    assert!(content(finished) == expected, "the pack's bytes");
    assert_eq!(finished.bytes(), expected.len() as u64);
    let expected: Vec<_> = expected.chunks(CHUNK as usize).map(digests).collect();
    assert_eq!(finished.chunk_digests(), expected);
}

#[test]
fn chunks_are_hashed_in_passing_and_where_room_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = PackWriter::create(folder.path(), LEAD).unwrap();
    let mut expected = Vec::new();
    let body: Vec<u8> = (0..CHUNK as usize - 3).map(|n| (n % 251) as u8).collect();
    writer.append(&body).unwrap();
    expected.extend(&body);
    // Over the seam of two chunks.
    let room = writer.reserve(8).unwrap();
    assert_eq!(room.offset(), CHUNK - 3);
    expected.extend(b"chunktab");
    writer.append(&body).unwrap();
    expected.extend(&body);
    writer.append(&body).unwrap();
    expected.extend(&body);
    assert_eq!(writer.position(), expected.len() as u64);
    writer.fill(room, b"chunktab").unwrap();
    check(&writer.finish().unwrap(), &expected);
}

#[test]
fn a_source_is_copied_and_shown_in_one_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
    std::fs::write(&path, &body).unwrap();
    let mut source = File::open(&path).unwrap();
    source.seek(SeekFrom::Start(10)).unwrap();
    let mut writer = PackWriter::create(folder.path(), LEAD).unwrap();
    let mut seen = Sha1::new();
    writer.copy_from(&mut source, 2_999_980, |piece| seen.update(piece)).unwrap();
    let digest: Sha1Digest = seen.finalize().into();
    assert_eq!(digest, sha1(&body[10..2_999_990]));
    let ended = writer.copy_from(&mut source, 11, |_| {}).unwrap_err();
    assert!(matches!(ended, PackWriteError::SourceEnded { end: 10, wanted: 11 }));
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    for keep in [0, 5, CHUNK as usize, CHUNK as usize + 7] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::create(folder.path(), LEAD).unwrap();
        let kept: Vec<u8> = (0..keep).map(|n| (n % 253) as u8).collect();
        writer.append(&kept).unwrap();
        let _never_filled = writer.reserve(9).unwrap();
        writer.append(&vec![1; CHUNK as usize * 2]).unwrap();
        writer.rewind(keep as u64).unwrap();
        writer.append(b"instead").unwrap();
        check(&writer.finish().unwrap(), &[&kept[..], b"instead"].concat());
    }
}

#[test]
fn an_unfilled_or_ill_filled_reservation_stops_the_pack() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = PackWriter::create(folder.path(), LEAD).unwrap();
    let room = writer.reserve(4).unwrap();
    assert!(matches!(writer.fill(room, b"12345"), Err(PackWriteError::Fill { .. })));
    assert!(matches!(writer.finish(), Err(PackWriteError::Unfilled { offset: 0, reserved: 4 })));
}

#[test]
fn a_dropped_writer_or_pack_leaves_nothing_and_a_live_one_is_not_scrubbed() {
    let folder = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let mut writer = PackWriter::create(folder.path(), LEAD).unwrap();
    writer.append(b"x").unwrap();
    let scrubbed = crate::scrub::scrub_folder(folder.path(), std::time::SystemTime::now()).unwrap();
    assert_eq!((scrubbed.files, files()), (0, 1));
    drop(writer);
    assert_eq!(files(), 0);
    let finished = PackWriter::create(folder.path(), LEAD).unwrap().finish().unwrap();
    assert_eq!((finished.bytes(), finished.chunk_digests().len(), files()), (0, 0, 1));
    drop(finished);
    assert_eq!(files(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_order_of_appends_and_reservations_gives_the_same_pack(
        steps in prop::collection::vec((any::<bool>(), 0u64..6_000_000, any::<u8>()), 1..8)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::create(folder.path(), LEAD).unwrap();
        let (mut expected, mut rooms) = (Vec::new(), Vec::new());
        for (reserve, bytes, value) in steps {
            let body = vec![value; bytes as usize];
            if reserve {
                rooms.push((writer.reserve(bytes).unwrap(), body.clone()));
            } else {
                writer.append(&body).unwrap();
            }
            expected.extend(body);
        }
        for (room, body) in rooms.into_iter().rev() {
            writer.fill(room, &body).unwrap();
        }
        check(&writer.finish().unwrap(), &expected);
    }
}
