//! PostgreSQL: a cluster of the test's own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    ports::free_port,
    ready::{becomes_ready, listens},
};

const BINARIES: &str = "/usr/lib/postgresql";
const SUPERUSER: &str = "prestage";
/// Its password, for connections over TCP.
pub const PASSWORD: &str = "Postgres-pass-1";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running server, ended when this is dropped.
pub struct Postgres {
    port: u16,
    server: Child,
    folder: TempDir,
}

impl Postgres {
    /// Makes the cluster and starts its server. Nothing in it outlives a power cut.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            let (user, group) = (id_of("-u"), id_of("-g"));
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let secret = folder.path().join("password");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
        let output = unprivileged("initdb")
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-instructions"])
            .arg("--pwfile")
            .arg(&secret)
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let server = serve(folder.path(), port);
        let mut this = Self { port, server, folder };
        this.wait();
        this
    }

    /// Where its database is, password and all.
    pub fn url(&self) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The same without the password.
    pub fn url_without_password(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/postgres", self.port)
    }

    /// What a password file says to let that in.
    pub fn password_line(&self) -> String {
        format!("127.0.0.1:{}:postgres:{SUPERUSER}:{PASSWORD}\n", self.port)
    }

    /// A new server over the data of the one that [`Postgres::crash`] or [`Postgres::kill`] ended.
    pub fn start_again(&mut self) {
        self.server = serve(self.folder.path(), self.port);
        self.wait();
    }

    /// All that is in it, as PostgreSQL's own tool writes it down.
    pub fn dump(&self) -> String {
        let address = ["--host", "127.0.0.1", "--port", &self.port.to_string()].map(str::to_owned);
        let mut dump = binary("pg_dump");
        dump.args(address).args(["--username", SUPERUSER, "postgres"]);
        let output = dump.env("PGPASSWORD", PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn wait(&mut self) {
        let port = self.port;
        let is_ready = becomes_ready(&mut self.server, READY_WITHIN, || {
            let address = ["--host", "127.0.0.1", "--port", &port.to_string()].map(str::to_owned);
            listens(port) && binary("pg_isready").args(address).output().unwrap().status.success()
        });
        assert!(is_ready, "{}", self.log());
    }

    /// The server's most violent end: SIGKILL to it and to all its processes. Gives the pid it had.
    pub fn kill(&mut self) -> u32 {
        let pid = self.server.id();
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(children).expect("the server runs");
        // The server first: it would follow the death of the others up.
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        for child in children.split_whitespace() {
            // It may have ended with the server.
            let _ = Command::new("kill").args(["-KILL", child]).output();
        }
        // A new server waits for none of them: it refuses to start while one is there.
        for child in children.split_whitespace() {
            while is_running(child) {
                std::thread::yield_now();
            }
        }
        pid
    }

    /// The server's violent end: SIGQUIT ends all its processes at once.
    pub fn crash(&mut self) {
        let pid = self.server.id().to_string();
        // It may have ended by itself.
        let _ = Command::new("kill").args(["-QUIT", &pid]).output();
        let _ = self.server.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

fn serve(folder: &Path, port: u16) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    unprivileged("postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .arg("-c")
        .arg(format!("unix_socket_directories={}", folder.display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A program of PostgreSQL's newest release here, as a user that it takes: root is none.
fn unprivileged(name: &str) -> Command {
    if !is_root() {
        return binary(name);
    }
    // In place of the shell-like runuser: the server is then our own child.
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    command.arg(path(name)).current_dir("/");
    command
}

fn binary(name: &str) -> Command {
    Command::new(path(name))
}

fn path(name: &str) -> PathBuf {
    let releases = fs::read_dir(BINARIES).into_iter().flatten().flatten();
    let newest = releases.map(|release| release.path().join("bin").join(name));
    let newest = newest.filter(|program| program.exists()).max();
    newest.unwrap_or_else(|| panic!("no {name} in {BINARIES}: run ./setup.sh tests"))
}

/// Whether a process does anything still: one that nobody has waited for yet does not.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn id_of(which: &str) -> u32 {
    let output = Command::new("id").args([which, "postgres"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}
