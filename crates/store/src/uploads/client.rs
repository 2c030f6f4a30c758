//! The client that sends uploads: set up as the client library's own, but without its limit of time.

use std::time::Duration;

use jiff::SignedDuration;
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::{Certificate, Client, NoProxy, Proxy};

/// Where nothing else is said.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// A client with these settings.
pub(super) fn for_uploads(options: &ClientOptions) -> reqwest::Result<Client> {
    let value = |key| options.get_config_value(&key);
    let is_on = |key| value(key).as_deref() == Some("true");
    let mut client = Client::builder()
        .https_only(!is_on(ClientConfigKey::AllowHttp))
        .danger_accept_invalid_certs(is_on(ClientConfigKey::AllowInvalidCertificates));
    if let Some(url) = value(ClientConfigKey::ProxyUrl) {
        let excluded = value(ClientConfigKey::ProxyExcludes);
        let excluded = excluded.and_then(|names| NoProxy::from_string(&names));
        client = client.proxy(Proxy::all(url)?.no_proxy(excluded));
    }
    if let Some(certificate) = value(ClientConfigKey::ProxyCaCertificate) {
        client = client.tls_certs_merge([Certificate::from_pem(certificate.as_bytes())?]);
    }
    if let Some(within) = time(options, ClientConfigKey::ConnectTimeout) {
        client = client.connect_timeout(within);
    }
    if is_on(ClientConfigKey::Http1Only) {
        client = client.http1_only();
    }
    if let Some(agent) = value(ClientConfigKey::UserAgent) {
        client = client.user_agent(agent);
    }
    client.build()
}

/// How long a server may take for its answer when it has all of an upload: as long as other requests may
/// take in all.
pub(super) fn time_for_answers(options: &ClientOptions) -> Duration {
    time(options, ClientConfigKey::Timeout).unwrap_or(ANSWER_WITHIN)
}

fn time(options: &ClientOptions, key: ClientConfigKey) -> Option<Duration> {
    let time: SignedDuration = options.get_config_value(&key)?.parse().ok()?;
    Duration::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_client_library_writes_them() {
        for (written, seconds) in [("120 seconds", 120), ("1m 30s", 90), ("15 minutes", 900)] {
            let options = ClientOptions::new().with_config(ClientConfigKey::Timeout, written);
            assert_eq!(time_for_answers(&options), Duration::from_secs(seconds), "{written}");
        }
    }
}
