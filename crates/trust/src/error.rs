//! What is wrong with a proof of identity, or with what it is checked by.

use std::path::PathBuf;

/// Why there is no trust. No message holds anything secret.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file can't be read or written.
    #[error("{path} can't be {how}: {problem}")]
    File {
        /// Which.
        path: PathBuf,
        /// "read", "written".
        how: &'static str,
        /// Why not.
        problem: std::io::Error,
    },
    /// A file doesn't hold what it should.
    #[error("{path}: {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// There is something already that must not be overwritten.
    #[error("{0} is there already: name another folder, or remove it if nobody needs it any more")]
    Exists(PathBuf),
    /// A name can't be an identity's.
    #[error(
        "'{0}' can't be a name here: 1 to 64 letters, digits, '.', '-', '_' and '@' are expected"
    )]
    Name(String),
    /// A host is no host.
    #[error("'{0}' is neither a DNS name nor an IP address")]
    Host(String),
    /// A certificate could not be made.
    #[error("the certificate can't be issued: {0}")]
    Issue(#[from] rcgen::Error),
    /// A certificate names nobody that we know of.
    #[error("the certificate names nobody: {0}")]
    Nobody(String),
    /// TLS can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The other side didn't prove who it is.
    #[error("no TLS connection: {0}")]
    Handshake(std::io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}
