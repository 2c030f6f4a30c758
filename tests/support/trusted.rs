//! A coordinator that trusts by a trust file, and those who come to it.

use std::{path::PathBuf, process::Output, sync::mpsc};

use serde_json::Value;

use super::{
    Demo, Running, command,
    fleet::{service, wait_until},
    ok, prestage,
};

/// The domain of the tests' authority.
pub const DOMAIN: &str = "prestage.test";

/// An authority, its trust file, and an administrator: what `prestage trust init` makes.
pub struct Trusted<'a> {
    demo: &'a Demo,
}

impl<'a> Trusted<'a> {
    /// Makes them in the folder `trust`.
    pub fn new(demo: &'a Demo) -> Self {
        let trusted = Self { demo };
        let dir = trusted.path("");
        let args = ["trust", "init", dir.to_str().unwrap(), "--domain", DOMAIN];
        let hosts = ["--host", "127.0.0.1", "--host", "localhost"];
        ok(&prestage(demo, args.into_iter().chain(hosts)));
        trusted
    }

    /// A file of theirs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.demo.path("trust").join(name)
    }

    /// Changes the trust file as a text.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let file = self.path("trust.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        // Replaced at once, as editors and configuration tools do it.
        std::fs::write(self.path("trust.new"), change(text)).unwrap();
        std::fs::rename(self.path("trust.new"), file).unwrap();
    }

    /// A user with these roles.
    pub fn user(&self, name: &str, roles: &[&str]) {
        let (dir, file) = (self.path(""), self.path("trust.toml"));
        let args = ["trust", "user", name, "--dir", dir.to_str().unwrap()];
        let args = args.into_iter().chain(["--trust", file.to_str().unwrap()]);
        ok(&prestage(self.demo, args));
        if !roles.is_empty() {
            let grant = format!("\n[[grant]]\nto = [\"user/{name}\"]\nroles = {roles:?}\n");
            self.edit(|text| text + &grant);
        }
    }

    /// A coordinator over the data folder `data`, and its URL.
    pub fn coordinator(&self) -> (Running, String, mpsc::Receiver<String>) {
        self.coordinator_with("data", &[])
    }

    /// The same over another data folder, with more options.
    pub fn coordinator_with(
        &self,
        data: &str,
        more: &[&str],
    ) -> (Running, String, mpsc::Receiver<String>) {
        let (data, file) = (self.demo.path(data), self.path("trust.toml"));
        let mut args = vec!["coordinator", "--listen", "127.0.0.1:0", "--lease-seconds", "3"];
        args.extend(["--data-dir", data.to_str().unwrap(), "--trust", file.to_str().unwrap()]);
        args.extend(more);
        let (running, line, log) = service(self.demo, &args, "coordinator is ready");
        let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
        (running, format!("https://{address}"), log)
    }

    /// Runs a command as a user, or as nobody for an empty name.
    pub fn run(&self, name: &str, url: &str, args: &[&str]) -> Output {
        self.command(name, url, args).output().unwrap()
    }

    /// Such a command.
    pub fn command(&self, name: &str, url: &str, args: &[&str]) -> std::process::Command {
        let mut command = command(self.demo);
        command.args(args).env("PRESTAGE_COORDINATOR", url);
        command.env("PRESTAGE_CA", self.path("authority.pem"));
        if !name.is_empty() {
            command.env("PRESTAGE_CERTIFICATE", self.path(&format!("{name}.pem")));
            command.env("PRESTAGE_KEY", self.path(&format!("{name}.key")));
        }
        command
    }

    /// A new token in a file of that name.
    pub fn token(&self, url: &str, name: &str, more: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut args = vec!["trust", "token", "--save", path.to_str().unwrap()];
        args.extend(more);
        ok(&self.run("admin", url, &args));
        path
    }

    /// The arguments of a worker that has this folder for its identity and, perhaps, a token.
    pub fn worker_args(
        &self,
        url: &str,
        name: &str,
        folder: &str,
        token: Option<&str>,
    ) -> Vec<String> {
        let mut args: Vec<String> =
            ["worker", "--coordinator", url, "--name", name].map(str::to_owned).to_vec();
        let path = |name: &str| self.path(name).display().to_string();
        args.extend(["--slots", "1", "--threads", "1", "--ca"].map(str::to_owned));
        args.push(path("authority.pem"));
        args.extend(["--identity".to_owned(), path(folder)]);
        if let Some(token) = token {
            args.extend(["--enrolment-token".to_owned(), path(token)]);
        }
        args
    }

    /// A worker that has got its certificate.
    pub fn worker(
        &self,
        url: &str,
        name: &str,
        token: Option<&str>,
    ) -> (Running, mpsc::Receiver<String>) {
        let args = self.worker_args(url, name, &format!("identity of {name}"), token);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (running, _, log) = service(self.demo, &args, "worker is ready");
        (running, log)
    }

    /// What the coordinator knows of an identity, or null.
    pub fn identity(&self, url: &str, identity: &str) -> Value {
        let listed = ok(&self.run("admin", url, &["trust", "list", "--json"]));
        let all = listed["identities"].as_array().unwrap();
        all.iter().find(|one| one["identity"] == identity).cloned().unwrap_or_default()
    }

    /// Waits until a user has exactly these roles.
    pub fn until_roles(&self, name: &str, url: &str, roles: &[&str]) {
        wait_until(|| {
            let said = ok(&self.run(name, url, &["trust", "whoami", "--json"]));
            said["roles"] == serde_json::json!(roles)
        });
    }
}
