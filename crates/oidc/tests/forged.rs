//! Tokens that are forged, for others, or of another time: each is refused for its own reason, and
//! no error repeats any of it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use prestage_oidc::{Issuer, OidcError};
use serde_json::{Value, json};
use support::{SigningKey, TestIssuer, settings};
use time::{Duration, OffsetDateTime};

/// A secret that only tokens of this test hold.
const CANARY: &str = "canary-in-a-token";

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

fn changed(claims: &Value, claim: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[claim] = value;
    claims
}

/// Refused; gives why.
async fn refused(issuer: &Issuer, token: &str) -> OidcError {
    let error = issuer.verify(token, now()).await.expect_err("it was taken");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    for part in token.split('.').filter(|part| part.len() > 10) {
        assert!(!shown.contains(part), "{shown}");
    }
    error
}

#[tokio::test]
async fn takes_every_method_with_a_public_key() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let methods = [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA];
    let keys: Vec<SigningKey> =
        methods.iter().map(|&method| SigningKey::new(&format!("{method:?}"), method)).collect();
    let test = TestIssuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let issuer = test.taken();
    for key in &keys {
        let taken = issuer.verify(&key.sign(&test.claims(now())), now()).await;
        assert_eq!(taken.unwrap().name, "alice", "{:?}", key.algorithm);
        // One character of the signature is another one.
        let mut token = key.sign(&test.claims(now())).into_bytes();
        let middle = token.len() - 20;
        token[middle] = if token[middle] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(token).unwrap();
        assert!(matches!(refused(&issuer, &token).await, OidcError::Signature));
    }
    assert_eq!(test.asked(), 1);
}

#[tokio::test]
async fn refuses_what_the_issuer_did_not_sign() {
    let (key, thief) =
        (SigningKey::new("1", Algorithm::RS256), SigningKey::new("1", Algorithm::RS256));
    let test = TestIssuer::start(&[&key]).await;
    let issuer = test.taken();
    let claims = changed(&test.claims(now()), "sub", CANARY.into());
    assert!(matches!(refused(&issuer, &thief.sign(&claims)).await, OidcError::Signature));

    // The public key as a shared secret: whoever knows it could sign so.
    for secret in [key.pem.as_bytes(), key.public()["n"].as_str().unwrap().as_bytes()] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("1".into());
        let token = encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
        assert!(matches!(refused(&issuer, &token).await, OidcError::Algorithm));
    }
    // No signature at all.
    for none in ["none", "None", "nOnE", ""] {
        let header = json!({ "alg": none, "typ": "JWT", "kid": "1" }).to_string();
        let body = claims.to_string();
        let parts = [&header, &body].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = key.sign(&claims);
        for signature in ["", signed.rsplit('.').next().unwrap()] {
            let token = format!("{}.{}.{signature}", parts[0], parts[1]);
            assert!(matches!(refused(&issuer, &token).await, OidcError::Malformed));
        }
    }
    // Genuine parts of two tokens.
    let (one, two) = (key.sign(&test.claims(now())), key.sign(&claims));
    let (head, signature) = (one.rsplit_once('.').unwrap().0, two.rsplit_once('.').unwrap().1);
    let mixed = refused(&issuer, &format!("{head}.{signature}")).await;
    assert!(matches!(mixed, OidcError::Signature));
}

#[tokio::test]
async fn keeps_to_what_a_key_is_for() {
    let (one, two) =
        (SigningKey::new("rsa", Algorithm::RS256), SigningKey::new("ec", Algorithm::ES256));
    let test = TestIssuer::start(&[]).await;
    let mut encrypting = one.public();
    encrypting["use"] = "enc".into();
    let secret = json!({ "kty": "oct", "kid": "oct", "k": URL_SAFE_NO_PAD.encode(CANARY) });
    let odd = json!({ "kty": "moon", "kid": "moon" });
    let mut only_ps512 = one.public();
    (only_ps512["kid"], only_ps512["alg"]) = ("ps512".into(), "PS512".into());
    *test.shown.keys.lock().unwrap() =
        vec![secret, odd, json!("no key"), encrypting, only_ps512, two.public()];
    let issuer = test.taken();
    let claims = test.claims(now());
    let named = |key: &SigningKey, kid: &str| SigningKey { kid: kid.into(), ..key.clone() };
    issuer.verify(&two.sign(&claims), now()).await.unwrap();
    assert!(matches!(refused(&issuer, &one.sign(&claims)).await, OidcError::UnknownKey));
    let wrong = [named(&one, "ps512").sign(&claims), named(&one, "ec").sign(&claims)];
    for token in wrong {
        assert!(matches!(refused(&issuer, &token).await, OidcError::Algorithm));
    }
    let shared = EncodingKey::from_secret(CANARY.as_bytes());
    let header = Header { kid: Some("oct".into()), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &claims, &shared).unwrap();
    assert!(matches!(refused(&issuer, &token).await, OidcError::Algorithm));
    // A token may leave its key's name out only where there is one key.
    let nameless =
        |key: &SigningKey| encode(&Header::new(key.algorithm), &claims, &key.encoding).unwrap();
    assert!(matches!(refused(&issuer, &nameless(&two)).await, OidcError::UnknownKey));
    test.show(&[&two]);
    test.taken().verify(&nameless(&two), now()).await.unwrap();
}

