//! Whom we trust, and the certificate that we show.

use std::{fmt, path::Path, sync::Arc};

use p12_keystore::Pkcs12Archive;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use url::Url;

use crate::access_file::{ClientCertificate, ServerTable};
use crate::error::{AccessError, address};

/// How connections to one server are secured.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Arc<ClientConfig>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

impl Tls {
    /// The system's roots and private ones besides, and a client certificate. There is no way to trust
    /// everybody.
    pub(crate) fn new(url: &Url, table: &ServerTable) -> Result<Self, AccessError> {
        let mut roots = RootCertStore::empty();
        // Machines without roots of the system's are told of when a server is not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &table.ca {
            let wrong = |problem: String| wrong(url, path, problem);
            let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let private: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&pem)
                .collect::<Result<_, _>>()
                .map_err(|error| wrong(error.to_string()))?;
            if roots.add_parsable_certificates(private).0 == 0 {
                return Err(wrong("it holds no certificate in PEM form".into()));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let failed = |error: rustls::Error| AccessError::unreachable(url, &error);
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().map_err(failed)?;
        let config = config.with_root_certificates(roots);
        let config = match &table.client_certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => {
                let (chain, key) = identity(url, certificate)?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong(url, &certificate.file, error.to_string()))?
            }
        };
        Ok(Self(Arc::new(config)))
    }
}

fn wrong(url: &Url, path: &Path, problem: String) -> AccessError {
    AccessError::Certificate { server: address(url), path: path.to_owned(), problem }
}

/// The chain, its own certificate first, and the key.
fn identity(
    url: &Url,
    certificate: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AccessError> {
    let wrong = |problem: String| wrong(url, &certificate.file, problem);
    let secret = |source| AccessError::Secret { server: address(url), source };
    let password = certificate.password.as_ref();
    let password = password.ok_or_else(|| wrong("its password is not named".into()))?;
    let password = password.read().map_err(secret)?;
    let file = std::fs::read(&certificate.file).map_err(|error| wrong(error.to_string()))?;
    let archive = Pkcs12Archive::from_pkcs12(&file, password.expose()).map_err(|error| {
        wrong(format!("{error}; check that it is a .pfx file and its password"))
    })?;
    let bag = archive.keys.first().ok_or_else(|| wrong("it holds no private key".into()))?;
    let key = PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec());
    let own = |id: Option<&[u8]>| id == bag.local_key_id.as_ref().map(AsRef::as_ref);
    let (first, others): (Vec<_>, Vec<_>) =
        archive.certs.iter().partition(|certificate| own(certificate.local_key_id.as_deref()));
    let chain = first.into_iter().chain(others);
    let chain = chain.map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    Ok((chain, PrivateKeyDer::from(key)))
}
