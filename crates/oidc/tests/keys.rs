//! When an issuer is asked for its keys, and what counts while it does not answer.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::sync::{Arc, atomic::Ordering};

use futures::future::join_all;
use jsonwebtoken::Algorithm;
use prestage_oidc::{Issuer, OidcError};
use support::{SigningKey, TestIssuer};
use time::{Duration, OffsetDateTime};

fn start() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

struct Case {
    test: TestIssuer,
    issuer: Arc<Issuer>,
    key: SigningKey,
}

impl Case {
    async fn new() -> Self {
        let key = SigningKey::new("1", Algorithm::ES256);
        let test = TestIssuer::start(&[&key]).await;
        Self { issuer: Arc::new(test.taken()), test, key }
    }

    /// Whether a token by this key is taken so long after the start.
    async fn at(&self, after: Duration, key: &SigningKey) -> Result<(), OidcError> {
        let now = start() + after;
        self.issuer.verify(&key.sign(&self.test.claims(now)), now).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_unknown_keys_asks_the_issuer_seldom() {
    let case = Case::new().await;
    // A minute of it, every five seconds 25 at once, each with a name of its own.
    for step in 0..12 {
        let now = start() + Duration::seconds(5 * step);
        let storm = (0..25).map(|number| {
            let thief = SigningKey { kid: format!("unknown {step} {number}"), ..case.key.clone() };
            let (issuer, token) = (case.issuer.clone(), thief.sign(&case.test.claims(now)));
            tokio::spawn(async move { issuer.verify(&token, now).await })
        });
        for refused in join_all(storm.collect::<Vec<_>>()).await {
            assert!(matches!(refused.unwrap(), Err(OidcError::UnknownKey)));
        }
    }
    assert_eq!(case.test.asked(), 6, "once every ten seconds");
    let before = case.test.asked();
    case.at(Duration::minutes(1), &case.key).await.unwrap();
    assert_eq!(case.test.asked(), before, "what is known is not asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_ask_once() {
    let case = Case::new().await;
    let token = case.key.sign(&case.test.claims(start()));
    let calls = (0..50).map(|_| case.issuer.verify(&token, start()));
    for taken in join_all(calls).await {
        taken.unwrap();
    }
    assert_eq!(case.test.asked(), 1);
}

#[tokio::test]
async fn whoever_gives_up_at_once_keeps_nobody_from_the_keys() {
    let case = Case::new().await;
    let token = case.key.sign(&case.test.claims(start()));
    {
        let mut given_up = Box::pin(case.issuer.verify(&token, start()));
        assert!(futures::poll!(&mut given_up).is_pending());
    }
    case.issuer.verify(&token, start()).await.unwrap();
    assert_eq!(case.test.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_was_withdrawn_counts_no_more() {
    let (case, new) = (Case::new().await, SigningKey::new("2", Algorithm::ES256));
    case.at(Duration::ZERO, &case.key).await.unwrap();
    case.test.show(&[&new]);
    // It was asked a moment ago.
    let early = case.at(Duration::seconds(5), &new).await;
    assert!(matches!(early, Err(OidcError::UnknownKey)));
    case.at(Duration::seconds(11), &new).await.unwrap();
    let withdrawn = case.at(Duration::seconds(30), &case.key).await;
    assert!(matches!(withdrawn, Err(OidcError::UnknownKey)));
    // Keys that are known are looked at again from time to time.
    let before = case.test.asked();
    case.at(Duration::hours(1), &new).await.unwrap();
    assert_eq!(case.test.asked(), before + 1);
}

#[tokio::test]
async fn known_keys_count_for_a_day_while_the_issuer_is_down() {
    let case = Case::new().await;
    let unknown = SigningKey::new("2", Algorithm::ES256);
    case.test.shown.is_down.store(true, Ordering::SeqCst);
    let none = case.at(Duration::ZERO, &case.key).await.unwrap_err().to_string();
    assert!(none.contains("503") && none.contains(&case.test.url()), "{none}");
    case.test.shown.is_down.store(false, Ordering::SeqCst);
    case.at(Duration::seconds(20), &case.key).await.unwrap();
    case.test.shown.is_down.store(true, Ordering::SeqCst);
    for hours in [1, 5, 23] {
        case.at(Duration::hours(hours), &case.key).await.unwrap();
        let refused = case.at(Duration::hours(hours), &unknown).await;
        assert!(matches!(refused, Err(OidcError::Unreachable { .. })));
    }
    let too_old = case.at(Duration::hours(25), &case.key).await;
    assert!(matches!(too_old, Err(OidcError::Unreachable { .. })));
    case.test.shown.is_down.store(false, Ordering::SeqCst);
    case.at(Duration::hours(26), &case.key).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_believed() {
    let case = Case::new().await;
    let mut later = Duration::ZERO;
    let mut said = async |what: &str| {
        later += Duration::minutes(1);
        let error = case.at(later, &case.key).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, OidcError::Unreachable { .. }) && told.contains(what), "{told}");
    };
    let instead = |body: Option<String>| *case.test.shown.instead.lock().unwrap() = body;
    instead(Some(format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(2 << 20))));
    said("more than 1048576 bytes").await;
    instead(Some("<html>".into()));
    said("expected value").await;
    instead(None);
    let own = std::mem::replace(
        &mut *case.test.shown.issuer.lock().unwrap(),
        "http://elsewhere.example".into(),
    );
    said("is of another issuer").await;
    *case.test.shown.issuer.lock().unwrap() = own;
    case.at(later + Duration::minutes(1), &case.key).await.unwrap();
}
