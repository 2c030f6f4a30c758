//! Who somebody is.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Somebody, as grants, revocations and the audit log name them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// Whoever is on this machine, where nothing else was asked for: `local`.
    Local,
    /// A person or their script: `user/alice`.
    User(String),
    /// One whom a certificate authority of the organisation's own names: `subject/CN=Alice, O=Corp`.
    Subject(String),
    /// One whom a token names: `oidc/alice`. Not the same as the user of that name, since an issuer may let people
    /// choose what they are called.
    Oidc(String),
    /// A worker, and the zone that it was enrolled in: `worker/factory/berlin-1`.
    Worker {
        /// Whose results its own may be used with.
        zone: String,
        /// Its name, which no other worker of the zone has.
        name: String,
    },
    /// A coordinator: `coordinator/c1.example`.
    Coordinator(String),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::User(name) => write!(f, "user/{name}"),
            Self::Subject(name) => write!(f, "subject/{name}"),
            Self::Oidc(name) => write!(f, "oidc/{name}"),
            Self::Worker { zone, name } => write!(f, "worker/{zone}/{name}"),
            Self::Coordinator(name) => write!(f, "coordinator/{name}"),
        }
    }
}

/// Somebody who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who.
    pub identity: Identity,
    /// The groups that a token says they are in.
    pub groups: Vec<String>,
    /// Until when the proof holds, in seconds since 1970; none for as long as the connection.
    pub until: Option<i64>,
}

/// One coordinator told another one of somebody in a way that can't be understood.
#[derive(Debug, thiserror::Error)]
#[error("the caller that another coordinator names can't be read")]
pub struct PrincipalError;

impl Principal {
    /// Somebody on this machine.
    #[must_use]
    pub fn local() -> Self {
        Self { identity: Identity::Local, groups: Vec::new(), until: None }
    }

    /// Whether the proof holds at this time.
    pub fn holds_at(&self, now: OffsetDateTime) -> bool {
        self.until.is_none_or(|until| now.unix_timestamp() < until)
    }

    /// As text that a header can carry.
    pub fn to_header(&self) -> String {
        // A structure of texts and numbers always has a JSON form.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// From such a text.
    pub fn from_header(text: &str) -> Result<Self, PrincipalError> {
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| PrincipalError)?;
        serde_json::from_slice(&json).map_err(|_| PrincipalError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_survives_a_header() {
        let principal = Principal {
            identity: Identity::Subject("CN=Zoë, O=Corp".into()),
            groups: vec!["osd".into()],
            until: Some(17),
        };
        let header = principal.to_header();
        assert!(header.is_ascii());
        assert_eq!(Principal::from_header(&header).unwrap(), principal);
        assert!(Principal::from_header("%").is_err());
        assert!(Principal::from_header("bm90IGpzb24").is_err());
    }

    #[test]
    fn a_proof_ends() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let principal = Principal { until: Some(100), ..Principal::local() };
        assert!(principal.holds_at(at(99)));
        assert!(!principal.holds_at(at(100)));
        assert!(Principal::local().holds_at(at(i64::from(u32::MAX))));
    }
}
