//! The boot store's hive. It is written by us alone, so the input says what is written.

use super::Row;

pub(super) const BOMBS: &[Row] = &[
    ("bcd_hive", "as much of everything as a tree takes", 100_000, |n| vec![0xff; n]),
    ("bcd_hive", "keys in keys", 100_000, |n| [0x41, 0x05, 0x01].repeat(n / 3)),
    ("bcd_hive", "nothing at all", 100_000, |n| vec![0; n]),
];
