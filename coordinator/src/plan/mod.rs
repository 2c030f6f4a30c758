//! From a spec and a site to a build plan that pins everything.

mod document;
mod images;
mod listings;
mod planner;
mod seal;
mod shards;

pub use document::*;
pub use listings::ListingStore;
pub use planner::{MediaPlanner, PlannerSettings};
pub use seal::{SealError, SealKey};
pub use shards::{Shard, shards};
