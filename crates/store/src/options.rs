//! How to reach the object stores: settings that are not part of an address.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use object_store::ClientConfigKey;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};

use crate::error::StoreError;
use crate::lent::LentCredentials;
use crate::location::Cloud;
use crate::uploads::{Transport, UploadFloor, WatchedUploads};

/// Settings of the clients, by the names that the clouds' own tools use in the environment
/// (`AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …;
/// `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_ENDPOINT`, …;
/// `GOOGLE_SERVICE_ACCOUNT`, `GOOGLE_BASE_URL`, …).
///
/// S3 servers that can't copy parts are told by `PRESTAGE_S3_PART_COPY=false`.
///
/// The values hold credentials, so `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions {
    settings: BTreeMap<String, String>,
    no_part_copy: bool,
    /// What S3 is reached with in place of credentials among the settings.
    lent: Option<LentCredentials>,
    upload_floor: UploadFloor,
    /// Where requests to buckets go, if that is not a network.
    transport: Option<Transport>,
}

/// Most seconds that one request may take. Requests are sent again, so a server or a line that died without
/// a word costs minutes and no build. Of an upload it is the time for the answer alone.
const REQUEST_SECONDS: &str = "120 seconds";
const PART_COPY: &str = "PRESTAGE_S3_PART_COPY";
/// Settings of S3 that say where it is and how it is spoken to, and nothing of who speaks.
const SHOWN: [&str; 9] = [
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ALLOW_HTTP",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_TIMEOUT",
    PART_COPY,
];
const PREFIXES: [&str; 4] = ["AWS_", "AZURE_", "AZURITE_", "GOOGLE_"];

