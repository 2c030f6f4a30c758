//! Which resources stay where their pack has them, and which are placed one by one.

use super::LayoutPack;
use crate::chunks::{CHUNK, whole_chunks};

/// For each pack, how many of its resources are aligned: the first ones. The others are loose.
#[derive(Debug)]
pub(super) struct Aligned(Vec<usize>);

impl Aligned {
    /// All resources of packs that have a whole chunk.
    pub fn all(packs: &[LayoutPack]) -> Self {
        let count = |pack: &LayoutPack| match whole_chunks(pack.bytes) {
            0 => 0,
            _ => pack.resources.len(),
        };
        Self(packs.iter().map(count).collect())
    }

    /// How many resources of pack `pack` are aligned.
    pub fn count(&self, pack: usize) -> usize {
        self.0[pack]
    }

    /// Makes resources loose until these are `bytes`: the last ones of the pack whose resources are
    /// the smallest, for they fill seams best; then of the next such pack.
    pub fn loosen(&mut self, packs: &[LayoutPack], bytes: u64) {
        let mut left = bytes;
        while left > 0
            && let Some(pack) = self.finest(packs)
        {
            left = left.saturating_sub(self.loosen_last(pack, &packs[pack], left));
        }
    }

    /// The aligned pack with the smallest resources.
    fn finest(&self, packs: &[LayoutPack]) -> Option<usize> {
        let aligned = (0..packs.len()).filter(|&pack| self.0[pack] > 0);
        aligned.min_by_key(|&pack| {
            let resources = packs[pack].resources.len() as u64;
            (packs[pack].bytes / resources, pack)
        })
    }

    /// Loosens the last resources of one pack; all of them, if no whole chunk would be left. Gives
    /// their bytes.
    fn loosen_last(&mut self, number: usize, pack: &LayoutPack, bytes: u64) -> u64 {
        let mut loosened = 0;
        let count = &mut self.0[number];
        while *count > 0 && loosened < bytes {
            *count -= 1;
            loosened += pack.resources[*count].bytes;
        }
        let end = count.checked_sub(1).map_or(0, |last| pack.resources[last].end());
        if end < CHUNK {
            loosened += pack.resources[..*count].iter().map(|extent| extent.bytes).sum::<u64>();
            *count = 0;
        }
        loosened
    }
}
