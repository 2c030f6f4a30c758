//! Why a server could not be talked to.

use url::Url;

/// Why a server could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No answer came.
    #[error("{server} can't be reached: {problem}; check its name, the network and the firewall")]
    Unreachable {
        /// The server's address, without path and query.
        server: String,
        /// What happened.
        problem: String,
    },
}

impl AccessError {
    /// No answer from `url`. The error's own text names the whole URL, which may hold a token.
    pub(crate) fn unreachable(url: &Url, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut problem = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            problem = format!("{problem}: {inner}");
            cause = inner.source();
        }
        Self::Unreachable { server: url.origin().ascii_serialization(), problem }
    }
}
