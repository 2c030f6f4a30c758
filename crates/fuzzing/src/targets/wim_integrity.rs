//! The integrity table: its hashes are those of the input, and it is written the same.

use prestage_wim::integrity;

pub(super) fn check(input: &[u8]) {
    let Ok((chunk_bytes, hashes)) = integrity::parse(input) else {
        return;
    };
    assert!(chunk_bytes > 0 && hashes.len() * 20 <= input.len());
    if chunk_bytes == integrity::INTEGRITY_CHUNK_BYTES {
        assert_eq!(integrity::write(&hashes), input, "written again");
    }
}
