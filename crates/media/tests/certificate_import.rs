//! Imported PKCS#12 files as openssl makes them, and what becomes of them, judged by openssl.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use prestage_media::certificate::{
    CertificateError, CertificateKind, ImportError, Imported, import, thumbprint,
};
use prestage_media::{MediaId, Secret, SecretBytes};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

const PASSWORD: &str = "Pfx-password-1";
const USAGE: &str = "keyUsage=critical,digitalSignature,keyEncipherment";
const CLIENT: &str = "extendedKeyUsage=clientAuth";

/// A root, an issuing authority below it, and a folder for what they issue.
struct Authority {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        authority.request("root", "rsa:2048");
        authority.sign("root", None, &["basicConstraints=critical,CA:TRUE"]);
        authority.request("issuing", "rsa:2048");
        authority.sign("issuing", Some("root"), &["basicConstraints=critical,CA:TRUE"]);
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> String {
        let output = Command::new("openssl")
            .args(arguments.split(' ').filter(|argument| !argument.is_empty()))
            .current_dir(self.folder.path())
            .output()
            .unwrap_or_else(|error| panic!("install the package openssl: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {errors}");
        format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
    }

    fn request(&self, name: &str, key: &str) {
        let key = if key == "ec" { "ec -pkeyopt ec_paramgen_curve:P-256" } else { key };
        self.openssl(&format!(
            "req -new -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
    }

    fn sign(&self, name: &str, by: Option<&str>, extensions: &[&str]) {
        std::fs::write(self.path("extensions"), extensions.join("\n")).unwrap();
        let by = match by {
            Some(by) => format!("-CA {by}.crt -CAkey {by}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr {by} -days 365 -sha256 -extfile extensions -out {name}.crt"
        ));
    }

    /// A certificate for media, in a PKCS#12 file.
    fn media(&self, key: &str, extensions: &[&str], with: &str) -> SecretBytes {
        self.request("media", key);
        self.sign("media", Some("issuing"), extensions);
        self.export("media", with)
    }

    fn export(&self, name: &str, with: &str) -> SecretBytes {
        let chain = [read(&self.path("issuing.crt")), read(&self.path("root.crt"))].concat();
        std::fs::write(self.path("chain.pem"), chain).unwrap();
        self.openssl(&format!(
            "pkcs12 -export -inkey {name}.key -in {name}.crt -out {name}.pfx -passout pass:{PASSWORD} {with}"
        ));
        SecretBytes::new(read(&self.path(&format!("{name}.pfx"))))
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn media_id() -> MediaId {
    MediaId::from_random([0x5A; 16])
}

fn take(file: &SecretBytes, password: &str, at: OffsetDateTime) -> Result<Imported, ImportError> {
    import(file, &Secret::from(password), media_id(), at).map_err(|error| match error {
        CertificateError::Import(error) => error,
        other => panic!("{other}"),
    })
}

fn refused(file: &SecretBytes) -> ImportError {
    take(file, PASSWORD, now()).map(drop).unwrap_err()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::minutes(1)
}

#[test]
fn files_of_every_age_are_taken_over_with_their_chain() {
    let authority = Authority::new();
    let modern = authority.media("rsa:2048", &[USAGE, CLIENT], "-certfile chain.pem");
    let legacy = authority.export("media", "-certfile chain.pem -legacy -descert");
    for file in [modern, legacy] {
        let Imported { certificate, warnings } = take(&file, PASSWORD, now()).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(certificate.kind, CertificateKind::Pki);
        assert_eq!((&*certificate.subject, &*certificate.issuer), ("CN=media", "CN=issuing"));
        authority.openssl("x509 -in media.crt -outform DER -out media.der");
        assert_eq!(certificate.certificate, read(&authority.path("media.der")));
        assert_eq!(certificate.thumbprint, thumbprint(&certificate.certificate));
        // What the medium carries, opened with the password of its format.
        std::fs::write(authority.path("wrapped.pfx"), certificate.pfx.expose()).unwrap();
        let password = media_id().pfx_password();
        let password = password.expose();
        let opened = authority.openssl(&format!(
            "pkcs12 -in wrapped.pfx -passin pass:{password} -legacy -nodes -info"
        ));
        for part in
            ["PRIVATE KEY", "subject=CN = media", "subject=CN = issuing", "subject=CN = root"]
        {
            assert!(opened.contains(part), "{part} is missing in\n{opened}");
        }
        let key = |source: &str| authority.openssl(&format!("rsa -in {source} -pubout"));
        std::fs::write(authority.path("wrapped.pem"), &opened).unwrap();
        assert_eq!(key("wrapped.pem"), key("media.key"));
    }
}

#[test]
fn what_the_file_leaves_open_is_a_warning() {
    let authority = Authority::new();
    let alone = authority.media("rsa:2048", &[USAGE, CLIENT], "");
    let warned = |file, at| take(file, PASSWORD, at).unwrap().warnings.join("\n");
    assert!(warned(&alone, now()).contains("no certificate of the authority"));
    let chained = authority.export("media", "-certfile chain.pem");
    let late = now() + Duration::days(340);
    assert!(warned(&chained, late).contains("expires on"), "{}", warned(&chained, late));
    authority.request("own", "rsa:2048");
    authority.sign("own", None, &[USAGE, CLIENT]);
    assert!(warned(&authority.export("own", ""), now()).contains("is self-signed"));
}

#[test]
fn what_cannot_serve_a_medium_is_refused() {
    let authority = Authority::new();
    let good = authority.media("rsa:2048", &[USAGE, CLIENT], "-certfile chain.pem");
    assert_eq!(take(&good, "wrong", now()).map(drop).unwrap_err(), ImportError::Password);
    let garbage = SecretBytes::new(b"not a PKCS#12 file".to_vec());
    assert!(matches!(refused(&garbage), ImportError::Unreadable { .. }));
    let truncated = SecretBytes::new(good.expose()[..good.expose().len() / 2].to_vec());
    assert!(matches!(refused(&truncated), ImportError::Unreadable { .. }));
    for (at, advice) in
        [(now() + Duration::days(400), "renew"), (now() - Duration::days(9), "wait")]
    {
        let told = take(&good, PASSWORD, at).map(drop).unwrap_err();
        assert!(
            matches!(told, ImportError::Validity { advice: a, .. } if a.contains(advice)),
            "{told}"
        );
    }
    let without_key = authority.export("media", "-nokeys");
    assert_eq!(refused(&without_key), ImportError::NoKey);
    // Renewed with the same key, and exported with the old one.
    std::fs::copy(authority.path("media.crt"), authority.path("old.crt")).unwrap();
    authority.sign("media", Some("issuing"), &[USAGE, CLIENT]);
    let both = authority.export("media", "-certfile old.crt");
    assert_eq!(refused(&both), ImportError::Several { count: 2 });
    let server = authority.media("rsa:2048", &[USAGE, "extendedKeyUsage=serverAuth"], "");
    assert!(matches!(refused(&server), ImportError::Usage { .. }));
    let encrypts = authority.media("rsa:2048", &["keyUsage=keyEncipherment", CLIENT], "");
    assert!(matches!(refused(&encrypts), ImportError::Usage { .. }));
    assert_eq!(refused(&authority.media("ec", &[USAGE, CLIENT], "")), ImportError::NotRsa);
}

#[test]
fn a_chain_whose_signatures_do_not_hold_is_refused() {
    let authority = Authority::new();
    authority.media("rsa:2048", &[USAGE, CLIENT], "");
    // Another authority of the same name.
    authority.request("issuing", "rsa:2048");
    authority.sign("issuing", Some("root"), &["basicConstraints=critical,CA:TRUE"]);
    let refused = refused(&authority.export("media", "-certfile chain.pem"));
    assert!(matches!(refused, ImportError::Chain { .. }), "{refused}");
}
