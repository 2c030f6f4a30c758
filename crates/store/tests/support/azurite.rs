//! Microsoft's own Azure emulator, with a front before it; stopped at the end.
//!
//! It answers 501 to Put Block From URL, after it has checked the request's signature. So there are
//! two fronts: one that leaves it at that, and one that then does the copy as Azure documents it,
//! with Azurite checking the signed address of the source and keeping the block.

use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::azure::{AzureAuthorizer, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::HttpRequestBody;
use prestage_store::{ObjectUrl, Objects, StoreOptions};
use tokio::process::{Child, Command};

use super::front::{Answered, Asked, Backend, Front, answered, wait_for_port};
use super::ports::free_port;

const ACCOUNT: &str = "devstoreaccount1";
/// Published with the emulator; every installation has it.
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The server, with the containers `packs` and `media`.
pub struct Azurite {
    pub front: Front,
    /// Killed by its pid when dropped.
    _server: Child,
    _folder: tempfile::TempDir,
}

impl Azurite {
    /// One that doesn't copy from addresses.
    pub async fn start() -> Self {
        Self::start_with(|port| Box::pin(Front::plain(port))).await
    }

    /// One that does.
    pub async fn start_copying() -> Self {
        let front = |port| Front::start(port, |backend, asked| Box::pin(answer(backend, asked)));
        Self::start_with(|port| Box::pin(front(port))).await
    }

    async fn start_with(front: impl FnOnce(u16) -> Pin<Box<dyn Future<Output = Front>>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let server = Command::new("azurite-blob")
            .args(["--disableTelemetry", "--skipApiVersionCheck", "--silent"])
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .arg("--location")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Azurite is missing: npm install --global azurite");
        wait_for_port(port, Duration::from_secs(60), "Azurite").await;
        let front = front(port).await;
        let this = Self { front, _server: server, _folder: folder };
        for container in ["packs", "media"] {
            this.make_container(container).await;
        }
        this
    }

    pub fn options(&self) -> StoreOptions {
        StoreOptions::from_pairs(self.environment())
    }

    /// The settings as environment variables.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", self.endpoint()),
            ("AZURE_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    pub async fn open(&self, url: &str) -> Objects {
        Objects::open_with(&ObjectUrl::parse(url).unwrap(), &self.options()).await.unwrap()
    }

    fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.front.url())
    }

    /// The client library has no call that makes a container, but it signs one.
    async fn make_container(&self, container: &str) {
        let credential = credential().await;
        let url = format!("{}/{container}?restype=container", self.endpoint());
        let request = signed_put(&credential, &url, 0).map(|_| reqwest::Body::from(Vec::new()));
        let request = request.try_into().unwrap();
        let made = reqwest::Client::new().execute(request).await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    }
}

async fn credential() -> Arc<AzureCredential> {
    let client = MicrosoftAzureBuilder::new()
        .with_account(ACCOUNT)
        .with_access_key(KEY)
        .with_container_name("any")
        .build()
        .unwrap();
    client.credentials().get_credential().await.unwrap()
}

fn signed_put(
    credential: &AzureCredential,
    url: &str,
    bytes: usize,
) -> http::Request<HttpRequestBody> {
    let put = http::Request::put(url).header(http::header::CONTENT_LENGTH, bytes);
    let mut put = put.body(HttpRequestBody::empty()).unwrap();
    AzureAuthorizer::new(credential, ACCOUNT).try_authorize(&mut put).unwrap();
    put
}

async fn answer(backend: Backend, asked: Asked) -> Answered {
    let header = |name: &str| Some(asked.headers().get(name)?.to_str().unwrap().to_owned());
    let (source, range) = (header("x-ms-copy-source"), header("x-ms-source-range"));
    let (if_match, url) = (header("x-ms-source-if-match"), asked.uri().clone());
    let answer = backend.send(asked).await;
    match (source, range) {
        (Some(source), Some(range)) if answer.status() == 501 => {
            let source = source.parse::<http::Uri>().unwrap();
            put_block_from(&backend, &url, &source, &range, if_match).await
        }
        _ => answer,
    }
}

/// Reads the source by its signed address and writes the block.
async fn put_block_from(
    backend: &Backend,
    block: &http::Uri,
    source: &http::Uri,
    range: &str,
    if_match: Option<String>,
) -> Answered {
    let path = source.path_and_query().unwrap().as_str();
    let mut get = http::Request::get(path).header("x-ms-range", range);
    if let Some(etag) = if_match {
        get = get.header(http::header::IF_MATCH, etag);
    }
    let read = backend.send(get.body(Bytes::new()).unwrap()).await;
    let body = match read.status().as_u16() {
        206 => read.into_body(),
        412 => return failure(412, "SourceConditionNotMet"),
        416 => return failure(416, "InvalidRange"),
        404 => return failure(404, "CannotVerifyCopySource"),
        status => return failure(status, "CannotVerifyCopySource"),
    };
    let credential = credential().await;
    let url = format!("http://127.0.0.1{}", block.path_and_query().unwrap());
    let put = signed_put(&credential, &url, body.len());
    backend.send(put.map(|_| body)).await
}

fn failure(status: u16, code: &str) -> Answered {
    answered(status, format!("\u{feff}<Error><Code>{code}</Code><Message>no</Message></Error>"))
}
