//! Why a token is not taken. Nothing of the token is in here.

use std::path::PathBuf;

/// Why a token is not taken, or an issuer can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// Anybody in between could put keys of his own in place of the issuer's.
    #[error("{what} '{url}' is not an https URL: only on this machine may it be http")]
    Insecure {
        /// What of the issuer.
        what: &'static str,
        /// Its address.
        url: String,
    },
    /// The file of roots can't be used.
    #[error("the issuer's root certificates {path} can't be used: {problem}")]
    Root {
        /// Which file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The system gives no TLS.
    #[error("the issuer can't be asked from here: {0}")]
    Client(String),
    /// The issuer's keys are not known, and it does not give them.
    #[error("the keys of the issuer {issuer} can't be had: {problem}")]
    Unreachable {
        /// Which issuer.
        issuer: String,
        /// Why not.
        problem: String,
    },
    /// No issuer makes tokens that long.
    #[error("the token is longer than {0} bytes")]
    TooLong(usize),
    /// It is no token, or one that isn't signed.
    #[error("it is no signed token (a JWT)")]
    Malformed,
    /// Whoever can verify such a signature could make it, or the key is not meant for it.
    #[error("the token is not signed by a method that its issuer's key is for")]
    Algorithm,
    /// The issuer has no such key, or not any more.
    #[error("the token is signed with a key that its issuer does not show")]
    UnknownKey,
    /// Forged, or damaged.
    #[error("the token's signature is wrong")]
    Signature,
    /// Another issuer's.
    #[error("the token is another issuer's")]
    Issuer,
    /// For another service.
    #[error("the token is for another audience")]
    Audience,
    /// Too old.
    #[error("the token has expired: get a new one")]
    Expired,
    /// Too young.
    #[error("the token is not valid yet: see whether the clocks agree")]
    NotYet,
    /// A claim is missing, or is not of its kind.
    #[error("the token's claim '{0}' is missing or can't be used")]
    Claim(String),
}