#[tokio::test]
async fn refuses_what_is_not_for_us_or_not_for_now() {
    let key = SigningKey::new("1", Algorithm::ES256);
    let test = TestIssuer::start(&[&key]).await;
    let issuer = test.taken();
    let claims = changed(&test.claims(now()), "private", CANARY.into());
    let second = now().unix_timestamp();
    type IsWhy = fn(&OidcError) -> bool;
    let cases: [(&str, Value, IsWhy); 20] = [
        ("iss", "https://elsewhere.example".into(), |e| matches!(e, OidcError::Issuer)),
        ("iss", format!("{}.evil.example", test.url()).into(), |e| matches!(e, OidcError::Issuer)),
        ("iss", Value::Null, |e| matches!(e, OidcError::Issuer)),
        ("aud", "another".into(), |e| matches!(e, OidcError::Audience)),
        ("aud", json!(["another", "Prestage"]), |e| matches!(e, OidcError::Audience)),
        ("aud", json!([]), |e| matches!(e, OidcError::Audience)),
        ("aud", Value::Null, |e| matches!(e, OidcError::Audience)),
        ("aud", json!({ "prestage": 1 }), |e| matches!(e, OidcError::Audience)),
        ("exp", (second - 30).into(), |e| matches!(e, OidcError::Expired)),
        ("exp", 0.into(), |e| matches!(e, OidcError::Expired)),
        ("exp", Value::Null, |e| matches!(e, OidcError::Claim(_))),
        ("exp", "tomorrow".into(), |e| matches!(e, OidcError::Claim(_))),
        ("exp", 1e300.into(), |e| matches!(e, OidcError::Claim(_))),
        ("nbf", (second + 31).into(), |e| matches!(e, OidcError::NotYet)),
        ("nbf", "tomorrow".into(), |e| matches!(e, OidcError::Claim(_))),
        ("sub", "".into(), |e| matches!(e, OidcError::Claim(_))),
        ("sub", 7.into(), |e| matches!(e, OidcError::Claim(_))),
        ("sub", "alice\nbob".into(), |e| matches!(e, OidcError::Claim(_))),
        ("sub", "x".repeat(300).into(), |e| matches!(e, OidcError::Claim(_))),
        ("groups", json!([["builders"]]), |e| matches!(e, OidcError::Claim(_))),
    ];
    for (claim, value, is_why) in cases {
        let token = key.sign(&changed(&claims, claim, value.clone()));
        let why = refused(&issuer, &token).await;
        assert!(is_why(&why), "{claim} = {value}: {why:?}");
    }
    // Within the leeway, and in the other forms that issuers write.
    for (claim, value) in [
        ("exp", json!(second - 29)),
        ("exp", json!(second as f64 + 0.5)),
        ("nbf", json!(second + 30)),
        ("iss", json!(format!("{}/", test.url()))),
        ("aud", json!(["another", "prestage"])),
        ("groups", json!("builders")),
        ("groups", Value::Null),
    ] {
        let token = key.sign(&changed(&claims, claim, value.clone()));
        assert!(issuer.verify(&token, now()).await.is_ok(), "{claim} = {value}");
    }
}

#[tokio::test]
async fn refuses_what_is_no_token_without_asking_the_issuer() {
    let key = SigningKey::new("1", Algorithm::ES256);
    let test = TestIssuer::start(&[&key]).await;
    let issuer = test.taken();
    let claims = test.claims(now());
    let huge = key.sign(&changed(&claims, "private", "x".repeat(1 << 20).into()));
    assert!(matches!(refused(&issuer, &huge).await, OidcError::TooLong(_)));
    let signed = key.sign(&claims);
    let deep = URL_SAFE_NO_PAD.encode("[".repeat(5_000));
    for odd in ["", ".", "..", "a.b", "a.b.c", CANARY, &signed[..30], &format!("{deep}.{deep}.")] {
        assert!(matches!(refused(&issuer, odd).await, OidcError::Malformed));
    }
    let header = |change: fn(&mut Header)| {
        let mut header = Header { kid: Some("1".into()), ..Header::new(Algorithm::ES256) };
        change(&mut header);
        encode(&header, &claims, &key.encoding).unwrap()
    };
    // It must be understood and is not; or it is a token of another kind.
    let critical = header(|header| header.crit = Some(vec!["exp".into()]));
    let proof = header(|header| header.typ = Some("dpop+jwt".into()));
    for token in [critical, proof] {
        assert!(matches!(refused(&issuer, &token).await, OidcError::Malformed));
    }
    assert_eq!(test.asked(), 0);
    for kind in [None, Some("jwt".to_owned()), Some("at+jwt".to_owned())] {
        let kind_of = Header { kid: Some("1".into()), typ: kind, ..Header::new(Algorithm::ES256) };
        let token = encode(&kind_of, &claims, &key.encoding).unwrap();
        issuer.verify(&token, now()).await.unwrap();
    }
    assert!(matches!(
        Issuer::new(settings("http://login.corp.example", None)),
        Err(OidcError::Insecure { .. })
    ));
}
