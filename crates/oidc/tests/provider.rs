//! A provider that is not ours, and one behind a private root.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;

use jsonwebtoken::Algorithm;
use prestage_oidc::{Issuer, OidcError, OidcSettings};
use prestage_test_servers::{
    apache::{Apache, Settings},
    oidc::OidcProvider,
    tls::Root,
};
use serde_json::json;
use support::{AUDIENCE, SigningKey, settings};
use time::{Duration, OffsetDateTime};

#[tokio::test(flavor = "multi_thread")]
async fn takes_what_a_provider_issues() {
    let provider = OidcProvider::start("alice", &["builders", "night"]);
    let issuer = Issuer::new(settings(&provider.issuer, None)).unwrap();
    let (token, now) = (provider.token("alice", AUDIENCE), OffsetDateTime::now_utc());
    let alice = issuer.verify(&token, now).await.unwrap();
    assert_eq!(
        (alice.name.as_str(), alice.groups),
        ("alice", vec!["builders".into(), "night".into()])
    );
    assert!(alice.expires > now && alice.expires < now + Duration::hours(2));
    let late = issuer.verify(&token, alice.expires + Duration::minutes(1)).await;
    assert!(matches!(late, Err(OidcError::Expired)), "{late:?}");
    let other = issuer.verify(&provider.token("alice", "another"), now).await;
    assert!(matches!(other, Err(OidcError::Audience)), "{other:?}");
    // A second provider's token, whose key this one doesn't show.
    let elsewhere = OidcProvider::start("alice", &[]);
    let forged = issuer.verify(&elsewhere.token("alice", AUDIENCE), now).await;
    assert!(matches!(forged, Err(OidcError::Signature)), "{forged:?}");
    let without = OidcSettings { name_claim: "email".into(), ..settings(&provider.issuer, None) };
    let nobody = Issuer::new(without).unwrap().verify(&token, now).await;
    assert!(matches!(nobody, Err(OidcError::Claim(claim)) if claim == "email"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trusts_a_private_root_and_nothing_else_then() {
    let (root, other) = (Root::new(), Root::new());
    let folder = tempfile::tempdir().unwrap();
    let served = folder.path().join("served");
    fs::create_dir_all(served.join(".well-known")).unwrap();
    let realm = [("/realm", served.as_path())];
    let settings_of = Settings { folders: realm.to_vec(), tls: Some(&root), ..Settings::default() };
    let apache = Apache::start(&settings_of);
    let (url, key) = (format!("{}/realm", apache.address), SigningKey::new("1", Algorithm::PS256));
    let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string();
    fs::write(served.join(".well-known/openid-configuration"), discovery).unwrap();
    fs::write(served.join("keys"), json!({ "keys": [key.public()] }).to_string()).unwrap();
    let now = OffsetDateTime::now_utc();
    let claims = json!({
        "iss": url, "aud": [AUDIENCE, "x"], "sub": "bob", "exp": now.unix_timestamp() + 60,
    });
    let token = key.sign(&claims);
    for (name, trusted) in [("root.pem", &root), ("other.pem", &other)] {
        fs::write(folder.path().join(name), trusted.pem()).unwrap();
    }
    let by = |name: Option<&str>| {
        let root = name.map(|name| folder.path().join(name));
        Issuer::new(settings(&url, root)).unwrap()
    };
    let bob = by(Some("root.pem")).verify(&token, now).await.unwrap();
    assert_eq!((bob.name.as_str(), bob.groups.len()), ("bob", 0));
    for untrusted in [None, Some("other.pem")] {
        let refused = by(untrusted).verify(&token, now).await.unwrap_err().to_string();
        assert!(refused.to_lowercase().contains("certificate"), "{refused}");
    }
    let missing = Issuer::new(settings(&url, Some(folder.path().join("none.pem"))));
    assert!(matches!(missing, Err(OidcError::Root { .. })));
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    let empty = Issuer::new(settings(&url, Some(folder.path().join("empty.pem"))));
    assert!(matches!(empty, Err(OidcError::Root { .. })));
}
