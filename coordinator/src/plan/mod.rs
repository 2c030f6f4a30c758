//! From a spec and a site to a build plan that pins everything.

mod boot_image;
mod bounded_identity;
mod collisions;
mod document;
mod images;
mod large_files;
mod listings;
mod masking;
mod output;
mod planner;
mod problems;
mod reading;
mod reencoding;
mod rewrap;
mod secrets;
mod shards;

pub use document::*;
pub use listings::{ListingError, ListingStore, listing_key, to_wire};
pub use output::{OutputError, check_output, medium_output};
pub use planner::MediaPlanner;
pub use problems::PlanFailure;
pub use rewrap::{RewrapError, rewrap_plan, sealed_under};
pub(crate) use secrets::{pfx_context, variables_context};
pub use shards::{PackNames, RUN_BYTES, Run, Shard, ZONE_DEFAULT};
