//! A fleet whose secrets are all marked: several coordinators on PostgreSQL, workers that enrol, TLS,
//! buckets, a collector, metrics; and all that people do with it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use prestage_test_servers::{
    ports::free_port,
    postgres::{PASSWORD, Postgres},
};
use serde_json::Value;

use super::{
    certificate::imported_certificate,
    support::{Demo, Running, files_below, fleet::wait_until, ok, refused, tool, trusted::Trusted},
};

pub const MEDIA_PASSWORD: &str = "Canary.media/Pw+7Qx9Lm2Vt4Kd";
pub const PFX_PASSWORD: &str = "Canary.pfx/Pw+3Rk8Zs5Hn1Bc";
pub const JOIN: &str = "Canary.join/Pw+6Wd2Yf8Jg4Tu";
pub const PRODUCT: &str = "Canary-product-8Hn3Xv5Qp7Mz";
pub const S3_SECRET: &str = "CanaryS3secret9Fb4Lk6Rt2Ws";
const PROGRAM: &str = "hsm.sh";

/// Everything below one folder, which is searched afterwards.
pub struct Fleet {
    pub demo: Demo,
    pub postgres: Postgres,
    environment: Vec<(String, String)>,
    running: Vec<Running>,
    metrics: Vec<String>,
    urls: String,
    said: usize,
}

