//! The chunk grid of a medium.
//!
//! The integrity table of a WIM holds one SHA-1 for every 10 MiB, counted from the end of the
//! header (reference: the WIM format, integrity table). Packs that lie on this grid bring their
//! chunks' SHA-1s along, so the table is made without reading the medium again.

/// Bytes of the WIM header, which the integrity table doesn't cover; the grid starts behind it.
pub const HEADER_BYTES: u64 = 208;

/// Bytes of one chunk of the grid: 10 MiB.
pub const CHUNK: u64 = 10 * 1024 * 1024;

/// The offset in the medium, in bytes, at which chunk `number` (from 0) starts.
pub const fn chunk_start(number: u64) -> u64 {
    HEADER_BYTES + number * CHUNK
}

/// The last chunk start at or before `offset`; 0 for an offset inside the header.
pub const fn chunk_floor(offset: u64) -> u64 {
    if offset < HEADER_BYTES {
        return 0;
    }
    chunk_start((offset - HEADER_BYTES) / CHUNK)
}

/// How many whole chunks a pack of `bytes` has.
pub const fn whole_chunks(bytes: u64) -> u64 {
    bytes / CHUNK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_starts_behind_the_header() {
        assert_eq!(chunk_start(0), 208);
        assert_eq!(chunk_start(2), 208 + 20_971_520);
        assert_eq!(chunk_floor(207), 0);
        assert_eq!(chunk_floor(208), 208);
        assert_eq!(chunk_floor(chunk_start(3) - 1), chunk_start(2));
        assert_eq!(whole_chunks(CHUNK - 1), 0);
        assert_eq!(whole_chunks(2 * CHUNK), 2);
    }
}
