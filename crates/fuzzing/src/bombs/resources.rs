//! Compressed resources.

use super::Row;

const MIB: usize = 1 << 20;
/// Chunks of 32 KiB (2^12 << 3), of content as large as the target reads.
const CHUNK: u8 = 3;

pub(super) const BOMBS: &[Row] = &[
    ("wim_resource", "LZX that is noise", 4 * MIB, |n| chunks(0, n, |stored| vec![0xa5; stored])),
    ("wim_resource", "XPRESS that is noise", 4 * MIB, |n| {
        chunks(1, n, |stored| vec![0xa5; stored])
    }),
    ("wim_resource", "LZMS that is noise", 4 * MIB, |n| chunks(2, n, |stored| vec![0xa5; stored])),
    ("wim_resource", "LZX of zeros", 4 * MIB, |n| chunks(0, n, |stored| vec![0; stored])),
    ("wim_resource", "XPRESS of zeros", 4 * MIB, |n| chunks(1, n, |stored| vec![0; stored])),
    ("wim_resource", "LZMS of zeros", 4 * MIB, |n| chunks(2, n, |stored| vec![0; stored])),
    ("wim_resource", "a table of chunks that are only claimed", 4 * MIB, |n| {
        let mut input = choices(0, 0, n);
        input.resize(64, 0xff);
        input
    }),
    ("wim_resource", "chunks with nothing in them", 4 * MIB, |n| {
        let mut input = choices(1, 0, n);
        input.resize(input.len() + n / 4096 * 4, 0);
        input
    }),
];

/// The target's choices: kind, exponent of the chunk size, content's bytes.
fn choices(kind: u8, exponent: u8, content: usize) -> Vec<u8> {
    let mut input = vec![kind, exponent];
    input.extend((content as u32).to_le_bytes());
    input.extend([0, 0]);
    input
}

/// A resource whose chunks have 64 stored bytes each.
fn chunks(kind: u8, content: usize, stored: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    const STORED: usize = 64;
    let mut input = choices(kind, CHUNK, content);
    let count = content.div_ceil(4096 << CHUNK);
    (1..count).for_each(|number| input.extend(((number * STORED) as u32).to_le_bytes()));
    (0..count).for_each(|_| input.extend(stored(STORED)));
    input
}
