//! What all hosts of a simulation share: the time, the dice, and what has happened.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use prestage_coordinator::clock::Clock;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use crate::system;

/// The world of one run. Clones share it.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    millis: AtomicU64,
    dice: Mutex<StdRng>,
    trace: Mutex<Trace>,
    broken: Mutex<Vec<String>>,
}

/// What has happened, in order.
struct Trace {
    lines: u64,
    digest: Sha256,
    /// Whether it is printed too.
    shown: bool,
}

/// A promise that was not kept.
#[macro_export]
macro_rules! broken {
    ($world:expr, $($what:tt)*) => { $world.break_promise(format!($($what)*)) };
}

impl World {
    /// A new one, whose dice follow from the seed.
    pub fn new(seed: u64, shown: bool) -> Self {
        let trace = Trace { lines: 0, digest: Sha256::new(), shown };
        Self(Arc::new(Shared {
            millis: AtomicU64::new(0),
            dice: Mutex::new(StdRng::seed_from_u64(seed)),
            trace: Mutex::new(trace),
            broken: Mutex::default(),
        }))
    }

    /// Simulated time since the beginning.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.millis.load(Ordering::SeqCst))
    }

    /// Time goes on.
    pub fn set_elapsed(&self, elapsed: Duration) {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.0.millis.store(millis, Ordering::SeqCst);
        system::set_elapsed(elapsed);
    }

    /// The true time of day.
    pub fn now(&self) -> OffsetDateTime {
        let epoch = OffsetDateTime::from_unix_timestamp(system::EPOCH_SECONDS.cast_signed());
        epoch.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(UtcOffset::UTC) + self.elapsed()
    }

    /// Whether something happens that does so in `percent` of all cases.
    pub fn happens(&self, percent: f64) -> bool {
        percent > 0.0 && self.dice().random_bool((percent / 100.0).min(1.0))
    }

    /// A number of the range.
    pub fn draw(&self, range: std::ops::Range<u64>) -> u64 {
        self.dice().random_range(range)
    }

    fn dice(&self) -> MutexGuard<'_, StdRng> {
        self.0.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what has happened.
    pub fn note(&self, host: &str, what: fmt::Arguments<'_>) {
        let millis = self.elapsed().as_millis();
        let mut trace = self.0.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{millis:>8} {host:<8} {what}\n");
        if trace.shown {
            eprint!("{line}");
        }
        trace.lines += 1;
        trace.digest.update(line);
    }

    /// How many lines the trace has, and its SHA-256.
    pub fn trace(&self) -> (u64, String) {
        let trace = self.0.trace.lock().unwrap_or_else(PoisonError::into_inner);
        (trace.lines, hex::encode(trace.digest.clone().finalize()))
    }

    /// Remembers that a promise was not kept. Use [`broken!`](crate::broken).
    pub fn break_promise(&self, what: String) {
        self.note("PROMISE", format_args!("{what}"));
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// The promises that were not kept.
    pub fn broken(&self) -> Vec<String> {
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A host's clocks. That for people may be wrong, and jump.
#[derive(Clone)]
pub struct HostClock {
    world: World,
    /// By so many milliseconds.
    wrong_by: Arc<AtomicI64>,
}

impl HostClock {
    /// One that is right.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), wrong_by: Arc::default() }
    }

    /// Jumps: from now on it is wrong by so many milliseconds.
    pub fn jump(&self, wrong_by: i64) {
        self.wrong_by.store(wrong_by, Ordering::SeqCst);
    }
}

impl Clock for HostClock {
    fn now(&self) -> OffsetDateTime {
        self.world.now() + time::Duration::milliseconds(self.wrong_by.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.world.elapsed()
    }
}
