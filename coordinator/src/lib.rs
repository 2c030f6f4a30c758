//! The coordinator: resolve → plan → schedule → compose, and the gRPC API.
//!
//! Data flows one way. A spec and a site become a [`plan`]; the [`pipeline`] makes tasks of it and
//! says what follows from their results; the [`schedule`] gives tasks to workers; the engine makes
//! every step durable in the [`state`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod audit;
mod build_log;
pub mod clock;
mod engine;
pub mod events;
mod leadership;
mod numbers;
pub mod pipeline;
pub mod plan;
pub mod records;
mod registrar;
mod rewrap;
pub mod schedule;
mod server;
pub mod service;
pub mod state;
mod trust;

pub use plan::{RUN_BYTES, ZONE_DEFAULT};
pub use schedule::Policy;
pub use server::{
    Coordinator, CoordinatorError, CoordinatorSettings, Surroundings, in_process, seal_keys,
};
