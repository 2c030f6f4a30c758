//! How many cases models try in tests, and which.

use proptest::test_runner::{Config, RngSeed};

/// The same cases each time, as many as usual; others each time, and as many as one likes, if `PROPTEST_CASES` asks
/// for them.
pub fn cases(usual: u32) -> Config {
    let asked = Config::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => asked,
        None => {
            Config { cases: usual, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..asked }
        }
    }
}
