//! The system's random numbers and clocks: the ones drawn from the seed, the others simulated.
//!
//! Ids, keys, the order of hash maps and the choices of the async runtime all begin with `getrandom`; what libraries
//! do after a second of their own is `clock_gettime`'s. In this program these are the functions below, so
//! each run of a seed is the same.

use std::{
    cell::Cell,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::ClockId;

/// Nothing is set yet: numbers and times are the system's.
const UNSET: u64 = 0;

static SEED: AtomicU64 = AtomicU64::new(UNSET);

thread_local! {
    /// Which moment this thread has asked for, and how often.
    static ASKED: Cell<(u64, u64)> = const { Cell::new((UNSET, 0)) };
    /// Where this thread is in its own row of numbers.
    static AT: Cell<u64> = const { Cell::new(UNSET) };
}

/// Does something, all random numbers of which follow from `seed`: on a thread of its own, since what a thread has
/// drawn already, the keys of its hash maps among it, stays.
///
/// # Errors
/// The system gives no thread.
pub fn with_seed<T: Send>(seed: u64, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    SEED.store(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let seeded = move || {
            // It begins with the time and the thread's number. What it gives to other threads are names of
            // files only.
            fastrand::seed(seed);
            work()
        };
        let thread = std::thread::Builder::new().name("simulation".into());
        let done = thread.spawn_scoped(scope, seeded)?.join();
        Ok(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Threads that run beside each other have rows of their own, by name, so that it does not matter who
/// draws first.
fn next(seed: u64) -> u64 {
    let at = AT.try_with(Cell::get).unwrap_or(UNSET);
    let at = if at == UNSET { beginning(seed) } else { at };
    let at = at.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let _ = AT.try_with(|cell| cell.set(at));
    // SplitMix64.
    let mixed = (at ^ (at >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn beginning(seed: u64) -> u64 {
    // Its keys are fixed, unlike those of a hash map.
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    std::thread::current().name().unwrap_or("main").hash(&mut hasher);
    hasher.finish() | 1
}

fn fill(buffer: &mut [u8]) {
    let seed = SEED.load(Ordering::SeqCst);
    if seed == UNSET {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())
                .unwrap_or_default();
        }
        return;
    }
    for piece in buffer.chunks_mut(8) {
        piece.copy_from_slice(&next(seed).to_le_bytes()[..piece.len()]);
    }
}

/// In place of the C library's.
///
/// # Safety
/// `buffer` is null or has room for `bytes`.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, bytes: usize, _flags: u32) -> isize {
    if buffer.is_null() || bytes == 0 {
        return 0;
    }
    // SAFETY: whoever calls says that the buffer has room for so many bytes; they need not be initialised to be
    // written.
    fill(unsafe { std::slice::from_raw_parts_mut(buffer, bytes) });
    bytes.cast_signed()
}

/// Time of the simulation in nanoseconds, and one more; none yet.
static ELAPSED: AtomicU64 = AtomicU64::new(UNSET);
/// So often within one moment is no waiting.
const ASKED_OFTEN: u64 = 20_000;
/// What clocks that never jump show at the beginning: later than any real one.
const MONOTONIC_SECONDS: u64 = 1 << 30;
/// 2026-06-01.
pub const EPOCH_SECONDS: u64 = 1_780_272_000;

/// From now on clocks show that so much time has passed since the beginning.
pub fn set_elapsed(elapsed: Duration) {
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX - 1);
    ELAPSED.store(nanos + 1, Ordering::SeqCst);
}

/// What [`set_elapsed`] said last, if it did.
pub fn elapsed() -> Option<Duration> {
    let nanos = ELAPSED.load(Ordering::SeqCst);
    (nanos != UNSET).then(|| Duration::from_nanos(nanos - 1))
}

/// As the C library has it on 64-bit Linux.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanos: i64,
}

fn shown(clock: i32) -> Timespec {
    const REALTIME: [i32; 2] = [0, 5];
    const PROCESSOR: [i32; 2] = [2, 3];
    let elapsed = ELAPSED.load(Ordering::SeqCst);
    if elapsed == UNSET || PROCESSOR.contains(&clock) {
        let id = match clock {
            2 => ClockId::ProcessCPUTime,
            3 => ClockId::ThreadCPUTime,
            clock if REALTIME.contains(&clock) => ClockId::Realtime,
            _ => ClockId::Monotonic,
        };
        let real = rustix::time::clock_gettime(id);
        return Timespec { seconds: real.tv_sec, nanos: real.tv_nsec };
    }
    let since = if REALTIME.contains(&clock) { EPOCH_SECONDS } else { MONOTONIC_SECONDS };
    let time = Duration::from_secs(since) + Duration::from_nanos(elapsed - 1) + waited_for(elapsed);
    Timespec { seconds: time.as_secs().cast_signed(), nanos: i64::from(time.subsec_nanos()) }
}

/// Whoever asks again and again, and does nothing else meanwhile, sees time go on: some libraries measure one
/// clock by another in the beginning.
fn waited_for(elapsed: u64) -> Duration {
    let (at, asked) = ASKED.try_with(Cell::get).unwrap_or_default();
    let asked = if at == elapsed { asked + 1 } else { 0 };
    let _ = ASKED.try_with(|cell| cell.set((elapsed, asked)));
    Duration::from_micros(asked.saturating_sub(ASKED_OFTEN))
}

/// In place of the C library's.
///
/// # Safety
/// `time` is null or has room for a time.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Timespec) -> i32 {
    if time.is_null() {
        return -1;
    }
    // SAFETY: whoever calls says that there is room for a time.
    unsafe { time.write(shown(clock)) };
    0
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::RandomState};

    /// In a process of its own, since a seed is for a whole process.
    fn drawn(seed: u64) -> Vec<String> {
        let draw = || {
            let ids = [uuid(), uuid()];
            let order: HashSet<u32, RandomState> = (0..100).collect();
            let order = order.into_iter().map(|number| number.to_string());
            ids.into_iter().chain(order).collect()
        };
        super::with_seed(seed, draw).unwrap()
    }

    fn uuid() -> String {
        use rand::TryRng;
        format!("{:x}", rand::rngs::SysRng.try_next_u64().unwrap())
    }

    #[test]
    fn everything_random_follows_from_the_seed() {
        let first = drawn(5);
        assert_eq!(first, drawn(5));
        assert_ne!(first[0], first[1]);
        assert_ne!(first, drawn(6));
    }
}
