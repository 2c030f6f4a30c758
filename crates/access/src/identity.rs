//! Who Prestage is to one server.

use prestage_secret::{Secret, SecretSource};
use url::Url;

use crate::access_file::{Authentication, ServerTable};
use crate::error::{AccessError, address};

/// Who asks.
#[derive(Clone)]
pub(crate) enum Identity {
    /// Nobody in particular, or whom a client certificate names.
    Anonymous,
    /// A Windows account.
    Windows(Account),
    /// The holder of a token.
    Bearer(Secret),
}

/// A Windows account and how it may prove itself.
#[derive(Clone)]
pub(crate) struct Account {
    /// `CORP\name` or `name@realm`.
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// Where Kerberos tickets come from; NTLM alone without.
    pub(crate) kdc: Option<String>,
    pub(crate) ntlm: bool,
}

impl Identity {
    /// Reads the secrets that the access file names.
    pub(crate) fn new(url: &Url, table: &ServerTable) -> Result<Self, AccessError> {
        let read = |source: &Option<SecretSource>| {
            let secret = |source| AccessError::Secret { server: address(url), source };
            source.as_ref().map(SecretSource::read).transpose().map_err(secret)
        };
        let account = |kdc: Option<String>, ntlm| {
            let secret = read(&table.password)?;
            let account = table.user.clone().zip(secret);
            Ok(account.map_or(Self::Anonymous, |(user, password)| {
                Self::Windows(Account { user, password, kdc, ntlm })
            }))
        };
        match table.authentication {
            Authentication::Anonymous => Ok(Self::Anonymous),
            Authentication::Negotiate => account(table.kdc.clone(), true),
            Authentication::Kerberos => account(table.kdc.clone(), false),
            Authentication::Ntlm => account(None, true),
            Authentication::Bearer if url.scheme() != "https" => {
                Err(AccessError::Cleartext { server: address(url) })
            }
            Authentication::Bearer => Ok(read(&table.token)?.map_or(Self::Anonymous, Self::Bearer)),
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Anonymous => "requests without a user".into(),
            Self::Windows(account) => format!("user {}", account.user),
            Self::Bearer(_) => "the token".into(),
        }
    }
}
