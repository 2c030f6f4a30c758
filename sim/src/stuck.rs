//! Notices a simulation whose time stands still: something is done again and again, without ever waiting.

use std::{process, thread, time::Duration};

use crate::system;

/// Longest that one moment may take, in seconds: however slow the machine, nobody computes for so long.
const STANDS_STILL: u32 = 120;

/// Watches over this process, until it ends: says so, and ends it as a broken seed.
#[allow(clippy::print_stdout)]
pub fn watch(seed: u64) {
    let watch = move || {
        let (mut seen, mut still) = (None, 0);
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = system::elapsed();
            still = if now == seen { still + 1 } else { 0 };
            seen = now;
            if still >= STANDS_STILL
                && let Some(at) = now
            {
                println!(
                    "seed {seed}: 0 faults\n  BROKEN time stands still at {:.3} s",
                    at.as_secs_f64()
                );
                process::exit(1);
            }
        }
    };
    // Without it a seed that is stuck is noticed by whoever waits for it.
    let _ = thread::Builder::new().name("watch".into()).spawn(watch);
}
