//! Telling content that can't shrink before time is spent on it.

/// Entropy of a byte in 1/1000 bit, above which a chunk is taken for compressed or encrypted data.
///
/// Deflate, LZX and JPEG bodies lie above 7.95 bits a byte; machine code and text lie below 7.
const ENTROPY_LIMIT_MILLIBITS: u64 = 7_950;

/// The same of a sample, below which the rest of the chunk need not be looked at. Noise comes to
/// 7,977 in a sample of 8 KiB; a chunk of which a part is text is worth trying.
const SAMPLE_LIMIT_MILLIBITS: u64 = 7_400;

/// The sample is so many slices of so many bytes.
const SLICES: usize = 8;
const SLICE_BYTES: usize = 1024;

/// Whether `chunk` looks like compressed data, by the entropy of its byte histogram.
///
/// A pure function of the bytes, so that every worker decides alike. Chunks under 4 KiB are always
/// tried: their histogram says little.
pub fn cannot_shrink(chunk: &[u8]) -> bool {
    if chunk.len() < 4096 {
        return false;
    }
    if chunk.len() > SLICES * SLICE_BYTES {
        let mut sample = Histogram::default();
        for part in chunk.chunks_exact(chunk.len() / SLICES) {
            sample.count(&part[..SLICE_BYTES]);
        }
        if sample.millibits() < SAMPLE_LIMIT_MILLIBITS {
            return false;
        }
    }
    let mut whole = Histogram::default();
    whole.count(chunk);
    whole.millibits() >= ENTROPY_LIMIT_MILLIBITS
}

/// How often each byte occurs. Four tables break the chain of dependent increments on runs of equal
/// bytes.
struct Histogram {
    counts: [[u32; 256]; 4],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [[0; 256]; 4] }
    }
}

impl Histogram {
    fn count(&mut self, bytes: &[u8]) {
        let (quads, rest) = bytes.as_chunks::<4>();
        for quad in quads {
            for (table, &byte) in self.counts.iter_mut().zip(quad) {
                table[byte as usize] += 1;
            }
        }
        for &byte in rest {
            self.counts[0][byte as usize] += 1;
        }
    }

    /// The entropy of a byte, in 1/1000 bit.
    fn millibits(&self) -> u64 {
        let sums = (0..256).map(|byte| self.counts.iter().map(|table| table[byte]).sum::<u32>());
        let (mut total, mut weighted) = (0.0, 0.0);
        for count in sums.filter(|&count| count > 0).map(f64::from) {
            total += count;
            weighted += count * count.log2();
        }
        ((total.log2() - weighted / total) * 1000.0) as u64
    }
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
        for part in [4096, 8192, 8193, 20_000, 32_767] {
            assert!(cannot_shrink(&noise[..part]) || part < 5000, "{part} bytes of noise");
            assert!(!cannot_shrink(&text[..part]), "{part} bytes of text");
        }
        // A cabinet's end and a program's beginning in one chunk.
        let mixed = [&noise[..24_000], &text[..8_768]].concat();
        assert!(!cannot_shrink(&mixed));
    }

    /// Base64 and hexadecimal digits have six and four bits a byte: they shrink, however random.
    #[test]
    fn random_digits_are_tried() {
        let digits = |bits: u32| -> Vec<u8> {
            let mut state = 9u64;
            (0..32_768)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    b'0' + (state >> (64 - bits)) as u8
                })
                .collect()
        };
        assert!(!cannot_shrink(&digits(6)));
        assert!(!cannot_shrink(&digits(4)));
    }
}
