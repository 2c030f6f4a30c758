//! Connections from other processes, secured where there is a trust file.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::StreamExt;
use prestage_trust::Principal;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::transport::server::Connected;

use crate::trust::Trust;

/// So many may be proving who they are at once; others wait to be accepted.
const HANDSHAKES_MAX: usize = 256;

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
}

trait ReadWrite: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ReadWrite for T {}

/// The connections that come to a listener. One that fails is no more than a line in the log.
pub(crate) fn connections(
    listener: TcpListener,
    trust: Option<Arc<Trust>>,
) -> impl Stream<Item = std::io::Result<Connection>> {
    let incoming = TcpListenerStream::new(listener);
    let secured = incoming.map(move |tcp| {
        let trust = trust.clone();
        async move {
            let tcp = tcp?;
            let address = tcp.peer_addr().ok();
            // Answers are small and waited for.
            tcp.set_nodelay(true)?;
            Ok::<_, std::io::Error>(secure(tcp, address, trust).await)
        }
    });
    secured.buffer_unordered(HANDSHAKES_MAX).filter_map(|made| async move { made.transpose() })
}

async fn secure(
    tcp: TcpStream,
    address: Option<SocketAddr>,
    trust: Option<Arc<Trust>>,
) -> Option<Connection> {
    let Some(trust) = trust else {
        let peer = Peer { principal: None, address };
        return Some(Connection { io: Box::pin(tcp), peer });
    };
    match trust.now().end.accept(tcp).await {
        Ok((stream, principal)) => {
            let peer = Peer { principal, address };
            Some(Connection { io: Box::pin(stream), peer })
        }
        Err(error) => {
            tracing::info!(%error, ?address, "a connection was refused");
            None
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
