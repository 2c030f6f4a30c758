//! Little-endian fields in byte slices. Callers check lengths first.

/// Reads little-endian integers at an offset; panics if they lie outside, as slicing does.
pub trait Le {
    /// A fixed number of bytes.
    fn array_at<const N: usize>(&self, at: usize) -> [u8; N];
    /// A 16-bit integer.
    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array_at(at))
    }
    /// A 32-bit integer.
    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array_at(at))
    }
    /// A 64-bit integer.
    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array_at(at))
    }
}

impl Le for [u8] {
    fn array_at<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self[at..at + N]);
        out
    }
}

/// Writes `value` at an offset.
pub fn put(out: &mut [u8], at: usize, value: &[u8]) {
    out[at..at + value.len()].copy_from_slice(value);
}

/// UTF-16 code units of little-endian bytes.
pub fn utf16_units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Little-endian bytes of UTF-16 code units.
pub fn utf16_bytes(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}
