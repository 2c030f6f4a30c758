//! Tokens are used once, and whoever is revoked stays so.

use time::{Duration, OffsetDateTime};

use crate::state::{
    Applicant, Enrolled, Enrolment, Epoch, KnownIdentity, Revocation, StateError, StateStore,
};

fn at(minutes: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::minutes(minutes)
}

fn token(hash: &str, name: &str) -> Enrolment {
    Enrolment {
        token_hash: hash.into(),
        zone: "factory".into(),
        name: name.into(),
        created: at(0),
        created_by: "user/alice".into(),
        expires: at(60),
    }
}

fn applicant<'a>(token_hash: &'a str, key_hash: &'a str, name: &'a str) -> Applicant<'a> {
    Applicant { token_hash, key_hash, name }
}

fn known(name: &str, key_hash: &str, expires: OffsetDateTime) -> KnownIdentity {
    KnownIdentity {
        identity: format!("worker/factory/{name}"),
        key_hash: key_hash.into(),
        serial: "41".into(),
        issued: at(1),
        expires,
        enrolled_by: "user/alice".into(),
    }
}

/// Runs this part of the suite.
pub(super) async fn run(store: &dyn StateStore) -> Result<(), StateError> {
    uses_tokens_once(store).await?;
    keeps_names(store).await?;
    revokes(store).await?;
    let deposed = store.led(Epoch::NONE);
    let refused = deposed.add_enrolment(&token("x", "")).await;
    assert!(matches!(refused, Err(StateError::Deposed)));
    let refused = deposed.enrol(applicant("x", "k", "w"), at(1)).await;
    assert!(matches!(refused, Err(StateError::Deposed)));
    Ok(())
}

async fn uses_tokens_once(store: &dyn StateStore) -> Result<(), StateError> {
    store.add_enrolment(&token("t1", "")).await?;
    let refused = |enrolled| assert_eq!(enrolled, Enrolled::NoToken);
    refused(store.enrol(applicant("unknown", "k1", "w1"), at(1)).await?);
    refused(store.enrol(applicant("t1", "k1", "w1"), at(60)).await?);
    let used = store.enrol(applicant("t1", "k1", "w1"), at(1)).await?;
    assert_eq!(used, Enrolled::As(token("t1", "")));
    // Its answer was lost.
    let again = store.enrol(applicant("t1", "k1", "w1"), at(2)).await?;
    assert_eq!(again, Enrolled::As(token("t1", "")));
    refused(store.enrol(applicant("t1", "k2", "w2"), at(2)).await?);
    refused(store.enrol(applicant("t1", "k1", "w1"), at(61)).await?);
    Ok(())
}

async fn keeps_names(store: &dyn StateStore) -> Result<(), StateError> {
    store.note_identity(&known("w1", "k1", at(100))).await?;
    for token in [token("t2", ""), token("t3", "w1"), token("t4", "w9")] {
        store.add_enrolment(&token).await?;
    }
    let taken = store.enrol(applicant("t2", "k2", "w1"), at(3)).await?;
    assert_eq!(taken, Enrolled::NameTaken);
    // The token is still good for another name.
    let free = store.enrol(applicant("t2", "k2", "w2"), at(3)).await?;
    assert!(matches!(free, Enrolled::As(_)), "{free:?}");
    let other = store.enrol(applicant("t4", "k4", "w1"), at(3)).await?;
    assert_eq!(other, Enrolled::OtherName);
    // One that names the worker replaces it.
    let named = store.enrol(applicant("t3", "k3", "w1"), at(3)).await?;
    assert_eq!(named, Enrolled::As(token("t3", "w1")));
    store.note_identity(&known("w1", "k3", at(200))).await?;
    assert_eq!(store.identity("worker/factory/w1").await?, Some(known("w1", "k3", at(200))));
    assert_eq!(store.identity("worker/factory/w7").await?, None);
    // A name whose certificate has ended is free.
    store.note_identity(&known("w3", "k3", at(2))).await?;
    store.add_enrolment(&token("t5", "")).await?;
    let ended = store.enrol(applicant("t5", "k5", "w3"), at(3)).await?;
    assert!(matches!(ended, Enrolled::As(_)), "{ended:?}");
    let names: Vec<_> = store.identities().await?.into_iter().map(|one| one.identity).collect();
    assert_eq!(names, ["worker/factory/w1", "worker/factory/w3"]);
    Ok(())
}

async fn revokes(store: &dyn StateStore) -> Result<(), StateError> {
    let by = |who: &str, minutes| Revocation {
        identity: "worker/factory/w1".into(),
        at: at(minutes),
        revoked_by: who.into(),
    };
    store.revoke(&by("user/alice", 4)).await?;
    store.revoke(&by("user/bob", 5)).await?;
    assert_eq!(store.revocations().await?, [by("user/alice", 4)]);
    store.add_enrolment(&token("t6", "w1")).await?;
    let refused = store.enrol(applicant("t6", "k6", "w1"), at(6)).await?;
    assert_eq!(refused, Enrolled::Revoked);
    store.restore("worker/factory/w1").await?;
    store.restore("worker/factory/nobody").await?;
    assert_eq!(store.revocations().await?, []);
    let restored = store.enrol(applicant("t6", "k6", "w1"), at(6)).await?;
    assert!(matches!(restored, Enrolled::As(_)), "{restored:?}");
    Ok(())
}
