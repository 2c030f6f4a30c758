//! The blob table: resources lie inside the file, and the table is written the same.

use prestage_wim::blob_table;

/// Small enough that mutations often lie inside, large enough for real tables.
const FILE_BYTES: u64 = 1 << 40;

pub(super) fn check(input: &[u8]) {
    let Ok(blobs) = blob_table::parse(input, FILE_BYTES) else {
        return;
    };
    assert!(blobs.len() <= input.len() / blob_table::ENTRY_BYTES);
    for blob in &blobs {
        // Offsets of solid entries are offsets in a content.
        let inside = blob.resource.end().is_ok_and(|end| end <= FILE_BYTES);
        assert!(inside || blob.resource.solid);
    }
    let again = blob_table::parse(&blob_table::write(&blobs), FILE_BYTES);
    assert_eq!(again.ok(), Some(blobs), "written and read again");
}
