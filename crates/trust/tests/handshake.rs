//! Both ends of connections on loopback, with certificates of ours, of others, and of nobody.
#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use prestage_trust::{
    Identity, Principal, TrustError, TrustFile,
    authority::{Authority, SigningRequest},
    client::{ClientTrust, CredentialFiles, IdentityFolder},
    server::ServerEnd,
};
use time::{Duration, OffsetDateTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const DOMAIN: &str = "prestage.example";

struct Site {
    dir: tempfile::TempDir,
    authority: Authority,
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path(), DOMAIN, now()).unwrap();
        let site = Self { dir, authority };
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        site.issue("server", Identity::Coordinator("c1".into()), &hosts, Duration::days(1));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn issue(&self, name: &str, identity: Identity, hosts: &[String], lifetime: Duration) {
        let made = self.authority.credentials(&identity, hosts, now(), lifetime).unwrap();
        made.write(self.dir.path(), name).unwrap();
    }

    fn server(&self, more: &str) -> ServerEnd {
        let text = format!(
            "domain = '{DOMAIN}'\n[server]\ncertificate = 'server.pem'\nkey = 'server.key'\n\
             [authority]\ncertificate = 'authority.pem'\n{more}"
        );
        std::fs::write(self.path("trust.toml"), text).unwrap();
        ServerEnd::new(&TrustFile::load(&self.path("trust.toml")).unwrap()).unwrap()
    }

    fn client(&self, name: Option<&str>) -> ClientTrust {
        let files = |name| CredentialFiles {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        };
        ClientTrust {
            authorities: vec![self.path("authority.pem")],
            credentials: name.map(files),
            ..ClientTrust::default()
        }
    }
}

/// What both ends make of a connection. In TLS 1.3 a client learns with its first read that it was
/// refused.
async fn meet(
    server: &ServerEnd,
    client: &ClientTrust,
) -> (Result<Option<Principal>, TrustError>, Result<(), String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let (mut stream, principal) = server.accept(tcp).await?;
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        Ok(principal)
    };
    let calling = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let host = "localhost".try_into().unwrap();
        let stream = client.connect(host, tcp).await;
        let mut stream = stream.map_err(|error| error.to_string())?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await.map_err(|error| error.to_string())?;
        assert_eq!(said, "hello");
        Ok(())
    };
    tokio::join!(serving, calling)
}

#[tokio::test]
async fn certificates_of_ours_name_users_workers_and_coordinators() {
    let site = Site::new();
    let server = site.server("");
    let worker = Identity::Worker { zone: "factory".into(), name: "w1".into() };
    for (name, identity) in [
        ("alice", Identity::User("alice".into())),
        ("w1", worker),
        ("c2", Identity::Coordinator("c2".into())),
    ] {
        site.issue(name, identity.clone(), &[], Duration::hours(1));
        let (principal, said) = meet(&server, &site.client(Some(name))).await;
        said.unwrap();
        let principal = principal.unwrap().unwrap();
        assert_eq!(principal.identity, identity);
        assert!(principal.holds_at(now()) && !principal.holds_at(now() + Duration::hours(2)));
    }
    let (principal, said) = meet(&server, &site.client(None)).await;
    said.unwrap();
    assert_eq!(principal.unwrap(), None, "whoever shows nothing is nobody");
}

#[tokio::test]
async fn expired_and_foreign_certificates_and_false_servers_are_refused() {
    let site = Site::new();
    let server = site.server("");
    site.issue("old", Identity::User("alice".into()), &[], Duration::seconds(-10));
    let (principal, said) = meet(&server, &site.client(Some("old"))).await;
    assert!(principal.is_err() && said.is_err());

    let other = Site::new();
    other.issue("alice", Identity::User("alice".into()), &[], Duration::hours(1));
    let foreign =
        ClientTrust { credentials: other.client(Some("alice")).credentials, ..site.client(None) };
    let (principal, said) = meet(&server, &foreign).await;
    assert!(principal.is_err() && said.is_err());

    let (principal, said) = meet(&other.server(""), &site.client(None)).await;
    assert!(principal.is_err());
    assert!(said.unwrap_err().contains("invalid peer certificate"), "told why");
}

