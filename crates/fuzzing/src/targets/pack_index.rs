//! The index of a pack: as an object, or (when the input is none) as the message inside one, so
//! that mutations need not pass the compression. What is accepted is written and read the same.

use prestage_store::{PackIndex, pack::PackContents};

const MAGIC: &[u8] = b"PRSTPKIX";

pub(super) fn check(input: &[u8]) {
    let object = if input.starts_with(MAGIC) { input.to_vec() } else { wrapped(input) };
    let Ok(index) = PackIndex::decode("fuzz", &object) else {
        return;
    };
    for entry in index.resources() {
        assert!(entry.offset + entry.stored_bytes <= index.pack_bytes());
        if let Some(sha256) = &entry.sha256 {
            let found = index.lookup_sha256(sha256).and_then(|(_, found)| found.sha256);
            assert_eq!(found.as_ref(), Some(sha256), "found by its content");
        }
    }
    let again = index.encode("fuzz").and_then(|object| PackIndex::decode("fuzz", &object));
    assert_eq!(again.as_ref(), Ok(&index), "written and read again");
}

fn wrapped(message: &[u8]) -> Vec<u8> {
    let body = zstd::bulk::compress(message, 1).unwrap_or_default();
    let empty = PackIndex::new("fuzz", PackContents::default());
    let mut object = match empty.and_then(|index| index.encode("fuzz")) {
        // Magic and version.
        Ok(object) => object[..12].to_vec(),
        Err(error) => panic!("an empty index is refused: {error}"),
    };
    object.extend((message.len() as u64).to_le_bytes());
    object.extend(body);
    object
}
