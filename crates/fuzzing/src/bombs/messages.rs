//! Messages of other processes: pack indexes, recipes, upload tokens.

use super::{Row, text};

const MIB: usize = 1 << 20;

pub(super) const BOMBS: &[Row] = &[
    ("pack_index", "zeros that unpack to all that is believed", 64 * MIB, |n| {
        index(&vec![0; n], n as u64)
    }),
    ("pack_index", "zeros that say that they are few", 64 * MIB, |n| index(&vec![0; n], 1)),
    ("pack_index", "a length that is only claimed", 4, |n| index(&[], u64::MAX >> n)),
    // Field 8, a packed list of numbers that each take one byte.
    ("pack_index", "numbers of a byte each", MIB, |n| packed(0x42, n)),
    ("pack_index", "numbers one by one", 400_000, |n| [0x40, 0x00].repeat(n)),
    ("pack_index", "an unknown group in groups", 100_000, |n| vec![0x7b; n]),
    // Field 13, a map entry with nothing in it.
    ("pack_index", "entries of a map that are all the same", 200_000, |n| [0x6a, 0x00].repeat(n)),
    // Field 3, a segment with nothing in it.
    ("recipe", "segments with nothing in them", 200_000, |n| [0x1a, 0x00].repeat(n)),
    ("recipe", "an unknown group in groups", 100_000, |n| vec![0x7b; n]),
    ("recipe", "as many bytes as there are numbers", 4, |_| {
        // Version 1, 2^63 bytes, one segment of them from the glue.
        let all = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let segment = [&[0x10][..], &all].concat();
        [&[0x08, 0x01, 0x10][..], &all, &[0x1a, segment.len() as u8], &segment].concat()
    }),
    ("recipe", "segments of a byte that tile a medium", 60_000, |n| {
        let mut recipe = vec![0x08, 0x01, 0x10];
        varint(&mut recipe, n as u64);
        for at in 0..n as u64 {
            let mut segment = vec![0x08];
            varint(&mut segment, at);
            segment.extend([0x10, 0x01, 0x20]);
            varint(&mut segment, at * 2);
            recipe.extend([0x1a, segment.len() as u8]);
            recipe.extend(segment);
        }
        recipe
    }),
    ("upload_token", "lists in lists", 100_000, |n| super::nested("", "[", n, "]", "")),
    ("upload_token", "lists in a token", 100_000, |n| {
        super::nested("{\"output\":", "[", n, "]", "}")
    }),
    ("upload_token", "fields", 60_000, |n| text("s3 ", n, |n| format!("f{n} "), "")),
];

fn index(message: &[u8], says: u64) -> Vec<u8> {
    let body = zstd::bulk::compress(message, 19).unwrap_or_default();
    [b"PRSTPKIX", &2u32.to_le_bytes()[..], &says.to_le_bytes(), &body].concat()
}

fn packed(tag: u8, count: usize) -> Vec<u8> {
    let mut message = vec![tag];
    varint(&mut message, count as u64);
    message.resize(message.len() + count, 0);
    message
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