#[tokio::test]
async fn another_authority_names_users_by_their_subject_and_nothing_else() {
    let site = Site::new();
    let dir = site.path("corp");
    std::fs::create_dir(&dir).unwrap();
    // A certificate that claims to be a coordinator of ours.
    openssl(
        &dir,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=Corp CA",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "2",
        ],
    );
    openssl(
        &dir,
        &[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/O=Corp/CN=Alice",
            "-keyout",
            "alice.key",
            "-out",
            "alice.csr",
        ],
    );
    let claims = format!(
        "subjectAltName=URI:spiffe://{DOMAIN}/coordinator/c1\nextendedKeyUsage=clientAuth\n"
    );
    std::fs::write(dir.join("ext"), claims).unwrap();
    openssl(
        &dir,
        &[
            "x509",
            "-req",
            "-in",
            "alice.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            "ext",
            "-out",
            "alice.pem",
        ],
    );
    let server = site.server("[clients]\nauthorities = ['corp/ca.pem']\n");
    let (principal, said) = meet(&server, &site.client(Some("corp/alice"))).await;
    said.unwrap();
    let principal = principal.unwrap().unwrap();
    assert_eq!(principal.identity.to_string(), "subject/O=Corp, CN=Alice");
    // Without it in the trust file it is as foreign as any.
    let (principal, _) = meet(&site.server(""), &site.client(Some("corp/alice"))).await;
    assert!(principal.is_err());
}

#[tokio::test]
async fn a_worker_is_called_what_the_authority_says_whatever_its_request_says() {
    let site = Site::new();
    let folder = IdentityFolder::new(site.path("identity"));
    assert!(folder.validity().unwrap().is_none());
    let key = folder.new_key().unwrap();
    assert_eq!(
        SigningRequest::parse(&folder.new_key().unwrap().request).unwrap().key_hash(),
        SigningRequest::parse(&key.request).unwrap().key_hash(),
        "a request whose answer was lost is made with the same key"
    );
    let request = SigningRequest::parse(&key.request).unwrap();
    let identity = Identity::Worker { zone: "z".into(), name: "w".into() };
    let issued = site.authority.sign(&request, &identity, now(), Duration::hours(1)).unwrap();
    folder.keep(&key, &issued.chain_pem).unwrap();
    let (from, until) = folder.validity().unwrap().unwrap();
    assert!(from < now() && until > now());
    let client = ClientTrust { credentials: Some(folder.files()), ..site.client(None) };
    let (principal, said) = meet(&site.server(""), &client).await;
    said.unwrap();
    assert_eq!(principal.unwrap().unwrap().identity, identity);
    // Renewed: another key.
    let next = SigningRequest::parse(&folder.new_key().unwrap().request).unwrap();
    assert_ne!(next.key_hash(), request.key_hash());
    assert!(SigningRequest::parse(b"nonsense").is_err());
    let mut forged = key.request.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(SigningRequest::parse(&forged).is_err(), "whoever asks must have the key");
}

#[tokio::test]
async fn openssl_agrees_with_what_is_issued() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let verified = openssl(
        site.dir.path(),
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "localhost",
            "-CAfile",
            "authority.pem",
            "server.pem",
        ],
    );
    assert!(verified.contains("OK"), "{verified}");
    let shown = openssl(site.dir.path(), &["x509", "-in", "server.pem", "-noout", "-text"]);
    assert!(shown.contains(&format!("URI:spiffe://{DOMAIN}/coordinator/c1")), "{shown}");
    for file in ["authority.key", "server.key"] {
        let mode = std::fs::metadata(site.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is for its owner alone");
    }
    assert!(matches!(
        Authority::create(site.dir.path(), DOMAIN, now()),
        Err(TrustError::Exists(_))
    ));
}

fn openssl(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