impl Fleet {
    /// A site, its secrets, a database. Nothing runs yet.
    pub fn new(collector: &str, buckets: &[(String, String)]) -> Self {
        let demo = Demo::new();
        imported_certificate(&demo, "clientAuth", PFX_PASSWORD);
        fs::write(demo.path("site/media-password.txt"), MEDIA_PASSWORD).unwrap();
        fs::write(demo.path("site/product-key.txt"), PRODUCT).unwrap();
        let variables = "JoinPassword = { env = \"CANARY_JOIN\" }, \
                         ProductKey = { file = \"product-key.txt\" }";
        demo.edit_spec("OSDTimeZone = \"UTC\"", variables);
        demo.edit_spec("cmd /c prestart.cmd", &format!("cmd /c prestart.cmd /key:{PRODUCT}"));
        for folder in ["logs", "tmp", "seen", "said"] {
            fs::create_dir(demo.path(folder)).unwrap();
        }
        let mut environment = buckets.to_vec();
        let tmp = demo.path("tmp").display().to_string();
        for (name, value) in [
            ("RUST_LOG", "trace"),
            ("NO_COLOR", "1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("TMPDIR", &tmp),
        ] {
            environment.push((name.into(), value.into()));
        }
        let (postgres, said) = (Postgres::start(), 0);
        let (running, metrics, urls) = (Vec::new(), Vec::new(), String::new());
        Self { demo, postgres, environment, running, metrics, urls, said }
    }

    /// All that people do: plans, builds of every outcome, questions, a change of keys, the end.
    pub fn work(&mut self) {
        Trusted::new(&self.demo);
        self.key_program();
        self.start_coordinators();
        let plan = self.path("saved.plan");
        let spec = self.path("site/spec.toml");
        ok(&self.run(&["plan", &spec, "--save", &plan]));
        ok(&self.run(&["plan", &spec, "--codec", "fast", "--save", &self.path("fast.plan")]));
        self.cancelled_build(&plan);
        for name in ["one", "two"] {
            self.start_worker(name);
        }
        let output = "s3://media/w11.wim";
        let built = ok(&self.run(&["build", "--json", "--plan", &plan, "--output", output]));
        let build = built["build_id"].as_str().unwrap().to_owned();
        ok(&self.run(&["build", "--json", &spec, "--output", "s3://media/other.wim"]));
        for args in [
            &["list", "--json"][..],
            &["list"],
            &["show", &build],
            &["log", &build],
            &["watch", &build, "--json"],
            &["trust", "list"],
            &["trust", "whoami"],
            &["verify", output],
            &["inspect", output, "--json"],
            &["inspect", output],
            &["inspect", output, "--password-file", &self.path("site/media-password.txt")],
        ] {
            ok(&self.run(args));
        }
        self.failed_build();
        self.wrong_requests(&spec);
        self.change_keys(&plan);
        self.look_at_processes();
        self.end();
    }

    /// A program that keeps a key, and writes down what it can see.
    fn key_program(&self) {
        tool("openssl", "openssl", ["genrsa", "-out", &self.path("hsm.pem"), "2048"]);
        let seen = self.path("seen");
        let text = format!(
            "tr '\\0' '\\n' </proc/$$/environ >>{seen}/environment\n\
             tr '\\0' ' ' </proc/$$/cmdline >>{seen}/arguments\n\
             case $2 in\n\
             id) echo the key of the canary ;;\n\
             wrap) exec openssl pkeyutl -encrypt -inkey \"$1\" -pkeyopt rsa_padding_mode:oaep ;;\n\
             unwrap) exec openssl pkeyutl -decrypt -inkey \"$1\" -pkeyopt rsa_padding_mode:oaep ;;\n\
             esac\n"
        );
        fs::write(self.path(PROGRAM), text).unwrap();
    }

    fn seal_keys(&self) -> String {
        let program = format!("command:sh {} {}", self.path(PROGRAM), self.path("hsm.pem"));
        // The file is made by a command before.
        format!("{program};{}", self.path("data/seal.key"))
    }

    fn start_coordinators(&mut self) {
        let demo = &self.demo;
        fs::create_dir_all(demo.path("data")).unwrap();
        let key: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(73) ^ 0xA5).collect();
        fs::write(demo.path("data/seal.key"), key).unwrap();
        let passwords = demo.path(".pgpass");
        fs::write(&passwords, self.postgres.password_line()).unwrap();
        fs::set_permissions(&passwords, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let (trust, keys) = (self.path("trust/trust.toml"), self.seal_keys());
        for name in ["first", "second"] {
            let data = self.path(name);
            let metrics = format!("127.0.0.1:{}", free_port());
            let state = match name {
                "first" => self.postgres.url(),
                _ => self.postgres.url_without_password(),
            };
            let args = [
                "coordinator",
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
                &data,
                "--trust",
                &trust,
                "--objects",
                "s3://packs/canary",
                "--metrics",
                &metrics,
            ];
            let more = [("PRESTAGE_STATE", state), ("PRESTAGE_SEAL_KEY", keys.clone())];
            let line = self.start(name, &args, &more, "coordinator is ready");
            let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
            let comma = if self.urls.is_empty() { "" } else { "," };
            self.urls += &format!("{comma}https://{address}");
            self.metrics.push(metrics);
        }
    }

    fn start_worker(&mut self, name: &str) {
        let token = self.path(&format!("trust/{name}.token"));
        ok(&self.run(&["trust", "token", "--save", &token]));
        let metrics = format!("127.0.0.1:{}", free_port());
        let (urls, ca) = (self.urls.clone(), self.path("trust/authority.pem"));
        let identity = self.path(&format!("trust/identity of {name}"));
        let args = [
            "worker",
            "--coordinator",
            &urls,
            "--name",
            name,
            "--slots",
            "1",
            "--threads",
            "1",
            "--ca",
            &ca,
            "--identity",
            &identity,
            "--enrolment-token",
            &token,
            "--metrics",
            &metrics,
        ];
        self.start(name, &args, &[], "worker is ready");
        self.metrics.push(metrics);
    }

    /// Starts a service that writes to files; gives the line that says that it is ready.
    fn start(&mut self, name: &str, args: &[&str], more: &[(&str, String)], ready: &str) -> String {
        let log = self.demo.path(&format!("logs/{name}"));
        let file = File::create(&log).unwrap();
        let mut command = super::support::command(&self.demo);
        command.args(args).envs(self.environment.iter().cloned());
        command.envs(more.iter().map(|(name, value)| (name, value)));
        command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null());
        self.running.push(Running(command.spawn().unwrap()));
        let mut line = String::new();
        wait_until(|| {
            let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
            line = text.lines().find(|line| line.contains(ready)).unwrap_or_default().to_owned();
            !line.is_empty()
        });
        line
    }

    fn command(&self, args: &[&str]) -> Command {
        let trust = |name: &str| self.path(&format!("trust/{name}"));
        let mut command = super::support::command(&self.demo);
        command.args(args).envs(self.environment.iter().cloned());
        command.env("PRESTAGE_COORDINATOR", &self.urls).env("CANARY_JOIN", JOIN);
        command.env("PRESTAGE_CA", trust("authority.pem"));
        command
            .env("PRESTAGE_CERTIFICATE", trust("admin.pem"))
            .env("PRESTAGE_KEY", trust("admin.key"));
        command
    }

