//! Certificates and keys in files.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::TrustError;

/// All certificates of a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let pem = read(path)?;
    let wrong = |problem: String| TrustError::Content { path: path.into(), problem };
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(format!("it is no PEM file: {error}")))?;
    if found.is_empty() {
        return Err(wrong("it holds no certificate in PEM form".into()));
    }
    Ok(found)
}

/// The private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TrustError> {
    let pem = read(path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TrustError::Content {
        path: path.into(),
        // What the parser says of a key might quote it.
        problem: match error {
            rustls_pki_types::pem::Error::NoItemsFound => "it holds no private key in PEM form",
            _ => "it is no PEM file of a private key",
        }
        .into(),
    })
}

/// Roots from files.
pub(crate) fn roots(paths: &[PathBuf]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| TrustError::Content {
                path: path.clone(),
                problem: format!("it can't be a root: {error}"),
            })?;
        }
    }
    Ok(roots)
}

pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TrustError> {
    let failed = |problem| TrustError::File { path: path.into(), how: "read", problem };
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

/// Writes a new file that its owner alone may read.
pub fn write_private(path: &Path, body: &[u8]) -> Result<(), TrustError> {
    write(path, body, false)
}

/// Writes a file that its owner alone may read; it is there wholly or not at all. What is there already
/// is kept unless it may be replaced.
pub(crate) fn write(path: &Path, body: &[u8], replace: bool) -> Result<(), TrustError> {
    let failed = |problem| TrustError::File { path: path.into(), how: "written", problem };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Made for its owner alone.
    let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let mut file = file.map_err(failed)?;
    file.write_all(body).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    if replace {
        return file.persist(path).map(drop).map_err(|error| failed(error.error));
    }
    file.persist_noclobber(path).map(drop).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => TrustError::Exists(path.into()),
        _ => failed(error.error),
    })
}

/// A folder that its owner alone may look into.
pub(crate) fn private_folder(path: &Path) -> Result<(), TrustError> {
    use std::os::unix::fs::DirBuilderExt;
    let failed = |problem| TrustError::File { path: path.into(), how: "written", problem };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
}
