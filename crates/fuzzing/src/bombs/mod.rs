//! Inputs that somebody built to be as bad as they can be: what mutation seldom makes.
//!
//! Each [`Bomb`] is one shape at any size. It is tried at two sizes, and what it takes must grow with its
//! size and no faster. Inputs are made, not kept: some have megabytes.

mod binary;
mod hive;
mod ini;
mod json;
mod library;
mod listing;
mod messages;
mod pkcs12;
mod resources;
mod sequence;
mod toml;
mod tree;
mod variables;
mod wim;
mod wizard;
mod xml;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Target;

/// Linear work of the largest bomb takes some hundred milliseconds without optimisation.
const CPU_MAX: Duration = Duration::from_secs(4);
/// Work that takes less than this is too short to compare.
const CPU_COMPARED: Duration = Duration::from_millis(250);
/// By how much a bomb four times as large may take longer. By the square it would be 16.
const GROWTH_MAX: u32 = 9;

/// A worst input of one shape.
pub struct Bomb {
    /// The target that it is for.
    pub target: &'static str,
    /// What is so bad about it.
    pub shape: &'static str,
    /// How many of whatever it is made of, at its largest.
    pub size: usize,
    /// Makes it of so many.
    pub make: fn(usize) -> Vec<u8>,
}

impl Bomb {
    /// Tries it at a fourth of its size, then whole.
    ///
    /// # Errors
    /// What took too long. Memory is the target's own promise.
    ///
    /// # Panics
    /// When the parser breaks a promise, or the target is not there.
    pub fn try_out(&self) -> Result<(), String> {
        let Some(target) = Target::named(self.target) else {
            panic!("{}: there is no such target", self.target);
        };
        let (small, large) = ((self.make)(self.size / 4), (self.make)(self.size));
        let first = cpu_time_of(|| target.run(&small));
        let whole = cpu_time_of(|| target.run(&large));
        let what = format!("{} ({}): {first:?}, then {whole:?}", self.target, self.shape);
        if whole > CPU_MAX {
            return Err(format!("{what} of CPU time for {} bytes", large.len()));
        }
        if whole > CPU_COMPARED && whole > first * GROWTH_MAX {
            return Err(format!("{what}: faster than it grows"));
        }
        Ok(())
    }
}

/// Processor time of the whole process, so that a busy machine changes nothing: work on other threads counts
/// too.
fn cpu_time_of(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    };
    let before = now();
    work();
    now().saturating_sub(before)
}

/// All of them.
pub fn bombs() -> Vec<Bomb> {
    [
        binary::BOMBS,
        hive::BOMBS,
        ini::BOMBS,
        json::BOMBS,
        library::BOMBS,
        listing::BOMBS,
        messages::BOMBS,
        pkcs12::BOMBS,
        resources::BOMBS,
        sequence::BOMBS,
        toml::BOMBS,
        tree::BOMBS,
        variables::BOMBS,
        wim::BOMBS,
        wizard::BOMBS,
        xml::BOMBS,
    ]
    .into_iter()
    .flatten()
    .map(|&(target, shape, size, make)| Bomb { target, shape, size, make })
    .collect()
}

/// Target, shape, size and maker.
type Row = (&'static str, &'static str, usize, fn(usize) -> Vec<u8>);

/// `before`, then `each` of the numbers, then `after`.
fn text(before: &str, count: usize, each: impl Fn(usize) -> String, after: &str) -> Vec<u8> {
    let mut text = before.to_owned();
    (0..count).for_each(|number| text.push_str(&each(number)));
    text.push_str(after);
    text.into_bytes()
}

/// `open` so often, then as many `close`.
fn nested(before: &str, open: &str, depth: usize, close: &str, after: &str) -> Vec<u8> {
    [before, &open.repeat(depth), &close.repeat(depth), after].concat().into_bytes()
}
