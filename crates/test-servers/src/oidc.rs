//! An OpenID Connect provider, from a package (`oidc-provider-mock`): discovery, keys, and tokens by
//! the code flow, as browsers get them.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    ports::free_port,
    ready::{becomes_ready, listens},
};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Nobody listens there: the code is taken from the redirect.
const REDIRECT: &str = "http://localhost/signed-in";

/// A running provider, ended when this is dropped.
pub struct OidcProvider {
    /// Its issuer.
    pub issuer: String,
    server: Child,
    folder: TempDir,
}

impl OidcProvider {
    /// Starts one that knows this user, with these groups.
    pub fn start(user: &str, groups: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let claims = serde_json::json!({ "sub": user, "groups": groups }).to_string();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let server = Command::new("python3")
            .args(["-W", "ignore", "-m", "oidc_provider_mock", "--port", &port.to_string()])
            .args(["--user-claims", &claims])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let server = server.unwrap_or_else(|error| panic!("python3: {error}"));
        let mut this = Self { issuer: format!("http://localhost:{port}"), server, folder };
        let is_ready = becomes_ready(&mut this.server, READY_WITHIN, || listens(port));
        assert!(is_ready, "run ./setup.sh tests\n{}", this.log());
        this
    }

    /// An ID token for a user, made for this client.
    pub fn token(&self, user: &str, client: &str) -> String {
        let query = format!("client_id={client}&redirect_uri={REDIRECT}&response_type=code");
        let authorize = format!("{}/oauth2/authorize?{query}&scope=openid", self.issuer);
        let redirect = curl(&["--data", &format!("sub={user}"), "--include", &authorize]);
        let code = redirect.split("code=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let code = code.unwrap_or_else(|| panic!("no code in {redirect}\n{}", self.log()));
        let exchange = format!("grant_type=authorization_code&code={code}&redirect_uri={REDIRECT}");
        let client = format!("{client}:any");
        let token = format!("{}/oauth2/token", self.issuer);
        let answer = curl(&["--user", &client, "--data", &exchange, &token]);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl").args(["--silent", "--show-error"]).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("curl: {error}: run ./setup.sh tests"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
