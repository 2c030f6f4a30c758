//! Apache, with what a site's web servers do: Windows authentication, ranges, WebDAV listings, TLS.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    kerberos::Realm,
    ports::free_port,
    ready::{becomes_ready, listens},
    tls::Root,
};

const MODULES: &str = "/usr/lib/apache2/modules";
const READY_WITHIN: Duration = Duration::from_secs(30);
const ALWAYS: &[&str] = &[
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "alias",
    "autoindex",
    "dir",
    "headers",
    "dav",
    "dav_fs",
    "setenvif",
    "rewrite",
];

/// A user that the NTLM server knows.
pub const USER: &str = r"CORP\alice";
/// The user's password.
pub const PASSWORD: &str = "Pass-word-1";

/// What a server is to be.
#[derive(Default)]
pub struct Settings<'a> {
    /// Folders by the path that they are served under.
    pub folders: Vec<(&'a str, &'a Path)>,
    /// Where everything below a path is passed on to.
    pub proxy: Option<(&'a str, &'a str)>,
    /// NTLM for everybody.
    pub ntlm: bool,
    /// Kerberos for everybody, in this realm.
    pub kerberos: Option<&'a Realm>,
    /// TLS, with a certificate of this root.
    pub tls: Option<&'a Root>,
    /// With TLS: only clients with a certificate of this root are let in.
    pub client_certificates: Option<&'a Root>,
    /// Folders are listed as HTML pages, not by PROPFIND.
    pub html_listings: bool,
    /// Further lines of configuration.
    pub more: &'a str,
}

/// A running Apache. It is ended when this is dropped.
pub struct Apache {
    /// Its address: `http://localhost:12345`.
    pub address: String,
    server: Child,
    folder: TempDir,
}

impl Apache {
    /// Starts one and waits until it answers.
    pub fn start(settings: &Settings<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its workers may run as another user.
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let port = free_port();
        fs::write(folder.path().join("users"), users()).unwrap();
        if let Some(root) = settings.tls {
            root.issue(folder.path());
        }
        if let Some(root) = settings.client_certificates {
            fs::write(folder.path().join("clients.crt"), root.pem()).unwrap();
        }
        let file = folder.path().join("httpd.conf");
        fs::write(&file, configuration(settings, folder.path(), port)).unwrap();
        let log = fs::File::create(folder.path().join("out")).unwrap();
        let mut command = Command::new("/usr/sbin/apache2");
        command.arg("-f").arg(&file).arg("-X").env("NTLM_USER_FILE", folder.path().join("users"));
        if let Some(realm) = settings.kerberos {
            command.env("KRB5_CONFIG", realm.configuration()).env("KRB5_KTNAME", realm.keytab());
        }
        let server =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let server =
            server.unwrap_or_else(|error| panic!("apache2: {error}: run ./setup.sh tests"));
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let mut this = Self { address: format!("{scheme}://localhost:{port}"), server, folder };
        let is_ready = becomes_ready(&mut this.server, READY_WITHIN, || listens(port));
        assert!(is_ready, "apache2: {}", this.log());
        this
    }

    /// The requests that it has answered, a line each.
    pub fn requests(&self) -> String {
        fs::read_to_string(self.folder.path().join("requests")).unwrap_or_default()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let read =
            |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read("out"), read("errors"))
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn users() -> String {
    format!("{}:{PASSWORD}\n", USER.replace('\\', ":"))
}

fn configuration(settings: &Settings<'_>, folder: &Path, port: u16) -> String {
    let mut modules: Vec<&str> = ALWAYS.to_vec();
    let here = folder.display();
    let mut text = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nListen 127.0.0.1:{port}\n\
         ErrorLog {here}/errors\n\
         LogFormat \"%m %U %>s\" short\nCustomLog {here}/requests short\nDocumentRoot {here}\nDavLockDB {here}/locks\nKeepAlive On\n\
         KeepAliveTimeout 30\nDirectorySlash Off\nTypesConfig /dev/null\n<Directory />\nRequire all granted\n</Directory>\n"
    );
    modules.push("mime");
    if settings.ntlm || settings.kerberos.is_some() {
        modules.push("auth_gssapi");
        let mechanism = if settings.ntlm { "ntlmssp" } else { "krb5" };
        let _ = write!(
            text,
            "<Location />\nAuthType GSSAPI\nAuthName site\nGssapiAllowedMech {mechanism}\n\
             GssapiConnectionBound On\nRequire valid-user\n</Location>\n"
        );
    }
    if settings.tls.is_some() {
        modules.extend(["socache_shmcb", "ssl"]);
        let _ = write!(
            text,
            "SSLEngine On\nSSLCertificateFile {here}/server.crt\nSSLCertificateKeyFile {here}/server.key\n"
        );
    }
    if settings.client_certificates.is_some() {
        let _ = write!(text, "SSLVerifyClient require\nSSLCACertificateFile {here}/clients.crt\n");
    }
    if let Some((path, to)) = settings.proxy {
        modules.extend(["proxy", "proxy_http"]);
        let _ = writeln!(text, "AllowEncodedSlashes NoDecode\nProxyPass {path} {to} nocanon");
    }
    for (path, of) in &settings.folders {
        let of: PathBuf = fs::canonicalize(of).unwrap();
        let listing = if settings.html_listings { "Options +Indexes" } else { "Dav On" };
        let _ = write!(
            text,
            "Alias \"{path}\" \"{0}\"\n<Directory \"{0}\">\n{listing}\nRequire all granted\n</Directory>\n",
            of.display()
        );
    }
    text.push_str(settings.more);
    let loaded =
        modules.iter().map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
    loaded.collect::<String>() + &text
}
