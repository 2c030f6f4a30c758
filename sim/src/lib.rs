//! Deterministic simulation.
//!
//! Coordinators, workers, the network between them, the object store, the database, distribution points
//! and the clock, all in one process and on one thread; what runs is the product's own code. Everything that
//! happens follows from a seed: who is killed when, which answer is lost, which byte is damaged. When all is over the
//! promises are checked. The same seed gives the same run, line by line: see `docs/reliability.md`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod database;
pub mod faults;
pub mod hosts;
pub mod liar;
pub mod line;
pub mod network;
pub mod people;
pub mod prepared;
pub mod promises;
pub mod relay;
pub mod run;
pub mod sources;
pub mod store;
pub mod stuck;
pub mod system;
pub mod world;
