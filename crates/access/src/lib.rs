//! Access to the site's servers over HTTP: who Prestage is to each of them, and how hard it may lean on it.
//!
//! [`Access`] is what the operator's access file says; [`Server`] is one server reached that way. Whoever
//! talks to AdminService or to a distribution point asks [`Access`] for a [`Server`] and sends requests
//! through it; identities, private roots, retries and limits are dealt with here and nowhere else.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access_file;
mod connection;
mod error;
mod floor;
mod handshake;
mod identity;
mod limits;
mod paced;
mod server;
mod tls;

use std::{
    collections::HashMap,
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use access_file::AccessFile;
pub use error::AccessError;
pub use floor::Floor;
use jiff::Zoned;
use limits::{Limits, Pace};
use paced::Paced;
pub use server::{Request, Response, Server};
use tokio::runtime::Handle;

use url::Url;

/// What the operator's access file says of every server. Clones share connections and limits.
#[derive(Debug, Clone, Default)]
pub struct Access {
    file: Arc<AccessFile>,
    servers: Arc<Mutex<HashMap<String, Server>>>,
    /// Limits of servers that are read over shares, by lower-case name.
    shares: Arc<Mutex<HashMap<String, Limits>>>,
    floor: Floor,
}

impl Access {
    /// Anonymous everywhere, with the system's roots and without limits.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Reads an access file. Secrets that it names are read when a server is first asked for.
    ///
    /// # Errors
    /// [`AccessError::File`] with everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, AccessError> {
        Ok(Self { file: Arc::new(AccessFile::load(path)?), ..Self::default() })
    }

    /// The same with another floor for what answers must give.
    #[must_use]
    pub fn with_floor(self, floor: Floor) -> Self {
        Self { floor, ..self }
    }

    /// The progress that answers must make at least.
    #[must_use]
    pub fn floor(&self) -> Floor {
        self.floor
    }

    /// The server that `url` names (its path does not count). Connections and limits are shared by all
    /// that ask for the same server.
    ///
    /// # Errors
    /// [`AccessError`] when the identity that the access file names for it can't be had.
    pub fn server(&self, url: &Url) -> Result<Server, AccessError> {
        let address = error::address(url);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(&address) {
            return Ok(known.clone());
        }
        let table = self.file.server(url.host_str().unwrap_or_default());
        let server = Server::new(url, &table, self.floor)?;
        servers.insert(address, server.clone());
        Ok(server)
    }

    /// A reader of a server that is reached over a share, held to the server's limits. All of a process
    /// share them. Reads of it block: they are for threads of their own.
    ///
    /// # Errors
    /// [`AccessError::Closed`] when nothing may be read at this time of day.
    pub fn paced(
        &self,
        host: &str,
        inner: Box<dyn Read + Send>,
        runtime: &Handle,
    ) -> Result<Box<dyn Read + Send>, AccessError> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = shares.entry(host.to_lowercase());
        let limits = limits.or_insert_with(|| Limits::new(&self.file.server(host).limits)).clone();
        drop(shares);
        if limits.is_none() {
            return Ok(inner);
        }
        match limits.pace(&Zoned::now()) {
            Pace::Closed { until } => Err(AccessError::Closed { server: host.to_owned(), until }),
            Pace::Free | Pace::Bytes(_) => Ok(Box::new(Paced::new(inner, limits, runtime.clone()))),
        }
    }
}
