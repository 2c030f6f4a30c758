//! gRPC over the simulated network.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, stream};
use hyper_util::rt::TokioIo;
use prestage_connect::{Coordinators, endpoint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::{Channel, server::Connected};
use turmoil::net::{TcpListener, TcpStream};

/// Where coordinators listen.
const PORT: u16 = 7420;

/// A connection that was accepted.
pub struct Accepted(TcpStream);

/// What comes to this host.
pub async fn incoming() -> io::Result<impl Stream<Item = io::Result<Accepted>> + Send + 'static> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    Ok(stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| Accepted(stream));
        Some((accepted, listener))
    }))
}

/// The URL of a coordinator.
pub fn url(host: &str) -> String {
    format!("http://{host}:{PORT}")
}

/// Some coordinators, reached over the network as the product reaches several.
pub fn coordinators(hosts: &[String]) -> Coordinators {
    let channels: Vec<Channel> = hosts.iter().filter_map(|host| channel(host)).collect();
    Coordinators::reached_by(channels)
}

fn channel(host: &str) -> Option<Channel> {
    let endpoint = endpoint(&url(host), true).ok()?;
    Some(endpoint.connect_with_connector_lazy(tower::service_fn(connect)))
}

/// Connects to a host.
pub async fn connect(uri: http::Uri) -> io::Result<TokioIo<TcpStream>> {
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    Ok(TokioIo::new(TcpStream::connect(authority).await?))
}

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
