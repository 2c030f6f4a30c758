//! Why nothing is lent.

use super::{boundary::BOUNDARY_CHARS_MAX, policy::POLICY_CHARS_MAX};
use crate::error::StoreError;

/// Why nothing is lent. No message holds any credential.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// The credentials that sign.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They can't be had.
    #[error("the credentials that workers' are lent from can't be had: {0}")]
    Own(#[from] object_store::Error),
    /// The request can't be made.
    #[error("the request for a worker's credentials can't be made: {0}")]
    Request(String),
    /// A policy would take a name for a pattern.
    #[error(
        "{0:?} can't be lent: '*', '?' and '${{' are patterns in policies of S3; choose another name \
         for the medium or the prefix of the packs"
    )]
    Pattern(String),
    /// A policy can't have so many characters.
    #[error(
        "the policy of a task has {0} characters, and {POLICY_CHARS_MAX} are the most: give the \
         medium or the prefix of the packs a shorter name"
    )]
    Policy(usize),
    /// An access boundary can't have so many characters.
    #[error(
        "the access boundary of a task has {0} characters, and {BOUNDARY_CHARS_MAX} are the most: \
         give the medium or the prefix of the packs a shorter name"
    )]
    Boundary(usize),
    /// Azure's signatures are made with the account's key.
    #[error(
        "access to Azure is lent by signatures, which take the account's key: set \
         AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY for the coordinator"
    )]
    NoAccountKey,
    /// The key is not one.
    #[error("AZURE_STORAGE_ACCOUNT_KEY is no base64, as the keys of accounts are")]
    AccountKey,
    /// Google exchanges access tokens alone.
    #[error(
        "the token service exchanges access tokens alone, and of a service account's key file none \
         is made here: let the coordinator run as that service account (an attached one, or \
         workload identity)"
    )]
    KeyFile,
    /// Nobody answered.
    #[error("the token service {endpoint} does not answer: {problem}; see {setting}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// What names it.
        setting: &'static str,
        /// What went wrong.
        problem: reqwest::Error,
    },
    /// It said no.
    #[error(
        "the token service {endpoint} lends nothing {what}: {problem} (status {status}); {advice}"
    )]
    Refused {
        /// Where it is.
        endpoint: String,
        /// Of what it was asked.
        what: String,
        /// HTTP's.
        status: u16,
        /// What it said.
        problem: String,
        /// What to look at.
        advice: &'static str,
    },
}

impl LendError {
    /// Whether this very task can't be lent access, whenever it is tried.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Pattern(_) | Self::Policy(_) | Self::Boundary(_))
    }
}
