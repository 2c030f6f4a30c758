//! The gRPC API.

mod audit;
mod audited;
mod authorize;
mod codes;
mod connection;
mod convert;
mod details;
mod garbage;
mod health;
mod leaders;
mod lending;
mod media;
mod open_connections;
mod places;
mod planning;
mod rates;
mod room;
mod rules;
mod submit;
mod trust;
mod work;

pub use audit::{AuditApi, NoAuditEntry};
pub(crate) use authorize::{AuthorizeLayer, Authorizer};
pub(crate) use connection::connections;
pub use convert::{build_message, timestamp};
pub use details::{failure_of, status_of};
pub(crate) use health::with_introspection;
pub(crate) use leaders::Leaders;
pub use leaders::Reach;
pub(crate) use lending::Lending;
pub use media::MediaApi;
pub(crate) use planning::Planning;
pub(crate) use room::Room;
pub use rules::{RULES, Rule};
pub use trust::TrustApi;
pub use work::WorkApi;

/// Largest message either side takes, in bytes: a task of a content with 100,000 files fits.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Largest status that clients take, in bytes: a failure with all its problems travels in headers.
pub const STATUS_BYTES_MAX: u32 = 1 << 20;
