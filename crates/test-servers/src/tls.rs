//! Certificates for test servers, and the private root that they are trusted by.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A root of one's own.
pub struct Root(CertifiedIssuer<'static, KeyPair>);

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

impl Root {
    /// A new root.
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "Root of the test");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate for `localhost` and its key, as `server.crt` and `server.key`.
    pub fn issue(&self, folder: &Path) {
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        std::fs::write(folder.join("server.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
    }
}
