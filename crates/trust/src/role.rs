//! What somebody may do.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A part that somebody may play. None of them includes another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at builds and their logs.
    Read,
    /// Start builds, and cancel one's own.
    Submit,
    /// Hand secrets in to be sealed into a plan.
    Seal,
    /// Take tasks and bring their results.
    Work,
    /// Decide about identities, garbage and everybody's builds; read the audit log.
    Admin,
}

/// A text is no role.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no role: read, submit, seal, work and admin are")]
pub struct UnknownRole(String);

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Read, Self::Submit, Self::Seal, Self::Work, Self::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Seal => "seal",
            Self::Work => "work",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = Self::ALL.into_iter().find(|role| role.to_string() == text);
        known.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
