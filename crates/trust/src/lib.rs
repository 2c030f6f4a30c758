//! Who is who among clients, coordinators and workers, how they prove it, and what they may do.
//!
//! An [`Identity`] is proved by a certificate ([`authority`] issues them, [`names`] says how they carry
//! it) or by a token; [`server`] and [`client`] are the two ends of a connection; a [`TrustFile`] holds
//! what a coordinator goes by, down to which [`Role`] is granted to whom.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod authority;
pub mod client;
pub mod enrolment;
mod error;
mod files;
mod identity;
pub mod names;
mod role;
pub mod server;
mod trust_file;

pub use error::TrustError;
pub use files::write_private;
pub use identity::{Identity, Principal, PrincipalError};
pub use role::{Role, UnknownRole};
pub use trust_file::{Grant, OidcTable, Roles, TrustFile};
