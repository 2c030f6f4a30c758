//! How long tasks take, and which leases take far longer than their like.

use std::{collections::HashMap, time::Duration};

/// How much of the average the newest measurement is.
const NEWEST: f64 = 0.2;
/// Nothing is said before so many tasks of a kind were measured.
const MEASURED_MIN: u32 = 5;
/// What a task takes besides its bytes, in bytes.
const FIXED_BYTES: f64 = 4e6;

/// The pace of each kind of task.
#[derive(Clone, Debug, Default)]
pub(super) struct Paces {
    kinds: HashMap<String, Pace>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    measured: u32,
    seconds_a_byte: f64,
}

impl Paces {
    /// A task of `bytes` took `took`.
    pub fn note(&mut self, kind: &str, bytes: u64, took: Duration) {
        let pace = self.kinds.entry(kind.to_owned()).or_default();
        let measured = took.as_secs_f64() / (bytes as f64 + FIXED_BYTES);
        let newest = if pace.measured == 0 { 1.0 } else { NEWEST };
        pace.seconds_a_byte += (measured - pace.seconds_a_byte) * newest;
        pace.measured = pace.measured.saturating_add(1);
    }

    /// How long a task of this kind takes, as far as is known.
    pub fn expected(&self, kind: &str, bytes: u64) -> Option<Duration> {
        let pace = self.kinds.get(kind).filter(|pace| pace.measured >= MEASURED_MIN)?;
        Duration::try_from_secs_f64(pace.seconds_a_byte * (bytes as f64 + FIXED_BYTES)).ok()
    }

    /// Whether a lease that has run for `ran` and done `done` of `bytes` would be overtaken by one
    /// that begins now: it has run for several times the expected time, and what is left for it at
    /// its pace is longer than all of it anew.
    pub fn is_straggler(&self, kind: &str, bytes: u64, done: u64, ran: Duration) -> bool {
        let Some(expected) = self.expected(kind, bytes) else {
            return false;
        };
        if ran < expected.saturating_mul(TIMES_EXPECTED) {
            return false;
        }
        let share = done as f64 / bytes.max(1) as f64;
        let left = ran.as_secs_f64() * (1.0 - share) / share.max(0.001);
        left > expected.as_secs_f64() * f64::from(LEFT_TIMES_EXPECTED)
    }
}

const TIMES_EXPECTED: u32 = 3;
const LEFT_TIMES_EXPECTED: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_lease_far_behind_its_like_is_a_straggler() {
        let mut paces = Paces::default();
        assert_eq!(paces.expected("encode", MIB), None);
        for _ in 0..MEASURED_MIN {
            paces.note("encode", 100 * MIB, Duration::from_secs(10));
        }
        let expected = paces.expected("encode", 100 * MIB).unwrap();
        assert!((9.9..10.1).contains(&expected.as_secs_f64()), "{expected:?}");
        let straggles = |done, ran| {
            paces.is_straggler("encode", 100 * MIB, done * MIB, Duration::from_secs(ran))
        };
        assert!(!straggles(0, 20), "not yet");
        assert!(straggles(0, 31));
        assert!(straggles(20, 31));
        assert!(!straggles(90, 31), "it is nearly done");
        assert!(!paces.is_straggler("merge", MIB, 0, Duration::from_secs(1000)), "unknown");
    }
}
