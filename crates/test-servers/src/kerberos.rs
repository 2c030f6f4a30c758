//! A Kerberos realm of one's own: MIT's KDC on loopback, with a user and the service `HTTP/localhost`.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    ports::free_port,
    ready::{becomes_ready, listens},
};

const REALM: &str = "CORP.EXAMPLE";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A user of the realm. MIT's KDC knows no names of the form `user@domain`, which Windows' does.
pub const USER: &str = r"CORP.EXAMPLE\alice";
const PRINCIPAL: &str = "alice@CORP.EXAMPLE";
/// The user's password.
pub const PASSWORD: &str = "Kerberos-pass-1";

/// A running realm. Its KDC is ended when this is dropped.
pub struct Realm {
    /// Where tickets come from: `tcp://127.0.0.1:12345`.
    pub kdc: String,
    server: Child,
    folder: TempDir,
}

impl Realm {
    /// Makes the realm and starts its KDC.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let port = free_port();
        let here = folder.path().display().to_string();
        let configuration = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\nrdns = false\n\
             [realms]\n{REALM} = {{\nkdc = 127.0.0.1:{port}\n}}\n"
        );
        let of_kdc = format!(
            "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n{REALM} = {{\ndatabase_name = {here}/principal\nkey_stash_file = {here}/stash\n\
             acl_file = {here}/acl\nsupported_enctypes = aes256-cts:normal aes128-cts:normal\n}}\n"
        );
        fs::write(folder.path().join("krb5.conf"), configuration).unwrap();
        fs::write(folder.path().join("kdc.conf"), of_kdc).unwrap();
        let tool = |name: &str, arguments: &[&str]| {
            let mut command = Command::new(format!("/usr/sbin/{name}"));
            command.args(["-r", REALM]).args(arguments);
            command.env("KRB5_CONFIG", folder.path().join("krb5.conf"));
            command.env("KRB5_KDC_PROFILE", folder.path().join("kdc.conf"));
            command
        };
        let run = |name: &str, arguments: &[&str]| {
            let output = tool(name, arguments).output();
            let output = output.unwrap_or_else(|e| panic!("{name}: {e}: run ./setup.sh tests"));
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run("kdb5_util", &["create", "-s", "-P", "master-key-of-the-test"]);
        let query = |text: &str| run("kadmin.local", &["-q", text]);
        query(&format!("addprinc -pw {PASSWORD} +requires_preauth {PRINCIPAL}"));
        query(&format!("addprinc -randkey HTTP/localhost@{REALM}"));
        query(&format!("ktadd -k {here}/keytab HTTP/localhost@{REALM}"));
        fs::set_permissions(
            folder.path().join("keytab"),
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut server = tool("krb5kdc", &["-n"]);
        let server = server
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut this = Self { kdc: format!("tcp://127.0.0.1:{port}"), server, folder };
        assert!(becomes_ready(&mut this.server, READY_WITHIN, || listens(port)));
        this
    }

    /// `krb5.conf`.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("krb5.conf")
    }

    /// The service's keys.
    pub fn keytab(&self) -> PathBuf {
        self.folder.path().join("keytab")
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
