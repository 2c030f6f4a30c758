//! Time, passed in.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The time of day: for people and certificates.
    fn now(&self) -> OffsetDateTime;
    /// Time since some fixed moment that never jumps: for leases.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts counting.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
