//! Channels, secured where their URL says so.

use std::net::IpAddr;

use hyper_util::rt::TokioIo;
use prestage_trust::client::ClientTrust;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

const PORT_DEFAULT: u16 = 443;

/// An endpoint can't be called.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// It names no host.
    #[error("it names no host")]
    NoHost,
    /// Neither of the schemes that there are.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// Whoever is between here and there could read and change everything.
    #[error(
        "there is no TLS, which is fine on this machine only: use https, or --insecure in a network \
         where nobody listens"
    )]
    Plain,
}

/// A channel that connects with its first call.
pub fn channel_to(endpoint: Endpoint, trust: &ClientTrust) -> Result<Channel, ChannelError> {
    let uri = endpoint.uri().clone();
    let host = uri.host().ok_or(ChannelError::NoHost)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if is_this_machine(&host) => return Ok(endpoint.connect_lazy()),
        Some("http") if trust.insecure => {
            tracing::warn!(host, "no TLS: whoever is on the way can read and change everything");
            return Ok(endpoint.connect_lazy());
        }
        Some("http") => return Err(ChannelError::Plain),
        _ => return Err(ChannelError::Scheme),
    }
    let server = ServerName::try_from(host.clone()).map_err(|_| ChannelError::NoHost)?;
    let (port, trust) = (uri.port_u16().unwrap_or(PORT_DEFAULT), trust.clone());
    let connect = tower::service_fn(move |_: http::Uri| {
        let (host, server, trust) = (host.clone(), server.clone(), trust.clone());
        async move {
            let tcp = TcpStream::connect((host.as_str(), port)).await?;
            // Calls are small and waited for.
            tcp.set_nodelay(true)?;
            let secured = trust.connect(server, tcp).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(TokioIo::new(secured))
        }
    });
    Ok(endpoint.connect_with_connector_lazy(connect))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(url: &str, insecure: bool) -> Result<Channel, ChannelError> {
        let trust = ClientTrust { insecure, ..ClientTrust::default() };
        channel_to(Endpoint::from_shared(url.to_owned()).unwrap(), &trust)
    }

    #[tokio::test]
    async fn only_this_machine_is_talked_to_without_tls() {
        for url in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://c:1"] {
            assert!(channel(url, false).is_ok(), "{url}");
        }
        for url in ["http://c.example:1", "http://10.0.0.1:1", "http://[fd00::1]:1"] {
            assert!(matches!(channel(url, false), Err(ChannelError::Plain)), "{url}");
            assert!(channel(url, true).is_ok(), "{url}");
        }
        assert!(matches!(channel("ftp://c.example:1", true), Err(ChannelError::Scheme)));
    }
}
