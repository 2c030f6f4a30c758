//! Chunk tables, and the choice between compressed and plain.

use super::window::WINDOW_BYTES;
use crate::resource::{table_entries, table_entry_bytes};

/// The table of a resource of `original` bytes whose chunks have these stored sizes: the offset of
/// every chunk but the first from the table's end.
pub(super) fn table_bytes(sizes: impl Iterator<Item = u32>, original: u64) -> Vec<u8> {
    let entry = table_entry_bytes(original) as usize;
    let mut table = Vec::new();
    let mut end = 0u64;
    let mut sizes = sizes.peekable();
    while let Some(size) = sizes.next() {
        end += u64::from(size);
        if sizes.peek().is_some() {
            table.extend_from_slice(&end.to_le_bytes()[..entry]);
        }
    }
    table
}

/// Bytes of that table.
pub(super) fn table_length(original: u64, chunk_bytes: u32) -> u64 {
    table_entries(original, chunk_bytes) * table_entry_bytes(original)
}

/// Whether a file is stored compressed, by the stored sizes of all its chunks.
///
/// It must come out smaller: readers take a resource of equal size for a plain one. And a file that
/// is larger than a window must shrink somewhere in its first window: what does not (CAB, ISO, a
/// nested WIM) is stored plain throughout, so that its remainder need not be tried.
pub(super) fn is_worth_compressing(original: u64, chunk_bytes: u32, sizes: &[u32]) -> bool {
    let stored: u64 = sizes.iter().map(|&size| u64::from(size)).sum();
    if original > WINDOW_BYTES as u64 {
        let first = WINDOW_BYTES / chunk_bytes as usize;
        if !sizes.iter().take(first).any(|&size| size < chunk_bytes) {
            return false;
        }
    }
    table_length(original, chunk_bytes) + stored < original
}
