//! Access to the site's servers over HTTP: who Prestage is to each of them, and how hard it may lean on it.
//!
//! [`Access`] is what the operator's access file says; [`Server`] is one server reached that way. Whoever
//! talks to AdminService or to a distribution point asks [`Access`] for a [`Server`] and sends requests
//! through it; identities, private roots, retries and limits are dealt with here and nowhere else.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod server;

pub use error::AccessError;
pub use server::{Request, Response, Server};

use url::Url;

/// What the operator's access file says of every server.
#[derive(Debug, Clone, Default)]
pub struct Access {}

impl Access {
    /// Anonymous everywhere, with the system's roots and without limits.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The server that `url` names (its path does not count). Connections and limits are shared by all
    /// that ask for the same server.
    ///
    /// # Errors
    /// [`AccessError`] when the identity that the access file names for it can't be had.
    pub fn server(&self, url: &Url) -> Result<Server, AccessError> {
        Server::new(url)
    }
}
