//! Telling content that can't shrink before time is spent on it.

/// Bits a byte, times 1024, above which a chunk is taken for compressed or encrypted data.
///
/// Deflate, LZX and JPEG bodies lie above 7.95 bits a byte; machine code and text lie below 7.
const ENTROPY_LIMIT_MILLIBITS: u64 = 7_950;

/// Whether `chunk` looks like compressed data, by the entropy of its byte histogram.
///
/// A pure function of the bytes, so that every worker decides alike. Chunks under 4 KiB are always
/// tried: their histogram says little.
pub fn cannot_shrink(chunk: &[u8]) -> bool {
    if chunk.len() < 4096 {
        return false;
    }
    // Four tables break the chain of dependent increments on runs of equal bytes.
    let mut counts = [[0u32; 256]; 4];
    let mut quads = chunk.chunks_exact(4);
    for quad in &mut quads {
        for (table, &byte) in counts.iter_mut().zip(quad) {
            table[byte as usize] += 1;
        }
    }
    for &byte in quads.remainder() {
        counts[0][byte as usize] += 1;
    }
    let total = chunk.len() as f64;
    let bits: f64 = (0..256)
        .map(|byte| counts.iter().map(|table| table[byte]).sum::<u32>())
        .filter(|&count| count > 0)
        .map(|count| f64::from(count) * (total / f64::from(count)).log2())
        .sum();
    (bits / total * 1000.0) as u64 >= ENTROPY_LIMIT_MILLIBITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_noise_from_text() {
        let mut state = 1u64;
        let noise: Vec<u8> = (0..32_768)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            })
            .collect();
        assert!(cannot_shrink(&noise));
        let text = b"The quick brown fox jumps over the lazy dog. ".repeat(800);
        assert!(!cannot_shrink(&text[..32_768]));
        assert!(!cannot_shrink(&noise[..100]), "short chunks are always tried");
    }
}
