//! Whom we trust, and the certificate that we show.

use std::path::Path;

use p12_keystore::Pkcs12Archive;
use reqwest::{Certificate, ClientBuilder, Identity};
use url::Url;

use crate::access_file::{ClientCertificate, ServerTable};
use crate::error::{AccessError, address};

/// Private roots besides the system's, and a client certificate. There is no way to trust everybody.
pub(crate) fn configure(
    mut builder: ClientBuilder,
    url: &Url,
    table: &ServerTable,
) -> Result<ClientBuilder, AccessError> {
    if let Some(path) = &table.ca {
        let wrong = |problem: String| wrong(url, path, problem);
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
        if roots.is_empty() {
            return Err(wrong("it holds no certificate in PEM form".into()));
        }
        builder = roots.into_iter().fold(builder, ClientBuilder::add_root_certificate);
    }
    match &table.client_certificate {
        Some(certificate) => Ok(builder.identity(identity(url, certificate)?)),
        None => Ok(builder),
    }
}

fn wrong(url: &Url, path: &Path, problem: String) -> AccessError {
    AccessError::Certificate { server: address(url), path: path.to_owned(), problem }
}

fn identity(url: &Url, certificate: &ClientCertificate) -> Result<Identity, AccessError> {
    let wrong = |problem: String| wrong(url, &certificate.file, problem);
    let secret = |source| AccessError::Secret { server: address(url), source };
    let password = certificate.password.as_ref();
    let password = password.ok_or_else(|| wrong("its password is not named".into()))?;
    let password = password.read().map_err(secret)?;
    let file = std::fs::read(&certificate.file).map_err(|error| wrong(error.to_string()))?;
    let archive = Pkcs12Archive::from_pkcs12(&file, password.expose()).map_err(|error| {
        wrong(format!("{error}; check that it is a .pfx file and its password"))
    })?;
    let key = archive.keys.first().ok_or_else(|| wrong("it holds no private key".into()))?;
    let mut pem = block("PRIVATE KEY", key.key.as_der());
    for bag in &archive.certs {
        pem.push_str(&block("CERTIFICATE", bag.cert.as_der()));
    }
    Identity::from_pem(pem.as_bytes()).map_err(|error| wrong(error.to_string()))
}

fn block(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
