//! The gRPC API.

mod convert;
mod garbage;
mod leaders;
mod media;
mod work;

pub use convert::{build_message, failure_of, status_of, timestamp};
pub(crate) use leaders::Leaders;
pub use media::MediaApi;
pub use work::WorkApi;

/// Largest message either side takes, in bytes: a task of a content with 100,000 files fits.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Largest status that clients take, in bytes: a failure with all its problems travels in headers.
pub const STATUS_BYTES_MAX: u32 = 1 << 20;
