//! An issuer whose keys the test has, so that it can forge; it counts what it is asked.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use prestage_oidc::{GROUPS_CLAIM, Issuer, NAME_CLAIM, OidcSettings};
use rcgen::KeyPair;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// Whom tokens are for.
pub const AUDIENCE: &str = "prestage";

/// A key with what an issuer shows of it.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    pub algorithm: Algorithm,
    pub encoding: EncodingKey,
    pub pem: String,
    /// An Ed25519 key's, which the library does not read out of what rcgen writes.
    pub edwards: Vec<u8>,
}

impl SigningKey {
    /// A new key for an algorithm.
    pub fn new(kid: &str, algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::ES256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::ES384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Algorithm::EdDSA => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            _ => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048),
        };
        let pair = pair.unwrap();
        let (private, pem) = (pair.serialize_pem(), pair.public_key_pem());
        let encoding = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(private.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(private.as_bytes()),
            _ => EncodingKey::from_rsa_pem(private.as_bytes()),
        };
        let edwards = pair.public_key_raw().to_vec();
        Self { kid: kid.into(), algorithm, encoding: encoding.unwrap(), pem, edwards }
    }

    /// The public key, as issuers show it.
    pub fn public(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(&self.edwards);
            return json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x });
        }
        let mut jwk = Jwk::from_encoding_key(&self.encoding, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.encoding).unwrap()
    }
}

/// What the issuer shows, and how often it was asked.
#[derive(Default)]
pub struct Shown {
    pub issuer: Mutex<String>,
    pub keys: Mutex<Vec<Value>>,
    pub asked: AtomicUsize,
    pub is_down: AtomicBool,
    pub instead: Mutex<Option<String>>,
}

/// An issuer on loopback.
pub struct TestIssuer {
    pub address: SocketAddr,
    pub shown: Arc<Shown>,
}

impl TestIssuer {
    /// Starts one that shows these keys.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Arc::new(Shown::default());
        *shown.issuer.lock().unwrap() = format!("http://{address}");
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(key_set))
            .with_state(shown.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let this = Self { address, shown };
        this.show(keys);
        this
    }

    /// Shows these keys from now on.
    pub fn show(&self, keys: &[&SigningKey]) {
        *self.shown.keys.lock().unwrap() = keys.iter().map(|key| key.public()).collect();
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        self.shown.asked.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One that takes its tokens.
    pub fn taken(&self) -> Issuer {
        Issuer::new(settings(&self.url(), None)).unwrap()
    }

    /// Claims that are all right for an hour from `now` on.
    pub fn claims(&self, now: OffsetDateTime) -> Value {
        let now = now.unix_timestamp();
        json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": "alice", "groups": ["builders", "night"],
            "iat": now, "nbf": now, "exp": now + 3600,
        })
    }
}

async fn discovery(State(shown): State<Arc<Shown>>) -> Response {
    let issuer = shown.issuer.lock().unwrap().clone();
    let keys = format!("{issuer}/keys");
    answer(&shown, json!({ "issuer": issuer, "jwks_uri": keys }).to_string())
}

async fn key_set(State(shown): State<Arc<Shown>>) -> Response {
    shown.asked.fetch_add(1, Ordering::SeqCst);
    let keys = json!({ "keys": *shown.keys.lock().unwrap() }).to_string();
    let instead = shown.instead.lock().unwrap().clone();
    answer(&shown, instead.unwrap_or(keys))
}

fn answer(shown: &Shown, body: String) -> Response {
    match shown.is_down.load(Ordering::SeqCst) {
        true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        false => body.into_response(),
    }
}

/// The usual settings for an issuer.
pub fn settings(issuer: &str, root: Option<PathBuf>) -> OidcSettings {
    OidcSettings {
        issuer: issuer.parse().unwrap(),
        audience: AUDIENCE.into(),
        name_claim: NAME_CLAIM.into(),
        groups_claim: GROUPS_CLAIM.into(),
        root,
        leeway: Duration::from_secs(30),
    }
}