    /// Runs a command as the administrator, and keeps what it says.
    fn run(&mut self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        self.keep(&args.join(" "), &output);
        output
    }

    fn keep(&mut self, what: &str, output: &Output) {
        self.said += 1;
        let text = [what.as_bytes(), b"\n", &output.stdout, b"\n", &output.stderr].concat();
        fs::write(self.demo.path(&format!("said/{:03}", self.said)), text).unwrap();
    }

    /// Without a worker, a build lasts until it is cancelled.
    fn cancelled_build(&mut self, plan: &str) {
        let mut command =
            self.command(&["build", "--json", "--plan", plan, "--output", "s3://media/never.wim"]);
        let client = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut build = String::new();
        while build.is_empty() {
            let listed = ok(&self.run(&["list", "--json"]));
            build = listed["builds"][0]["build_id"].as_str().unwrap_or_default().to_owned();
        }
        // What is sealed is read by now: its objects are there.
        ok(&self.run(&["show", &build]));
        ok(&self.run(&["cancel", &build]));
        let output = client.wait_with_output().unwrap();
        assert!(refused(&output, 1).contains("cancelled"));
        self.keep("cancelled", &output);
    }

    /// Content that has changed since it was planned.
    fn failed_build(&mut self) {
        for point in ["dp1", "dp2"] {
            let library = self.demo.path(&format!("site/{point}/SCCMContentLib/FileLib"));
            for file in files_below(&library).into_iter().map(|file| library.join(file)) {
                let mut bytes = fs::read(&file).unwrap();
                if bytes.len() > 200_000 {
                    bytes[100_000] ^= 1;
                    // The distribution points share files by hard links.
                    fs::remove_file(&file).unwrap();
                    fs::write(&file, bytes).unwrap();
                }
            }
        }
        let plan = self.path("fast.plan");
        let failed = ["build", "--json", "--plan", &plan, "--output", "s3://media/bad.wim"];
        refused(&self.run(&failed), 1);
    }

    /// Requests that are refused say why, and repeat no secret.
    fn wrong_requests(&mut self, spec: &str) {
        let password = self.path("site/pfx-password.txt");
        let wrong = ["inspect", "s3://media/w11.wim", "--password-file", &password];
        refused(&self.run(&wrong), 2);
        let text = fs::read_to_string(spec).unwrap();
        let other = text.replace("pfx-password.txt", "media-password.txt");
        fs::write(self.path("site/wrong.toml"), other).unwrap();
        refused(&self.run(&["plan", &self.path("site/wrong.toml")]), 2);
        // A database that is not there.
        let state = format!("postgres://prestage:{PASSWORD}@127.0.0.1:{}/postgres", free_port());
        let keys = self.seal_keys();
        let mut status = self.command(&["seal", "status", "--seal-key", &keys]);
        let output = status.env("PRESTAGE_STATE", state).output().unwrap();
        refused(&output, 1);
        self.keep("seal status", &output);
    }

    /// A saved plan goes from one key to another.
    fn change_keys(&mut self, plan: &str) {
        let turned = format!(
            "{};command:sh {} {}",
            self.path("data/seal.key"),
            self.path(PROGRAM),
            self.path("hsm.pem")
        );
        let before = fs::read(plan).unwrap();
        ok(&self.run(&["seal", "rotate", plan, "--seal-key", &turned]));
        assert_ne!(fs::read(plan).unwrap(), before);
        let mut status = self.command(&["seal", "status", plan, "--seal-key", &turned]);
        let output = status.env("PRESTAGE_STATE", self.postgres.url()).output().unwrap();
        ok(&output);
        self.keep("seal status", &output);
    }

