//! What is lent of Azure and of Google, and what it opens.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use prestage_store::{
    Compose, Composer, ObjectKey, ObjectUrl, Objects, Part, PutRule, Source, StoreError,
    StoreOptions, UploadToken,
    lent::{Area, LendError, LentCredentials, LentSecrets, SasLender, Scope, TokenLender},
};
use support::{
    azurite::Azurite,
    front::{Asked, Front, answered},
    google::Google,
};
use time::OffsetDateTime;

const LIFE: Duration = Duration::from_secs(3600);
const LEASE: &str = "build/assemble 1";
const BODY: Bytes = Bytes::from_static(b"bytes");

fn areas(urls: &[&str]) -> Vec<Area> {
    urls.iter().map(|url| Area::at(&ObjectUrl::parse(url).unwrap()).unwrap()).collect()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

/// Signatures that were made at a time.
fn signed(server: &Azurite, scope: &Scope, at: OffsetDateTime) -> BTreeMap<String, String> {
    SasLender::new(LIFE, &server.options()).unwrap().lend(scope, at).unwrap().0
}

/// Somebody who has nothing but those.
fn borrower(server: &Azurite, azure: BTreeMap<String, String>) -> StoreOptions {
    let lent = LentCredentials::new(LentSecrets { azure, ..LentSecrets::default() });
    StoreOptions::default().lent(server.options().shown(), lent)
}

async fn opened(url: &str, options: &StoreOptions) -> Objects {
    Objects::open_with(&ObjectUrl::parse(url).unwrap(), options).await.unwrap()
}

fn denied(error: StoreError) {
    let StoreError::Request { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(**source, object_store::Error::PermissionDenied { .. }), "{error}");
}

async fn put(objects: &Objects, name: &str) -> Result<(), StoreError> {
    objects.put_small(&key(name), BODY, PutRule::Overwrite).await.map(drop)
}

#[tokio::test]
async fn a_signature_opens_its_blob_and_azure_refuses_every_other() {
    let server = Azurite::start().await;
    let ours = server.open("az://packs/a b").await;
    for name in ["read", "other"] {
        put(&ours, name).await.unwrap();
    }
    let scope = Scope {
        reads: areas(&["az://packs/a b/read", "az://packs/a b/none"]),
        writes: areas(&["az://packs/a b/w+%41"]),
    };
    let now = OffsetDateTime::now_utc();
    let lent = signed(&server, &scope, now);
    let theirs = opened("az://packs/a b", &borrower(&server, lent.clone())).await;
    // What is lent works, and what is not there is not there.
    put(&theirs, "w+%41").await.unwrap();
    assert_eq!(ours.get(&key("w+%41"), 100).await.unwrap(), BODY);
    assert_eq!(theirs.get(&key("w+%41"), 100).await.unwrap(), BODY);
    theirs.delete(&key("w+%41")).await.unwrap();
    theirs.delete(&key("w+%41")).await.unwrap();
    assert!(ours.head(&key("w+%41")).await.unwrap().is_none());
    assert_eq!(theirs.get(&key("read"), 100).await.unwrap(), BODY);
    assert!(theirs.head(&key("none")).await.unwrap().is_none());
    // The server itself refuses more than that.
    denied(put(&theirs, "read").await.unwrap_err());
    denied(theirs.delete(&key("read")).await.unwrap_err());
    denied(theirs.get(&key("other"), 100).await.unwrap_err());
    server.front.take_seen();
    let stolen = BTreeMap::from([("packs/a b/other".into(), lent["packs/a b/w+%41"].clone())]);
    let thief = opened("az://packs/a b", &borrower(&server, stolen)).await;
    denied(thief.get(&key("other"), 100).await.unwrap_err());
    denied(put(&thief, "other").await.unwrap_err());
    denied(thief.delete(&key("other")).await.unwrap_err());
    assert_eq!(server.front.take_seen().len(), 3, "the server was asked");
    let old = signed(&server, &scope, now - 2 * LIFE);
    let late = opened("az://packs/a b", &borrower(&server, old)).await;
    denied(late.get(&key("read"), 100).await.unwrap_err());
    assert_eq!(ours.get(&key("other"), 100).await.unwrap(), BODY, "it is untouched");
}

#[tokio::test]
async fn signatures_are_exchanged_while_they_are_used_and_carry_uploads_in_parts() {
    let server = Azurite::start().await;
    let secrets = |azure| LentSecrets { azure, ..LentSecrets::default() };
    let writes = areas(&["az://packs/large"]);
    let scope = Scope { reads: Vec::new(), writes };
    let now = OffsetDateTime::now_utc();
    let lent = LentCredentials::new(secrets(signed(&server, &scope, now - 2 * LIFE)));
    let options = StoreOptions::default().lent(server.options().shown(), lent.clone());
    let objects = opened("az://packs", &options).await;
    denied(put(&objects, "large").await.unwrap_err());
    lent.exchange(secrets(signed(&server, &scope, now)));
    let path = objects.store_path(&key("large")).unwrap();
    let mut upload = objects.store().put_multipart(&path).await.unwrap();
    for byte in [1, 2] {
        upload.put_part(vec![byte; 100_000].into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    assert_eq!(objects.head(&key("large")).await.unwrap().unwrap().bytes, 200_000);
}

/// A part of a pack with a space in its name, and the source's client.
fn part(objects: Objects, number: u32, name: &str) -> Part {
    let source = Source { objects, key: key(name), offset: 1, if_match: None };
    Part { number, dst_offset: u64::from(number) * 3, len: 3, source }
}

#[tokio::test]
async fn media_are_composed_of_what_is_lent() {
    for (server, sent) in [(Azurite::start().await, 6), (Azurite::start_copying().await, 0)] {
        composed(&server, sent).await;
    }
}

async fn composed(server: &Azurite, sent: usize) {
    let ours = server.open("az://packs/a b").await;
    for name in ["one", "two", "other"] {
        put(&ours, name).await.unwrap();
    }
    let output = ObjectUrl::parse("az://media/a b/w 11+.wim").unwrap();
    let marker = UploadToken::marker_under(LEASE, &output).unwrap();
    let scope = Scope {
        reads: areas(&["az://packs/a b/one", "az://packs/a b/two"]),
        writes: areas(&[&output.to_string(), &marker.to_string()]),
    };
    let options = borrower(server, signed(server, &scope, OffsetDateTime::now_utc()));
    let composer = Composer::new(options.clone()).under(LEASE.into());
    let objects = opened("az://packs/a b", &options).await;
    let token = composer.begin(&output, 6).await.unwrap();
    assert_eq!(token.marker().unwrap(), Some(marker));
    server.front.take_seen();
    let mut parts = Vec::new();
    for (number, name) in [(0, "one"), (1, "two")] {
        let part = part(objects.clone(), number, name);
        let receipt = composer.place(&token, &part).await.unwrap().receipt;
        parts.push((part, receipt));
    }
    let seen: usize = server.front.take_seen().iter().map(|seen| seen.bytes).sum();
    assert_eq!(seen, sent, "the bytes that came here");
    let unlent = part(objects.clone(), 1, "other");
    composer.place(&token, &unlent).await.unwrap_err();
    composer.finish(&token, &parts).await.unwrap();
    let media = server.open("az://media/a b").await;
    let medium = media.get(&key("w 11+.wim"), 100).await.unwrap();
    assert_eq!(medium, Bytes::from_static(b"yteyte"));
    let left: Vec<_> = media.list("").try_collect().await.unwrap();
    assert_eq!(left.len(), 1, "the mark is gone: {left:?}");
    let elsewhere = ObjectUrl::parse("az://media/a b/other.wim").unwrap();
    composer.begin(&elsewhere, 6).await.unwrap_err();
}

/// A token service that answers always the same, and writes down what it was asked.
async fn token_service(status: u16, answer: &'static str) -> (Front, Arc<Mutex<Vec<Asked>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = asked.clone();
    let front = Front::start(0, move |_, request| {
        notes.lock().unwrap().push(request);
        Box::pin(async move { answered(status, answer.to_owned()) })
    });
    (front.await, asked)
}

fn google_lender(service: &Front, token: &str) -> TokenLender {
    let options = StoreOptions::from_pairs([
        ("GOOGLE_STS_ENDPOINT", service.url().as_str()),
        ("GOOGLE_BEARER_TOKEN", token),
    ]);
    TokenLender::new(&options).unwrap()
}

#[tokio::test]
async fn the_coordinators_token_is_exchanged_as_google_documents_it() {
    let (service, asked) = token_service(200, r#"{"access_token":"ya29.test"}"#).await;
    let lender = google_lender(&service, "ya29.own");
    let scope = Scope { reads: Vec::new(), writes: areas(&["gs://packs/k."]) };
    let now = OffsetDateTime::now_utc();
    let (token, until) = lender.lend(&scope, now).await.unwrap();
    assert_eq!((token.as_str(), until), ("ya29.test", now + Duration::from_secs(300)));
    let asked = asked.lock().unwrap().remove(0);
    assert_eq!((asked.method().as_str(), asked.uri().path()), ("POST", "/v1/token"));
    let kind = asked.headers().get("content-type").unwrap();
    assert_eq!(kind, "application/x-www-form-urlencoded");
    assert!(asked.headers().get("authorization").is_none());
    let body = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
        &options=%7B%22accessBoundary%22%3A%7B%22accessBoundaryRules%22%3A%5B\
        %7B%22availablePermissions%22%3A%5B%22inRole%3Aroles%2Fstorage.legacyBucketReader%22%5D%2C\
        %22availableResource%22%3A%22%2F%2Fstorage.googleapis.com%2Fprojects%2F_%2Fbuckets%2Fpacks%22%7D%2C\
        %7B%22availabilityCondition%22%3A%7B%22expression%22%3A%22resource.name.startsWith%28\
        %27projects%2F_%2Fbuckets%2Fpacks%2Fobjects%2Fk.%27%29%22%7D%2C\
        %22availablePermissions%22%3A%5B%22inRole%3Aroles%2Fstorage.objectUser%22%5D%2C\
        %22availableResource%22%3A%22%2F%2Fstorage.googleapis.com%2Fprojects%2F_%2Fbuckets%2Fpacks%22%7D\
        %5D%7D%7D\
        &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
        &subject_token=ya29.own\
        &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    assert_eq!(std::str::from_utf8(asked.body()).unwrap(), body);
}

#[tokio::test]
async fn what_is_not_lent_in_google_says_why_and_shows_no_token() {
    let refusal = r#"{"error":"invalid_grant","error_description":"no"}"#;
    let (service, asked) = token_service(400, refusal).await;
    let scope = Scope { reads: areas(&["gs://packs/packs/"]), writes: Vec::new() };
    let now = OffsetDateTime::now_utc();
    let refused = google_lender(&service, "ya29.own").lend(&scope, now).await.unwrap_err();
    let said = format!("{refused} {refused:?}");
    assert!(said.contains("invalid_grant no") && said.contains("status 400"), "{said}");
    assert!(!said.contains("ya29"), "{said}");
    let (odd, _) = token_service(200, r#"{"token":"ya29.hunter2"}"#).await;
    let odd = google_lender(&odd, "ya29.own").lend(&scope, now).await.unwrap_err();
    assert!(!format!("{odd} {odd:?}").contains("hunter2"), "{odd}");
    // Claims that the client library has signed with a key file are not sent.
    let asked_before = asked.lock().unwrap().len();
    let file = google_lender(&service, "eyJhbGciOi.eyJpc3Mi.c2ln").lend(&scope, now).await;
    assert!(matches!(file, Err(LendError::KeyFile)));
    let long = areas(&[&format!("gs://packs/{}", "x".repeat(2000))]);
    let long = Scope { reads: long, writes: Vec::new() };
    let long = google_lender(&service, "ya29.own").lend(&long, now).await.unwrap_err();
    assert!(matches!(long, LendError::Boundary(_)) && long.is_final());
    assert_eq!(asked.lock().unwrap().len(), asked_before);
}

#[tokio::test]
async fn requests_to_google_carry_the_lent_token() {
    let server = Google::start().await;
    let own = server.options_with_token("ya29.own");
    let secrets = |token: &str| {
        let google = Some(token.to_owned());
        LentSecrets { google, ..LentSecrets::default() }
    };
    let lent = LentCredentials::new(secrets("ya29.old"));
    let options = own.clone().lent(server.options().shown(), lent.clone());
    let objects = opened("gs://packs", &options).await;
    put(&objects, "one").await.unwrap_err();
    lent.exchange(secrets("ya29.test"));
    put(&objects, "one").await.unwrap();
    let composer = Composer::new(options);
    let output = ObjectUrl::parse("gs://media/w.wim").unwrap();
    let token = composer.begin(&output, 3).await.unwrap();
    let part = part(objects, 0, "one");
    let receipt = composer.place(&token, &part).await.unwrap().receipt;
    composer.finish(&token, &[(part, receipt)]).await.unwrap();
    let media = server.open("gs://media").await;
    assert_eq!(media.get(&key("w.wim"), 100).await.unwrap(), Bytes::from_static(b"yte"));
}
