//! One resource: chunk table and chunks of every format and chunk size, without the structures
//! around it. The first 8 bytes of the input choose those.

use bytes::Bytes;
use prestage_wim::{ResourceHeader, codec::Format, resource::ResourceReader};

use super::wim_file::{Memory, runtime};

/// More content than this is only claimed by a table that is mostly noise.
const CONTENT_BYTES_MAX: u64 = 4 << 20;
/// What the reader hands out at a time, unless a chunk has more.
const PIECE_BYTES_MAX: u32 = 4 << 20;

pub(super) fn check(input: &[u8]) {
    let Some((choices, stored)) = input.split_first_chunk::<8>() else {
        return;
    };
    let [kind, exponent, a, b, c, d, _, _] = *choices;
    let format = match kind % 4 {
        0 => Some(Format::Lzx),
        1 => Some(Format::Xpress),
        2 => Some(Format::Lzms),
        _ => None,
    };
    let chunk_bytes = 1u32 << (12 + exponent % 14);
    let resource = ResourceHeader {
        stored_bytes: stored.len() as u64,
        original_bytes: u64::from(u32::from_le_bytes([a, b, c, d])),
        compressed: kind & 0x80 == 0,
        ..ResourceHeader::default()
    };
    if resource.original_bytes <= CONTENT_BYTES_MAX {
        let source = Memory(Bytes::copy_from_slice(stored));
        runtime().block_on(read(&source, resource, format, chunk_bytes));
    }
}

async fn read(source: &Memory, resource: ResourceHeader, format: Option<Format>, chunk_bytes: u32) {
    let Ok(mut reader) = ResourceReader::open(source, resource, format, chunk_bytes).await else {
        return;
    };
    let mut content_bytes = 0;
    loop {
        match reader.next().await {
            Ok(Some(piece)) => {
                let longest = PIECE_BYTES_MAX.max(chunk_bytes) as usize;
                assert!(piece.len() <= longest, "a piece of {} bytes", piece.len());
                content_bytes += piece.len() as u64;
            }
            Ok(None) => break assert_eq!(content_bytes, resource.original_bytes),
            Err(_) => break assert!(content_bytes <= resource.original_bytes),
        }
    }
}
