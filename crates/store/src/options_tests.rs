//! Tests of what clients are told.

use super::*;
use crate::lent::{LentSecrets, TemporaryKey};

#[test]
fn debug_shows_no_value() {
    let options =
        StoreOptions::from_pairs([("AWS_SECRET_ACCESS_KEY", "hunter2"), ("HOME", "/root")]);
    let shown = format!("{options:?}");
    assert!(shown.contains("AWS_SECRET_ACCESS_KEY"));
    assert!(!shown.contains("hunter2"));
    assert!(!shown.contains("HOME"));
}

#[test]
fn whoever_is_lent_access_is_told_where_and_not_who() {
    let own = StoreOptions::from_pairs([
        ("AWS_ENDPOINT", "http://a"),
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_SESSION_TOKEN", "hunter3"),
        ("PRESTAGE_S3_PART_COPY", "false"),
    ]);
    let shown = own.shown();
    let expected = [("AWS_ENDPOINT", "http://a"), ("PRESTAGE_S3_PART_COPY", "false")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(shown, expected.into());
    let theirs = StoreOptions::from_pairs([("AWS_ENDPOINT", "http://b"), ("AZURE_X", "y")]);
    let mut given = shown;
    given.insert("AWS_ACCESS_KEY_ID".into(), "smuggled".into());
    let (id, secret, token) = ("id".into(), "hunter4".into(), "token".into());
    let s3 = Some(TemporaryKey { id, secret, token });
    let secrets = LentSecrets { s3, ..LentSecrets::default() };
    let theirs = theirs.lent(given, LentCredentials::new(secrets));
    assert_eq!(theirs.s3_server(), "http://a ");
    assert!(!theirs.part_copy() && theirs.value("AWS_ACCESS_KEY_ID").is_none());
    assert_eq!(theirs.value("AZURE_X"), Some("y"), "other clouds are as they were");
    assert!(!format!("{theirs:?}").contains("hunter"));
}

#[test]
fn an_azure_account_is_shown_however_it_was_named() {
    let emulator = StoreOptions::from_pairs([
        ("AZURE_STORAGE_USE_EMULATOR", "true"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "hunter2"),
    ]);
    let expected = [
        ("AZURE_ALLOW_HTTP", "true"),
        ("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1"),
        ("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:10000/devstoreaccount1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(emulator.shown(), expected.into());
    let azure = [("packs/x".to_owned(), "sig=hunter3".to_owned())].into();
    let lent = LentCredentials::new(LentSecrets { azure, ..LentSecrets::default() });
    let own = [("AZURE_STORAGE_ACCOUNT_KEY", "own"), ("AWS_REGION", "r")];
    let theirs = StoreOptions::from_pairs(own).lent(emulator.shown(), lent);
    assert_eq!(theirs.azure_account(), emulator.azure_account());
    assert!(theirs.azure_key().is_none() && theirs.azure_lent().unwrap().is_some());
    assert_eq!(theirs.value("AWS_REGION"), Some("r"), "other clouds are as they were");
    assert!(!format!("{theirs:?}").contains("hunter"));
}

#[test]
fn the_server_is_told_by_endpoint_and_region() {
    let a = StoreOptions::from_pairs([("AWS_ENDPOINT", "http://a")]);
    let b = StoreOptions::from_pairs([("AWS_ENDPOINT", "http://b")]);
    assert_ne!(a.s3_server(), b.s3_server());
    assert_eq!(a.s3_server(), a.clone().s3_server());
}

#[test]
fn requests_are_limited_as_the_environment_says() {
    let seconds = |pairs: &[(&str, &str)]| {
        let options = StoreOptions::from_pairs(pairs.iter().copied());
        let timeout = |value: Option<String>| value.unwrap();
        [
            timeout(
                options
                    .s3_builder()
                    .get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::Timeout)),
            ),
            timeout(
                options
                    .azure_builder()
                    .get_config_value(&AzureConfigKey::Client(ClientConfigKey::Timeout)),
            ),
            timeout(
                options
                    .google_builder()
                    .get_config_value(&GoogleConfigKey::Client(ClientConfigKey::Timeout)),
            ),
        ]
    };
    assert_eq!(seconds(&[]), ["120 seconds"; 3]);
    let slow_line = "15 minutes";
    let own = ["AWS_TIMEOUT", "AZURE_TIMEOUT", "GOOGLE_TIMEOUT"].map(|name| (name, slow_line));
    assert_eq!(seconds(&own), [slow_line; 3]);
}

#[test]
fn the_azure_account_is_where_the_client_takes_it() {
    let account = |pairs: &[(&str, &str)]| {
        StoreOptions::from_pairs(pairs.iter().copied()).azure_account().service
    };
    let name = ("AZURE_STORAGE_ACCOUNT_NAME", "acme");
    assert_eq!(account(&[name]), "https://acme.blob.core.windows.net");
    let endpoint = ("AZURE_STORAGE_ENDPOINT", "http://here:1/acme/");
    assert_eq!(account(&[name, endpoint]), "http://here:1/acme");
    let emulator = ("AZURE_STORAGE_USE_EMULATOR", "true");
    assert_eq!(account(&[emulator]), "http://127.0.0.1:10000/devstoreaccount1");
}
