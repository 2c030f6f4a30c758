//! Access to buckets that is lent: for a while, and to some objects alone.
//!
//! A coordinator that has the buckets' own credentials makes others of them ([`Lender`]), limited to a
//! [`Scope`]; whoever gets these ([`LentAccess`]) can do no more with them, whatever else they know. Each cloud
//! has a way of its own: S3 lends temporary keys with a policy, Azure signatures of single blobs, Google tokens
//! with a boundary; folders have nothing like it.

mod boundary;
pub(crate) mod credentials;
mod error;
mod lender;
mod policy;
mod sas;
mod scope;
mod signed_requests;
mod sts;
mod token_exchange;
mod token_service;

pub use boundary::boundary;
pub use credentials::{LentCredentials, LentSecrets, TemporaryKey};
pub use error::LendError;
pub use lender::{Lender, LentAccess};
pub use policy::policy;
pub use sas::SasLender;
pub use scope::{Area, Scope};
pub(crate) use signed_requests::{LentBlobs, SignedRequests};
pub use sts::RoleLender;
pub use token_exchange::TokenLender;
