//! The side that is called: what it shows, and who is at the other end.

use std::{sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{Principal, TrustError, TrustFile, client::ALPN, files, names};

/// Whoever takes longer to prove who they are is cut off.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// One end of secure connections, as a trust file had it when this was made.
#[derive(Clone)]
pub struct ServerEnd {
    acceptor: TlsAcceptor,
    domain: String,
    /// Of our own authority alone: the only one that names workers and coordinators.
    ours: Arc<dyn ClientCertVerifier>,
}

impl ServerEnd {
    /// Reads the files that `file` names.
    pub fn new(file: &TrustFile) -> Result<Self, TrustError> {
        let mut own = vec![file.authority.certificate.clone()];
        own.extend(file.authority.also.iter().cloned());
        let ours = files::roots(&own)?;
        let mut all = ours.clone();
        all.extend(files::roots(&file.clients.authorities)?.roots);
        let chain = files::certificates(&file.server.certificate)?;
        let key = files::private_key(&file.server.key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier(all)?)
            .with_single_cert(chain, key);
        let wrong = |error: rustls::Error| TrustError::Content {
            path: file.server.certificate.clone(),
            problem: format!("it doesn't go with its key: {error}"),
        };
        let mut config = config.map_err(wrong)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A ticket would bring somebody back whose certificate has ended since.
        config.send_tls13_tickets = 0;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, domain: file.domain.clone(), ours: verifier(ours)? })
    }

    /// Secures a connection, and says who is at its other end: nobody that we know, if no certificate was
    /// shown.
    pub async fn accept(
        &self,
        tcp: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<Principal>), TrustError> {
        let accepted = tokio::time::timeout(HANDSHAKE_WITHIN, self.acceptor.accept(tcp)).await;
        let late = |_| TrustError::Handshake(std::io::ErrorKind::TimedOut.into());
        let stream = accepted.map_err(late)?.map_err(TrustError::Handshake)?;
        let chain = stream.get_ref().1.peer_certificates();
        let principal = chain.map(|chain| self.principal(chain)).transpose()?;
        Ok((stream, principal))
    }

    /// Whom a chain names that the handshake has verified already.
    fn principal(&self, chain: &[CertificateDer<'_>]) -> Result<Principal, TrustError> {
        let nobody = || TrustError::Nobody("the chain is empty".into());
        let (own, others) = chain.split_first().ok_or_else(nobody)?;
        // An authority of the organisation's own may call somebody what it likes: only ours makes
        // workers and coordinators.
        let is_ours = self.ours.verify_client_cert(own, others, UnixTime::now()).is_ok();
        let (identity, until) = match is_ours {
            true => names::named_by_us(own, &self.domain)?,
            false => names::named_by_others(own)?,
        };
        Ok(Principal { identity, groups: Vec::new(), until: Some(until.unix_timestamp()) })
    }
}

/// Certificates may be left out, for those who have a token or want their first certificate; a wrong
/// one is refused.
fn verifier(roots: RootCertStore) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.allow_unauthenticated().build();
    verifier.map_err(|error| TrustError::Tls(rustls::Error::General(error.to_string())))
}
