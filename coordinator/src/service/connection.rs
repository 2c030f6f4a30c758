//! Connections from other processes, secured where there is a trust file.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::StreamExt;
use prestage_trust::Principal;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::transport::server::Connected;

use super::open_connections::{OpenConnection, OpenConnections, Refusals};
use crate::trust::Trust;

/// So many may be proving who they are at once; others wait to be accepted.
const HANDSHAKES_MAX: usize = 256;
/// A listener that can't accept (no file is left) is asked again after this time, not at once.
const ACCEPT_AGAIN_IN: Duration = Duration::from_millis(200);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Whom their certificate names, if they have shown one.
    pub principal: Option<Principal>,
    /// Where they are.
    pub address: Option<SocketAddr>,
}

/// A connection.
pub(crate) struct Connection {
    io: Pin<Box<dyn ReadWrite>>,
    peer: Peer,
    _open: OpenConnection,
}

trait ReadWrite: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ReadWrite for T {}

/// The connections that come to a listener. One that fails, or finds no room, is no more than a line in
/// the log.
pub(crate) fn connections(
    listener: TcpListener,
    trust: Option<Arc<Trust>>,
) -> impl Stream<Item = std::io::Result<Connection>> {
    let entrance = Arc::new(Entrance {
        open: OpenConnections::new(trust.is_some()),
        trust,
        not_accepted: Refusals::default(),
    });
    let incoming = TcpListenerStream::new(listener);
    let secured = incoming.map(move |tcp| {
        let entrance = entrance.clone();
        async move { entrance.let_in(tcp).await }
    });
    secured.buffer_unordered(HANDSHAKES_MAX).filter_map(|made| async move { made.map(Ok) })
}

/// Where connections come in.
struct Entrance {
    open: OpenConnections,
    trust: Option<Arc<Trust>>,
    not_accepted: Refusals,
}

impl Entrance {
    async fn let_in(&self, accepted: std::io::Result<TcpStream>) -> Option<Connection> {
        let tcp = match accepted {
            Ok(tcp) => tcp,
            Err(error) => {
                if let Some(times) = self.not_accepted.count(tokio::time::Instant::now()) {
                    tracing::error!(%error, times, "connections can't be accepted");
                }
                tokio::time::sleep(ACCEPT_AGAIN_IN).await;
                return None;
            }
        };
        let address = tcp.peer_addr().ok();
        // Answers are small and waited for. One that is gone already is seen when it is read.
        let _ = tcp.set_nodelay(true);
        let (io, principal) = self.secure(tcp, address).await?;
        let open = self.open.admit(principal.as_ref(), address)?;
        Some(Connection { io, peer: Peer { principal, address }, _open: open })
    }

    async fn secure(
        &self,
        tcp: TcpStream,
        address: Option<SocketAddr>,
    ) -> Option<(Pin<Box<dyn ReadWrite>>, Option<Principal>)> {
        let Some(trust) = &self.trust else {
            return Some((Box::pin(tcp), None));
        };
        match trust.now().end.accept(tcp).await {
            Ok((stream, principal)) => Some((Box::pin(stream), principal)),
            Err(error) => {
                tracing::info!(%error, ?address, "a connection was refused");
                None
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.io.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.io.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.io.as_mut().poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_connection_has_its_place_until_it_ends_and_the_next_one_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = OpenConnections::with_files(false, 2);
        let entrance = Entrance { open, trust: None, not_accepted: Refusals::default() };
        let come = async || {
            let theirs = TcpStream::connect(address).await.unwrap();
            let ours = listener.accept().await.map(|(tcp, _)| tcp);
            (theirs, entrance.let_in(ours).await)
        };
        let (_first, one) = come().await;
        let (_second, two) = come().await;
        assert!(one.is_some() && two.is_some());
        let (mut third, refused) = come().await;
        assert!(refused.is_none());
        // It is told so at once: closed, not left waiting.
        assert!(matches!(third.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        drop(one);
        assert!(come().await.1.is_some());
    }
}
