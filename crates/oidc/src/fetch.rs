//! Asks an issuer for its keys: discovery, then the key set that it names.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::{Certificate, Client, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use url::{Host, Url};

use crate::{OidcError, OidcSettings};

const DISCOVERY: &str = ".well-known/openid-configuration";
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Of one answer, to its last byte.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes. Those of real issuers have some ten thousand.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Fetches keys.
pub(crate) struct Fetcher {
    client: Client,
    issuer: Url,
}

/// What an issuer says about itself.
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Fetcher {
    pub fn new(settings: &OidcSettings) -> Result<Self, OidcError> {
        is_secure("the issuer", &settings.issuer)?;
        // A redirect could lead anywhere, and no issuer needs one.
        let mut client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(Policy::none());
        if let Some(path) = &settings.root {
            let wrong = |problem: String| OidcError::Root { path: path.clone(), problem };
            let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let roots = Certificate::from_pem_bundle(&pem);
            let roots = roots.map_err(|error| wrong(told(&error)))?;
            if roots.is_empty() {
                return Err(wrong("there is no certificate in it".to_owned()));
            }
            client = client.tls_certs_only(roots);
        }
        let client = client.build().map_err(|error| OidcError::Client(told(&error)))?;
        Ok(Self { client, issuer: settings.issuer.clone() })
    }

    pub fn issuer(&self) -> &Url {
        &self.issuer
    }

    /// The issuer's keys, those of other kinds than ours left out.
    pub async fn keys(&self) -> Result<Vec<Jwk>, String> {
        let discovery = format!("{}/{DISCOVERY}", trimmed(self.issuer.as_str()));
        let discovered: Discovered = self.get(&discovery).await?;
        if trimmed(&discovered.issuer) != trimmed(self.issuer.as_str()) {
            return Err(format!("{discovery} is of another issuer, {}", discovered.issuer));
        }
        let keys = Url::parse(&discovered.jwks_uri);
        let keys =
            keys.map_err(|error| format!("{discovery}: the address of its keys: {error}"))?;
        is_secure("the address of its keys", &keys).map_err(|error| error.to_string())?;
        let set: KeySet = self.get(keys.as_str()).await?;
        Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", told(&error));
        let mut answer = self.client.get(url).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(format!("{url} answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(format!("{url} answers with more than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
    }
}

/// Issuers write themselves with or without a slash at the end.
pub(crate) fn trimmed(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

fn is_secure(what: &'static str, url: &Url) -> Result<(), OidcError> {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && here) {
        return Ok(());
    }
    Err(OidcError::Insecure { what, url: url.to_string() })
}

/// An error with all that is behind it: the reason is at its end.
fn told(error: &reqwest::Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told.push_str(&format!(": {error}"));
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_in_clear() {
        for good in [
            "https://login.corp.example/realm",
            "http://localhost:9400",
            "http://127.0.0.2",
            "http://[::1]:1",
        ] {
            assert!(is_secure("the issuer", &good.parse().unwrap()).is_ok(), "{good}");
        }
        for bad in [
            "http://login.corp.example",
            "http://localhost.corp.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "file:///keys",
        ] {
            assert!(is_secure("the issuer", &bad.parse().unwrap()).is_err(), "{bad}");
        }
    }
}
