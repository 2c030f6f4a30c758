//! Why a server could not be talked to. No message holds a secret, a query or a token.

use std::path::PathBuf;

use prestage_secret::SecretError;
use url::Url;

/// Why a server could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The access file can't be used.
    #[error("the access file {path}: {problem}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// A secret that the access file names.
    #[error("for server {server}: {source}")]
    Secret {
        /// The server's name.
        server: String,
        /// Why it can't be had.
        #[source]
        source: SecretError,
    },
    /// A certificate that the access file names.
    #[error("for server {server}: {path} can't be used: {problem}", path = path.display())]
    Certificate {
        /// The server's name.
        server: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// No answer came.
    #[error("{server} can't be reached: {problem}; check its name, the network and the firewall")]
    Unreachable {
        /// The server's address, without path and query.
        server: String,
        /// What happened.
        problem: String,
    },
    /// It answers, or takes connections, but gives next to nothing.
    #[error("{server} makes no progress: {problem}; check it, and the line to it")]
    Stalled {
        /// The server's address.
        server: String,
        /// What was waited for in vain.
        problem: String,
    },
    /// The server shows a certificate that nobody here trusts.
    #[error(
        "{server} is not trusted: {problem}; if its certificate is from an authority of your own, name that one's certificate as 'ca' in the access file"
    )]
    Untrusted {
        /// The server's address.
        server: String,
        /// What is wrong with its certificate.
        problem: String,
    },
    /// It wants to know who asks.
    #[error("{server} refuses {who}: {advice}")]
    Refused {
        /// The server's address.
        server: String,
        /// Who asked: a user's name, or nobody.
        who: String,
        /// What to do.
        advice: String,
    },
    /// A token would be readable on its way.
    #[error(
        "the token for {server} would go out in clear: use its https:// address, or another authentication"
    )]
    Cleartext {
        /// The server's address.
        server: String,
    },
    /// The proof of identity could not be made.
    #[error("{who} can't prove who they are to {server}: {problem}")]
    Identity {
        /// The server's address.
        server: String,
        /// The user's name.
        who: String,
        /// What the library says.
        problem: String,
    },
    /// Nothing may be taken from it at this time of day.
    #[error("{server} may not be used before {until}, as its limits in the access file say")]
    Closed {
        /// The server's address.
        server: String,
        /// When it may be used again.
        until: String,
    },
}

impl AccessError {
    /// No answer from `url`.
    pub(crate) fn unreachable(url: &Url, error: &dyn std::error::Error) -> Self {
        let mut problem = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            problem = format!("{problem}: {inner}");
            cause = inner.source();
        }
        let server = address(url);
        // The alert by which servers ask for one in TLS 1.3, and those of older ones.
        if ["CertificateRequired", "BadCertificate"].iter().any(|alert| problem.contains(alert)) {
            let advice = "name one that it accepts as client_certificate in the access file".into();
            return Self::Refused { server, who: "a client without a certificate".into(), advice };
        }
        match problem.to_ascii_lowercase().contains("certificate") {
            true => Self::Untrusted { server, problem },
            false => Self::Unreachable { server, problem },
        }
    }

    /// Whether another try, or another server, may do better soon.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Stalled { .. } | Self::Closed { .. })
    }
}

/// A server for people: scheme, host and port.
pub(crate) fn address(url: &Url) -> String {
    url.origin().ascii_serialization()
}
