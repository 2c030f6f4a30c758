//! Header, blob table and integrity table of a WIM.

use prestage_wim::{Blob, ResourceHeader, Sha1Hash, blob_table};

use super::Row;

pub(super) const BOMBS: &[Row] = &[
    ("wim_header", "numbers that are as large as they may be", 208, |n| {
        let mut header = b"MSWIM\0\0\0\xd0\0\0\0\0\x0d\x01\0".to_vec();
        header.resize(n, 0xff);
        header
    }),
    ("wim_blob_table", "entries that are all the same", 40_000, |n| {
        blob_table::write(&vec![blob(7, 100, false); n])
    }),
    ("wim_blob_table", "resources as large as they may be", 40_000, |n| {
        blob_table::write(&vec![blob(1 << 39, 1 << 38, false); n])
    }),
    ("wim_blob_table", "solid resources and contents by turns", 40_000, |n| {
        let entries = (0..n).map(|n| blob(n as u64, 1 << (32 * (n % 2)), n % 4 < 2));
        blob_table::write(&entries.collect::<Vec<_>>())
    }),
    ("wim_integrity", "chunks that are only claimed", 16, |n| {
        let says = [n as u32, u32::MAX, 1];
        says.iter().flat_map(|field| field.to_le_bytes()).collect()
    }),
    ("wim_integrity", "chunks of a byte", 100_000, |n| {
        let says = [(12 + 20 * n) as u32, n as u32, 1];
        let mut table: Vec<u8> = says.iter().flat_map(|field| field.to_le_bytes()).collect();
        table.resize(12 + 20 * n, 0);
        table
    }),
];

pub(super) fn blob(offset: u64, bytes: u64, solid: bool) -> Blob {
    let resource = ResourceHeader {
        offset,
        stored_bytes: bytes,
        original_bytes: bytes,
        solid,
        compressed: solid,
        ..ResourceHeader::default()
    };
    Blob { resource, references: 1, sha1: Sha1Hash([7; 20]), part: 1, solid: None }
}
