//! Numbers that are the same for a seed on every machine and with every compiler.

/// SplitMix64 (Steele, Lea and Flood 2014). Bytes of the sample depend on it, so it must never
/// change; a library's generator may between versions.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers for a thing by its name, independent of those for all other names.
    pub(crate) fn named(seed: u64, name: &str) -> Self {
        // FNV-1a, then one step to spread it over all bits.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(Self(hash ^ seed.rotate_left(17)).next())
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // The bias of the remainder is of no matter here.
        self.next() % limit
    }

    /// 16 bytes shaped as a random GUID.
    pub(crate) fn guid(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes[7] = bytes[7] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes
    }

    /// `size` shares of `total`, skewed as file sizes are: many small, few large; each at least 1.
    pub(crate) fn skewed_sizes(&mut self, size: usize, total: u64) -> Vec<u64> {
        let weights: Vec<u64> = (0..size)
            .map(|_| {
                let step = self.below(1000);
                1 + step * step * step / 1_000_000
            })
            .collect();
        let sum: u64 = weights.iter().sum();
        weights
            .iter()
            .map(|weight| (u128::from(total) * u128::from(*weight) / u128::from(sum.max(1))) as u64)
            .map(|bytes| bytes.max(1))
            .collect()
    }
}

/// A GUID as the registry writes it, upper case without braces.
pub(crate) fn guid_text(bytes: [u8; 16]) -> String {
    let part = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect::<String>();
    let reversed = |bytes: &[u8]| part(&bytes.iter().rev().copied().collect::<Vec<_>>());
    format!(
        "{}-{}-{}-{}-{}",
        reversed(&bytes[..4]),
        reversed(&bytes[4..6]),
        reversed(&bytes[6..8]),
        part(&bytes[8..10]),
        part(&bytes[10..])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The published first outputs for the seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn sizes_come_to_the_total() {
        let sizes = Random::new(5).skewed_sizes(300, 10_000_000);
        let sum: u64 = sizes.iter().sum();
        assert!((9_990_000..=10_000_300).contains(&sum), "{sum}");
        assert!(sizes.iter().max() > Some(&(3 * sum / 300)));
    }

    #[test]
    fn guids_have_their_shape() {
        let text = guid_text(Random::new(1).guid());
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'4');
        assert_eq!(
            guid_text([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
            "04030201-0605-0807-090A-0B0C0D0E0F10"
        );
    }
}