    /// What everybody on the machine sees of processes, and what metrics say.
    fn look_at_processes(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for (number, running) in self.running.iter().enumerate() {
            let seen = self.demo.path(&format!("seen/cmdline.{number}"));
            fs::copy(format!("/proc/{}/cmdline", running.0.id()), seen).unwrap();
            let limits = fs::read_to_string(format!("/proc/{}/limits", running.0.id())).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            let words: Vec<&str> = core.split_whitespace().collect();
            assert_eq!(words[4..6], ["0", "0"], "a crash would write secrets into a file");
        }
        for (number, address) in self.metrics.iter().enumerate() {
            let url = format!("http://{address}/metrics");
            let text = runtime.block_on(async { reqwest::get(url).await?.text().await }).unwrap();
            assert!(text.contains("prestage_"), "{text}");
            fs::write(self.demo.path(&format!("seen/metrics.{number}")), text).unwrap();
        }
    }

    /// Ends all services, which then tell their last spans.
    fn end(&mut self) {
        for running in &self.running {
            tool("kill", "procps", ["-TERM", &running.0.id().to_string()]);
        }
        for running in &mut self.running {
            assert!(running.0.wait().unwrap().success());
        }
        for name in ["first", "second", "one", "two"] {
            let log = fs::read(self.demo.path(&format!("logs/{name}"))).unwrap();
            let lines = String::from_utf8_lossy(&log).matches(" TRACE ").count();
            assert!(lines > 20, "{name} has told {lines} lines");
        }
        let asked = fs::read_to_string(self.demo.path("seen/arguments")).unwrap();
        assert!(asked.contains("unwrap") && asked.contains(" wrap"), "{asked}");
    }

    fn path(&self, name: &str) -> String {
        self.demo.path(name).display().to_string()
    }

    /// Whether a file is where a secret is kept on purpose.
    pub fn is_own_file(&self, path: &Path) -> bool {
        let name = path.to_str().unwrap();
        let kept = [
            "site/media-password.txt",
            "site/pfx-password.txt",
            "site/product-key.txt",
            "site/spec.toml",
            "site/wrong.toml",
            ".pgpass",
            "data/seal.key",
            "m.key",
        ];
        let key = name.starts_with("trust/")
            && (name.ends_with(".key")
                || name.ends_with(".token")
                || name.ends_with("/worker.pem"));
        key || kept.contains(&name)
    }
}

/// The PKCS#12 as a medium's variables have it: its password is no secret.
pub fn medium_of(variables: &Value) -> Vec<u8> {
    hex::decode(variables["_SMSTSMediaPFX"].as_str().unwrap()).unwrap()
}

/// All secrets of the fleet, by what they are.
pub fn secrets_of(fleet: &Fleet, pfx: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut secrets = vec![
        text("the media password", MEDIA_PASSWORD),
        text("the PFX password", PFX_PASSWORD),
        text("a variable", JOIN),
        text("a variable in the prestart command", PRODUCT),
        text("the store's secret key", S3_SECRET),
        text("the database's password", PASSWORD),
        ("the medium's PKCS#12".to_owned(), pfx[pfx.len() / 2..][..40].to_vec()),
        ("the seal key".to_owned(), fs::read(fleet.demo.path("data/seal.key")).unwrap()),
        ("the media certificate's key".to_owned(), end_of_key(&fleet.demo.path("m.key"))),
    ];
    let trust = fleet.demo.path("trust");
    let (mut keys, mut tokens) = (0, 0);
    for file in files_below(&trust) {
        let (name, path) = (file.display().to_string(), trust.join(&file));
        if name.ends_with(".key") || name.ends_with("/worker.pem") {
            secrets.push((name, private_number(&path)));
            keys += 1;
        } else if name.ends_with(".token") {
            let token = fs::read_to_string(path).unwrap();
            secrets.push((name, token.trim().as_bytes().to_vec()));
            tokens += 1;
        }
    }
    assert!(keys >= 5 && tokens == 2, "{keys} keys and {tokens} tokens");
    secrets
}

fn der(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let (_, key) = text.split_once(" PRIVATE KEY-----").unwrap();
    let body: String = key.lines().take_while(|line| !line.starts_with("-----END")).collect();
    STANDARD.decode(body).unwrap()
}

/// The last bytes of an RSA key: of its last private number.
fn end_of_key(path: &Path) -> Vec<u8> {
    let der = der(path);
    der[der.len() - 40..].to_vec()
}

/// The private number of a key on a curve.
fn private_number(path: &Path) -> Vec<u8> {
    let der = der(path);
    let head = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = der.windows(5).position(|bytes| bytes == head).expect("a key on P-256");
    der[at + 5..at + 37].to_vec()
}
