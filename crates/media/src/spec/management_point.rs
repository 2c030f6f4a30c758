//! Addresses of management points.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::identifiers::text_conversions;

/// Text is not the address of a management point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManagementPointError {
    /// No URL at all.
    #[error("it is not a URL ({reason}): write http:// or https:// and the server's full name")]
    NotAUrl {
        /// What the parser said.
        reason: String,
    },
    /// Another scheme.
    #[error("its scheme is {scheme}: management points answer to http or https only")]
    Scheme {
        /// The scheme found.
        scheme: String,
    },
    /// More than a server and a port.
    #[error("it has {what}: Windows PE adds its own path, so write only scheme, server and port")]
    Extra {
        /// What is too much.
        what: &'static str,
    },
}

/// A management point as media name it: scheme, server and perhaps a port, nothing else.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^https?://[^/?#@]+/?$"))]
pub struct ManagementPoint(String);

impl ManagementPoint {
    /// `http://server` or `https://server:port`, in lower case, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its scheme is HTTPS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// The port, the scheme's own when none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.is_https() { 443 } else { 80 };
        let after_brackets = self.0.rsplit(']').next().unwrap_or(&self.0);
        match after_brackets.rsplit_once(':') {
            Some((_, port)) => port.parse().unwrap_or(default),
            None => default,
        }
    }
}

impl FromStr for ManagementPoint {
    type Err = ManagementPointError;

    fn from_str(text: &str) -> Result<Self, ManagementPointError> {
        let url = Url::parse(text)
            .map_err(|error| ManagementPointError::NotAUrl { reason: error.to_string() })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ManagementPointError::Scheme { scheme: url.scheme().to_owned() });
        }
        let extras = [
            (!url.username().is_empty() || url.password().is_some(), "a user name or password"),
            (url.path() != "/", "a path"),
            (url.query().is_some(), "a query"),
            (url.fragment().is_some(), "a fragment"),
        ];
        if let Some((_, what)) = extras.into_iter().find(|(found, _)| *found) {
            return Err(ManagementPointError::Extra { what });
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

text_conversions!(ManagementPoint, ManagementPointError);

#[cfg(test)]
mod tests {
    use super::*;

    fn point(text: &str) -> ManagementPoint {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_normalised() {
        assert_eq!(point("HTTPS://MP1.Corp.Example/").as_str(), "https://mp1.corp.example");
        assert_eq!(point("http://mp1:80").as_str(), "http://mp1");
        assert_eq!(point("http://mp1:8080").as_str(), "http://mp1:8080");
    }

    #[test]
    fn the_port_is_written_or_the_schemes() {
        for (text, port) in [
            ("http://mp1", 80),
            ("https://mp1", 443),
            ("http://mp1:8080", 8080),
            ("http://[fd00::1]", 80),
            ("http://[fd00::1]:8531", 8531),
        ] {
            assert_eq!(point(text).port(), port, "{text}");
        }
    }

    #[test]
    fn anything_more_than_a_server_is_refused() {
        for text in [
            "mp1.corp.example",
            "ftp://mp1",
            "http://",
            "http://mp1/SMS_MP",
            "http://mp1?x",
            "http://mp1#x",
            "http://user:pw@mp1",
        ] {
            assert!(text.parse::<ManagementPoint>().is_err(), "{text}");
        }
    }
}
