//! The side that calls: whom it trusts, and how it proves who it is.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use prestage_secret::Secret;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

use crate::{TrustError, files};

/// HTTP/2, which is what gRPC speaks.
pub(crate) const ALPN: &[u8] = b"h2";

/// What a client goes by. The files are read anew for each connection, so whatever renews them
/// needs to tell nobody.
#[derive(Clone, Debug, Default)]
pub struct ClientTrust {
    /// The authorities that coordinators' certificates may be of, PEM; none for the system's.
    pub authorities: Vec<PathBuf>,
    /// The certificate and key that it shows.
    pub credentials: Option<CredentialFiles>,
    /// The file of a token that it shows with each call.
    pub token: Option<PathBuf>,
    /// The name that a coordinator's certificate must have, whatever address it is called at; none for
    /// the address.
    pub server_name: Option<String>,
    /// Whether it may talk to other machines without TLS.
    pub insecure: bool,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub struct CredentialFiles {
    /// The certificate and those that it was issued by, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl ClientTrust {
    /// Makes a connection secure, or says why there is none: the other side is not `host`, or isn't
    /// trusted.
    pub async fn connect(
        &self,
        host: ServerName<'static>,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, TrustError> {
        let named = self.server_name.clone().map(ServerName::try_from).transpose();
        let wrong = |_| TrustError::Host(self.server_name.clone().unwrap_or_default());
        let host = named.map_err(wrong)?.unwrap_or(host);
        let this = self.clone();
        let config = tokio::task::spawn_blocking(move || this.config()).await;
        let config = config.map_err(|error| TrustError::Handshake(error.into()))??;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(host, tcp).await.map_err(TrustError::Handshake)
    }

    /// The token as it is now, for the `authorization` header.
    pub fn bearer(&self) -> Result<Option<Secret>, TrustError> {
        let Some(path) = &self.token else {
            return Ok(None);
        };
        let token = files::read(path)?;
        let wrong = || TrustError::Content {
            path: path.clone(),
            problem: "it holds no token: one line of ASCII is expected".into(),
        };
        let token = std::str::from_utf8(&token).map_err(|_| wrong())?.trim();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(wrong());
        }
        Ok(Some(Secret::new(format!("Bearer {token}"))))
    }

    fn config(&self) -> Result<ClientConfig, TrustError> {
        let roots = if self.authorities.is_empty() {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        } else {
            files::roots(&self.authorities)?
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut config = match &self.credentials {
            None => config.with_no_client_auth(),
            Some(files) => {
                let chain = files::certificates(&files.certificate)?;
                config.with_client_auth_cert(chain, files::private_key(&files.key)?)?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

/// A worker's folder of its own key and certificate. Both are in one place, which is exchanged at once
/// when they are renewed.
#[derive(Clone, Debug)]
pub struct IdentityFolder(PathBuf);

/// A key that has no certificate yet.
pub struct NewKey {
    key_pem: Zeroizing<String>,
    /// The request to sign it, DER.
    pub request: Vec<u8>,
}

impl IdentityFolder {
    /// The folder; it is made with the first certificate.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where certificate and key are: one file holds both, so that they always fit together.
    pub fn files(&self) -> CredentialFiles {
        let both = self.0.join("worker.pem");
        CredentialFiles { certificate: both.clone(), key: both }
    }

    /// From when and until when the certificate counts; `None` if there is none yet.
    pub fn validity(&self) -> Result<Option<(OffsetDateTime, OffsetDateTime)>, TrustError> {
        let path = self.files().certificate;
        if !path.exists() {
            return Ok(None);
        }
        let chain = files::certificates(&path)?;
        let wrong = |error: &dyn std::fmt::Display| TrustError::Content {
            path: path.clone(),
            problem: format!("it holds no certificate: {error}"),
        };
        let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
        let (_, own) = X509Certificate::from_der(own).map_err(|error| wrong(&error))?;
        let validity = own.validity();
        Ok(Some((validity.not_before.to_datetime(), validity.not_after.to_datetime())))
    }

    /// The key that a request is under way for: the same one until it has a certificate, so that a
    /// request whose answer was lost can be made again.
    pub fn new_key(&self) -> Result<NewKey, TrustError> {
        let path = self.0.join("worker.key.new");
        files::private_folder(&self.0)?;
        if !path.exists() {
            let pem = Zeroizing::new(KeyPair::generate()?.serialize_pem());
            match files::write(&path, pem.as_bytes(), false) {
                Ok(()) | Err(TrustError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let key = KeyPair::try_from(&files::private_key(&path)?)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "worker");
        let request = params.serialize_request(&key)?.der().to_vec();
        Ok(NewKey { key_pem: Zeroizing::new(key.serialize_pem()), request })
    }

    /// Takes a certificate for that key over.
    pub fn keep(&self, key: &NewKey, chain_pem: &str) -> Result<(), TrustError> {
        let path = self.files().certificate;
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).next();
        if !matches!(chain, Some(Ok(_))) {
            let problem = "the coordinator sent no certificate".to_owned();
            return Err(TrustError::Content { path, problem });
        }
        let both = Zeroizing::new(format!("{}{chain_pem}", *key.key_pem));
        files::write(&path, both.as_bytes(), true)?;
        let new = self.0.join("worker.key.new");
        match std::fs::remove_file(&new) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(problem) => Err(TrustError::File { path: new, how: "removed", problem }),
        }
    }
}
