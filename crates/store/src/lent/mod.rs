//! Access to buckets that is lent: for a while, and to some objects alone.
//!
//! A coordinator that has the buckets' own credentials asks the store's token service for temporary ones
//! ([`Lender`]), limited by a policy to a [`Scope`]; whoever gets them ([`LentAccess`]) can do no more with
//! them, whatever else they know. Servers that speak S3 have that (`AssumeRole` with a session policy); folders
//! have nothing like it.

mod credentials;
mod scope;
mod sts;

pub use credentials::LentCredentials;
pub use scope::{Area, Scope};
pub use sts::{LendError, Lender, LentAccess};
