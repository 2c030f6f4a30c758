//! Errors as people see them: what, where, what to do.

use std::fmt;

use prestage_coordinator::{CoordinatorError, service::failure_of};
use prestage_proto::v1;
use prestage_store::{StoreError, location::UrlError};
use prestage_trust::TrustError;
use prestage_wim::WimError;
use prestage_worker::identity::IdentityError;
use tonic::{Code, Status};

/// Why a command ended badly.
#[derive(Debug)]
pub struct CliError {
    wrong_request: bool,
    what: String,
    place: String,
    advice: String,
}

impl CliError {
    /// The request is wrong: exit code 2.
    pub fn wrong(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { wrong_request: true, what: what.into(), place: String::new(), advice: advice.into() }
    }

    /// The work failed: exit code 1.
    pub fn failed(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { wrong_request: false, ..Self::wrong(what, advice) }
    }

    /// Says where.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    /// A build's failure.
    pub fn from_failure(failure: v1::Failure, wrong_request: bool) -> Self {
        Self { wrong_request, what: failure.what, place: failure.r#where, advice: failure.advice }
    }

    /// The error for machines.
    pub fn document(&self) -> serde_json::Value {
        serde_json::json!({ "error": {
            "exit_code": self.exit_code(),
            "what": self.what,
            "where": self.place,
            "advice": self.advice,
        }})
    }

    /// 1 failed, 2 the request is wrong.
    pub fn exit_code(&self) -> u8 {
        if self.wrong_request { 2 } else { 1 }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if !self.place.is_empty() {
            write!(f, "\n where: {}", self.place)?;
        }
        if !self.advice.is_empty() {
            write!(f, "\n   try: {}", self.advice)?;
        }
        Ok(())
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        let wrong = matches!(
            status.code(),
            Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::Unauthenticated
        );
        let mut failure = failure_of(&status);
        if status.code() == Code::Unavailable && failure.advice.is_empty() {
            failure.advice = "see whether the coordinator runs and can be reached".into();
        }
        Self::from_failure(failure, wrong)
    }
}

impl From<CoordinatorError> for CliError {
    fn from(error: CoordinatorError) -> Self {
        match error {
            CoordinatorError::Trust(error) => error.into(),
            CoordinatorError::Lend(_) | CoordinatorError::NothingToLend => {
                Self::wrong(error.to_string(), "see 'prestage coordinator --help'")
            }
            error => Self::failed(error.to_string(), ""),
        }
    }
}

impl From<prestage_worker::WorkerError> for CliError {
    fn from(error: prestage_worker::WorkerError) -> Self {
        Self::failed(error.to_string(), "use fewer with --workers or PRESTAGE_THREADS")
    }
}

impl From<TrustError> for CliError {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Issue(_)
            | TrustError::Tls(_)
            | TrustError::Handshake(_)
            | TrustError::Random(_) => Self::failed(error.to_string(), ""),
            TrustError::File { .. }
            | TrustError::Content { .. }
            | TrustError::Exists(_)
            | TrustError::Name(_)
            | TrustError::Host(_)
            | TrustError::Nobody(_) => Self::wrong(error.to_string(), ""),
        }
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Files(error) => error.into(),
            IdentityError::Refused(status) => status.into(),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::failed(error.to_string(), "")
    }
}

impl From<UrlError> for CliError {
    fn from(error: UrlError) -> Self {
        Self::wrong(error.to_string(), "")
    }
}

impl From<WimError> for CliError {
    fn from(error: WimError) -> Self {
        Self::failed(error.to_string(), "")
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(format!("a document can't be written or read: {error}"), "")
    }
}
