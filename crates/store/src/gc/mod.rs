//! Garbage collection: packs and listings that no build uses any more are removed, by age and by size.
//!
//! A build *pins* what it may use before it looks what is there. A collector *marks* that it is at
//! work before it looks what is pinned. So one of the two always sees the other: either the collector
//! sees the pin and spares what it names, or the build sees the mark and waits until the collector is
//! done before it looks. `docs/decisions/garbage-collection.md` has the argument in full.

mod collection;
mod mark;
#[cfg(test)]
mod model;
mod pin;
mod policy;
#[cfg(test)]
mod tests;

pub use collection::{Collected, Collection, Removed};
pub use mark::{COLLECTING_MAX, wait_for_collectors};
pub use pin::Pin;
pub use policy::{GarbagePolicy, Item, Why, choose};
