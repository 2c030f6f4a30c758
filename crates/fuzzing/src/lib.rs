//! What every parser promises of any input: no panic, no hang, no more memory than the input
//! justifies, and what it accepts comes back the same after writing.
//!
//! Each [`Target`] is one function over bytes. libFuzzer calls them from `fuzz/`; the test of this
//! crate replays the kept corpus through the same functions on the stable toolchain.

mod bombs;
mod memory;
mod regf;
mod scratch;
mod targets;

pub use bombs::{Bomb, bombs};
pub use memory::Allowance;
pub use targets::TARGETS;

/// A parser, and what it promises.
pub struct Target {
    /// Its name: that of the corpus folder, the dictionary and the cargo-fuzz target.
    pub name: &'static str,
    /// How much memory a run may take.
    pub allowance: Allowance,
    /// Calls the parser and asserts what it promises; panics when that doesn't hold.
    pub check: fn(&[u8]),
}

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Checks one input and the memory that it took.
    ///
    /// # Panics
    /// When the parser breaks a promise.
    pub fn run(&self, input: &[u8]) {
        self.allowance.enforce(input.len(), || (self.check)(input));
    }
}
