//! How slow a source may be before it counts as one that can't be read.

use std::{fmt, time::Duration};

/// The least progress that a source must make. A line that is dead without saying so, and a server that
/// gives ten bytes a second, would otherwise hold a build up for ever while another source has all of it.
///
/// Only time in which the source is waited for counts: not that of limits, compression or full budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// So many bytes at least …
    pub bytes: u64,
    /// … in so much time of waiting.
    pub within: Duration,
}

impl Default for Floor {
    /// 64 KiB in 30 seconds: a tenth of an ISDN line.
    fn default() -> Self {
        Self { bytes: 64 << 10, within: Duration::from_secs(30) }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kib, seconds) = (self.bytes.div_ceil(1024), self.within.as_secs_f32());
        write!(f, "less than {kib} KiB came in {seconds} seconds")
    }
}

/// The progress of one read, held against a floor.
#[derive(Debug)]
pub(crate) struct Patience {
    floor: Floor,
    waited: Duration,
    bytes: u64,
}

impl Patience {
    pub(crate) fn new(floor: Floor) -> Self {
        Self { floor, waited: Duration::ZERO, bytes: 0 }
    }

    /// How much longer the next bytes may take.
    pub(crate) fn left(&self) -> Duration {
        self.floor.within.saturating_sub(self.waited)
    }

    /// `bytes` came when they had been waited for so long.
    pub(crate) fn came(&mut self, bytes: u64, waited: Duration) {
        self.bytes += bytes;
        self.waited += waited;
        if self.bytes >= self.floor.bytes {
            (self.bytes, self.waited) = (0, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_enough_renew_the_patience() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(Floor { bytes: 100, within: 10 * second });
        for _ in 0..9 {
            patience.came(10, second);
        }
        assert_eq!(patience.left(), second, "ten bytes a second are too few");
        patience.came(10, Duration::ZERO);
        assert_eq!(patience.left(), 10 * second);
        patience.came(1, 20 * second);
        assert_eq!(patience.left(), Duration::ZERO);
    }

    #[test]
    fn people_are_told_in_kib_and_seconds() {
        assert_eq!(Floor::default().to_string(), "less than 64 KiB came in 30 seconds");
    }
}