impl StoreOptions {
    /// The settings in this process's environment.
    pub fn from_env() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// Settings from pairs of name and value; names of others are passed over.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut options = Self::default();
        for (name, value) in pairs {
            let (name, value): (String, String) = (name.into(), value.into());
            if name == PART_COPY {
                options.no_part_copy = matches!(value.as_str(), "false" | "0" | "no" | "off");
            } else if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                options.settings.insert(name, value);
            }
        }
        options
    }

    /// The same store, reached by somebody who was lent access: with these settings and credentials in
    /// place of any of one's own for S3.
    #[must_use]
    pub fn lent(
        mut self,
        settings: impl IntoIterator<Item = (String, String)>,
        credentials: LentCredentials,
    ) -> Self {
        self.settings.retain(|name, _| !name.starts_with("AWS_"));
        let given = settings.into_iter().filter(|(name, _)| SHOWN.contains(&name.as_str()));
        for (name, value) in given {
            match name.as_str() {
                PART_COPY => self.no_part_copy = value == "false",
                _ => drop(self.settings.insert(name, value)),
            }
        }
        Self { lent: Some(credentials), ..self }
    }

    /// How S3 is reached, without who we are there: for somebody who is lent access.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let shown = self.settings.iter().filter(|(name, _)| SHOWN.contains(&name.as_str()));
        let mut shown: BTreeMap<_, _> = shown.map(|(n, v)| (n.clone(), v.clone())).collect();
        if self.no_part_copy {
            shown.insert(PART_COPY.to_owned(), "false".to_owned());
        }
        shown
    }

    /// One of the settings.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// The same with another floor for the progress of uploads.
    #[must_use]
    pub fn with_upload_floor(self, upload_floor: UploadFloor) -> Self {
        Self { upload_floor, ..self }
    }

    /// The same, whose requests to buckets go another way than over a network.
    #[must_use]
    pub fn with_transport(self, transport: Transport) -> Self {
        Self { transport: Some(transport), ..self }
    }

    pub(crate) fn transport(&self) -> Option<&Transport> {
        self.transport.as_ref()
    }

    fn connector(&self) -> WatchedUploads {
        WatchedUploads { floor: self.upload_floor, transport: self.transport.clone() }
    }

    /// Whether the S3 server may be asked to copy parts by itself.
    pub(crate) fn part_copy(&self) -> bool {
        !self.no_part_copy
    }

    /// A client for the S3 bucket. Nothing is sent yet.
    pub(crate) fn s3(&self, bucket: &str) -> Result<AmazonS3, StoreError> {
        self.s3_builder().with_bucket_name(bucket).build().map_err(not_open(Cloud::S3, bucket))
    }

    /// Which server answers for the S3 buckets: parts are copied on the server only within one.
    pub(crate) fn s3_server(&self) -> String {
        let builder = self.s3_builder();
        let value = |key| builder.get_config_value(&key).unwrap_or_default();
        let (endpoint, region) = (AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::Region);
        format!("{} {}", value(endpoint), value(region))
    }

    fn s3_builder(&self) -> AmazonS3Builder {
        let limited = AmazonS3Builder::new()
            .with_http_connector(self.connector())
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_SECONDS);
        let builder = self
            .settings_of("AWS_")
            .fold(limited, |builder, (key, value)| builder.with_config(key, value));
        match &self.lent {
            Some(lent) => builder.with_credentials(Arc::new(lent.clone())),
            None => builder,
        }
    }

    /// A client for the Azure container. Nothing is sent yet.
    pub(crate) fn azure(&self, container: &str) -> Result<MicrosoftAzure, StoreError> {
        let builder = self.azure_builder().with_container_name(container);
        builder.build().map_err(not_open(Cloud::Azure, container))
    }

    /// The Azure account that the containers are in, and its address, as the client takes them.
    pub(crate) fn azure_account(&self) -> AzureAccount {
        let builder = self.azure_builder();
        let value = |key| builder.get_config_value(&key);
        let is_on = |key| matches!(value(key).as_deref(), Some("true" | "1"));
        let name = value(AzureConfigKey::AccountName);
        if is_on(AzureConfigKey::UseEmulator) {
            let name = name.unwrap_or_else(|| EMULATOR_ACCOUNT.to_owned());
            let server = self.settings.get("AZURITE_BLOB_STORAGE_URL").map(String::as_str);
            let server = server.unwrap_or("http://127.0.0.1:10000").trim_end_matches('/');
            return AzureAccount { service: format!("{server}/{name}"), name };
        }
        let name = name.unwrap_or_default();
        let domain = match is_on(AzureConfigKey::UseFabricEndpoint) {
            true => "fabric.microsoft.com",
            false => "core.windows.net",
        };
        let service = value(AzureConfigKey::Endpoint);
        let service = service.unwrap_or_else(|| format!("https://{name}.blob.{domain}"));
        AzureAccount { service: service.trim_end_matches('/').to_owned(), name }
    }

    fn azure_builder(&self) -> MicrosoftAzureBuilder {
        let limited = MicrosoftAzureBuilder::new()
            .with_http_connector(self.connector())
            .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_SECONDS);
        self.settings_of("AZURE_")
            .fold(limited, |builder, (key, value)| builder.with_config(key, value))
    }

    /// A client for the Google bucket. Nothing is sent yet.
    pub(crate) fn google(&self, bucket: &str) -> Result<GoogleCloudStorage, StoreError> {
        let builder = self.google_builder().with_bucket_name(bucket);
        builder.build().map_err(not_open(Cloud::Google, bucket))
    }

    /// Address of Google's JSON API, as the client takes that of the XML API.
    pub(crate) fn google_server(&self) -> String {
        let server = self.google_builder().get_config_value(&GoogleConfigKey::BaseUrl);
        let server = server.unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
        server.trim_end_matches('/').to_owned()
    }

    fn google_builder(&self) -> GoogleCloudStorageBuilder {
        let limited = GoogleCloudStorageBuilder::new()
            .with_http_connector(self.connector())
            .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_SECONDS);
        self.settings_of("GOOGLE_")
            .fold(limited, |builder, (key, value)| builder.with_config(key, value))
    }

    /// The settings that a client knows. The environment may hold those of other tools, so unknown
    /// ones are no error.
    fn settings_of<K: std::str::FromStr>(&self, prefix: &str) -> impl Iterator<Item = (K, &str)> {
        self.settings.iter().filter(move |(name, _)| name.starts_with(prefix)).filter_map(
            |(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())),
        )
    }
}

/// Azurite's account when none is named.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";

/// An Azure storage account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AzureAccount {
    /// Its name, which goes into signatures.
    pub name: String,
    /// Address of its blob service, without a slash at the end.
    pub service: String,
}

fn not_open(cloud: Cloud, bucket: &str) -> impl FnOnce(object_store::Error) -> StoreError {
    let url = format!("{}://{bucket}", cloud.scheme());
    move |source| StoreError::Open { url, source: Box::new(source) }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .field("no_part_copy", &self.no_part_copy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let theirs = theirs.lent(given, LentCredentials::new("id", "hunter4", "token"));
        assert_eq!(theirs.s3_server(), "http://a ");
        assert!(!theirs.part_copy() && theirs.value("AWS_ACCESS_KEY_ID").is_none());
        assert_eq!(theirs.value("AZURE_X"), Some("y"), "other clouds are as they were");
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
}
