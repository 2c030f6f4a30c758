//! PKCS#12: files that ask for work, and structures that nest.

use super::Row;

const DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SHA1: &[u8] = &[0x30, 9, 0x06, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];

pub(super) const BOMBS: &[Row] = &[
    ("pkcs12", "a password that is hashed two thousand million times", 4, |n| {
        file(&[], i32::MAX - n as i32)
    }),
    ("pkcs12", "sequences in sequences", 20_000, |n| {
        let mut inner = Vec::new();
        // The lengths grow inwards out, so the bytes would by the square: these are of no end.
        (0..n).for_each(|_| inner.extend([0x30, 0x80]));
        file(&inner, 1)
    }),
    ("pkcs12", "parts with nothing in them", 20_000, |n| {
        let part = tlv(0x30, &[DATA, &tlv(0xa0, &tlv(0x04, &tlv(0x30, &[])))].concat());
        file(&part.repeat(n / 10), 1)
    }),
    ("pkcs12", "a length that is only claimed", 4, |n| {
        let mut file = vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff];
        file.resize(64 * n, 0x30);
        file
    }),
];

/// A file with `parts`, whose seal is made with so many iterations.
fn file(parts: &[u8], iterations: i32) -> Vec<u8> {
    let safe = tlv(0x30, &[DATA, &tlv(0xa0, &tlv(0x04, &tlv(0x30, parts)))].concat());
    let digest = tlv(0x30, &[SHA1, &tlv(0x04, &[0; 20])].concat());
    let iterations = tlv(0x02, &iterations.to_be_bytes());
    let seal = tlv(0x30, &[&digest[..], &tlv(0x04, &[0; 8]), &iterations].concat());
    tlv(0x30, &[&tlv(0x02, &[3])[..], &safe, &seal].concat())
}

/// A value of ASN.1 in DER.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u32).to_be_bytes();
    let mut out = vec![tag];
    match value.len() {
        short @ 0..0x80 => out.push(short as u8),
        0x80..0x100 => out.extend([0x81, length[3]]),
        0x100..0x1_0000 => out.extend([&[0x82], &length[2..]].concat()),
        _ => out.extend([&[0x83], &length[1..]].concat()),
    }
    out.extend(value);
    out
}
