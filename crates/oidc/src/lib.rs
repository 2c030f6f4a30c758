//! OpenID Connect, as a service that is shown tokens sees it: who a token says that its bearer is,
//! if it is genuine.
//!
//! An [`Issuer`] finds the issuer's public keys by discovery and keeps them ([`keys`]). Only
//! signatures with public keys count, so nobody who can verify a token can make one. Nothing of a
//! token is ever in an error or a log: whoever reads one could use it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod fetch;
mod keys;
mod token;

use std::{path::PathBuf, time::Duration};

use time::OffsetDateTime;
use url::Url;

pub use error::OidcError;

use fetch::Fetcher;
use keys::Keys;
use token::Expected;

/// Which tokens are taken.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// Who issues them: an https URL, or http on this machine.
    pub issuer: Url,
    /// Whom they are for: tokens for other services are refused.
    pub audience: String,
    /// The claim that names the bearer: see [`NAME_CLAIM`].
    pub name_claim: String,
    /// The claim that names the bearer's groups: see [`GROUPS_CLAIM`].
    pub groups_claim: String,
    /// The only roots that the issuer's TLS certificate may have, as PEM; none for the system's.
    pub root: Option<PathBuf>,
    /// By how much the issuer's clock may differ from ours.
    pub leeway: Duration,
}

/// The usual claim for a name: the one that an issuer never gives to somebody else.
pub const NAME_CLAIM: &str = "sub";
/// The usual claim for groups.
pub const GROUPS_CLAIM: &str = "groups";

/// Who a genuine token says that its bearer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcIdentity {
    /// The bearer's name.
    pub name: String,
    /// The bearer's groups; none if the token names none.
    pub groups: Vec<String>,
    /// From when on the token is worth nothing.
    pub expires: OffsetDateTime,
}

/// An issuer of tokens.
pub struct Issuer {
    expected: Expected,
    keys: Keys,
}

impl Issuer {
    /// An issuer by its settings. It is not asked anything yet.
    pub fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        let fetcher = Fetcher::new(&settings)?;
        Ok(Self { expected: Expected::new(settings), keys: Keys::new(fetcher) })
    }

    /// Who the token's bearer is at this time. May have to ask the issuer for its keys.
    pub async fn verify(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<OidcIdentity, OidcError> {
        let header = token::header(token)?;
        let key = self.keys.find(header.kid.as_deref(), header.alg, now).await?;
        let claims = token::claims(token, header.alg, &key)?;
        self.expected.identity(&claims, now)
    }
}
