//! Certificates for test servers, and the private root that they are trusted by.

use std::{path::Path, process::Command};

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

    /// A client's certificate with its key as `client.pfx`, under this password.
    pub fn issue_client(&self, folder: &Path, password: &str) {
        self.issue(folder);
        let pfx = folder.join("client.pfx");
        let made = Command::new("openssl")
            .args(["pkcs12", "-export", "-in", "server.crt", "-inkey", "server.key", "-out"])
            .arg(&pfx)
            .arg("-passout")
            .arg(format!("pass:{password}"))
            .current_dir(folder)
            .output();
        let made = made.unwrap_or_else(|error| panic!("install the package openssl: {error}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
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
