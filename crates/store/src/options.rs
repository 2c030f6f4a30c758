//! How to reach the object stores: settings that are not part of an address.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};

use crate::azure_account::AzureAccount;
use crate::error::StoreError;
use crate::lent::{
    LentBlobs, LentCredentials, SignedRequests,
    credentials::{OfGoogle, OfS3},
};
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
    /// What clouds are reached with in place of credentials among the settings.
    lent: Option<LentCredentials>,
    upload_floor: UploadFloor,
    /// Where requests to buckets go, if that is not a network.
    transport: Option<Transport>,
    longest_pause: Option<Duration>,
}

/// Most seconds that one request may take. Requests are sent again, so a server or a line that died without
/// a word costs minutes and no build. Of an upload it is the time for the answer alone.
const REQUEST_SECONDS: &str = "120 seconds";
/// How often a request is sent again to a server that does not answer. The client's own ten times are over
/// in three seconds, and a server that starts again takes longer: all workers would fail at once, and with
/// them every build. These take more than half a minute.
const TRIES_AGAIN: usize = 40;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Each pause is longer than the one before by up to so many times.
const LONGER: f64 = 3.0;
/// A request that took all its time is sent once more.
const TRIES_AGAIN_WITHIN: Duration = Duration::from_secs(180);
const PART_COPY: &str = "PRESTAGE_S3_PART_COPY";
/// Settings that say where a store is and how it is spoken to, and nothing of who speaks.
const SHOWN: [&str; 16] = [
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ALLOW_HTTP",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_TIMEOUT",
    PART_COPY,
    ACCOUNT,
    ACCOUNT_ENDPOINT,
    "AZURE_ALLOW_HTTP",
    "AZURE_TIMEOUT",
    "GOOGLE_BASE_URL",
    "GOOGLE_ALLOW_HTTP",
    "GOOGLE_TIMEOUT",
];
const ACCOUNT: &str = "AZURE_STORAGE_ACCOUNT_NAME";
const ACCOUNT_ENDPOINT: &str = "AZURE_STORAGE_ENDPOINT";
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
    /// place of any of one's own, in those clouds that they are for.
    #[must_use]
    pub fn lent(
        mut self,
        settings: impl IntoIterator<Item = (String, String)>,
        credentials: LentCredentials,
    ) -> Self {
        let is_lent = |name: &str| cloud_of(name).is_some_and(|cloud| credentials.has(cloud));
        self.settings.retain(|name, _| !is_lent(name));
        let given = settings.into_iter();
        for (name, value) in given.filter(|(name, _)| is_lent(name) && SHOWN.contains(&&**name)) {
            match name.as_str() {
                PART_COPY => self.no_part_copy = value == "false",
                _ => drop(self.settings.insert(name, value)),
            }
        }
        Self { lent: Some(credentials), ..self }
    }

    /// How stores are reached, without who we are there: for somebody who is lent access.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let shown = self.settings.iter().filter(|(name, _)| SHOWN.contains(&name.as_str()));
        let mut shown: BTreeMap<_, _> = shown.map(|(n, v)| (n.clone(), v.clone())).collect();
        if self.no_part_copy {
            shown.insert(PART_COPY.to_owned(), "false".to_owned());
        }
        // The account can be named in several ways.
        let account = self.azure_account();
        if !account.name.is_empty() {
            if account.service.starts_with("http://") {
                shown.insert("AZURE_ALLOW_HTTP".to_owned(), "true".to_owned());
            }
            shown.insert(ACCOUNT.to_owned(), account.name);
            shown.insert(ACCOUNT_ENDPOINT.to_owned(), account.service);
        }
        shown
    }

    /// Whether anything is set for a cloud.
    pub fn names(&self, cloud: Cloud) -> bool {
        self.settings.keys().any(|name| cloud_of(name) == Some(cloud))
    }

    /// What was lent in a cloud.
    fn lent_in(&self, cloud: Cloud) -> Option<&LentCredentials> {
        self.lent.as_ref().filter(|lent| lent.has(cloud))
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

    /// The same, with pauses of at most so long before a request is sent again: how long a server that does not
    /// answer is waited for. Five seconds, unless one says otherwise; tests of failures don't want to wait.
    #[must_use]
    pub fn with_longest_pause(self, longest_pause: Duration) -> Self {
        Self { longest_pause: Some(longest_pause), ..self }
    }

    /// The longest pause before a request is sent again.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.longest_pause.unwrap_or(LONGEST_PAUSE)
    }

    fn patience(&self) -> RetryConfig {
        let max_backoff = self.longest_pause();
        let init_backoff = FIRST_PAUSE.min(max_backoff);
        RetryConfig {
            backoff: BackoffConfig { init_backoff, max_backoff, base: LONGER },
            max_retries: TRIES_AGAIN,
            retry_timeout: TRIES_AGAIN_WITHIN,
        }
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
            .with_retry(self.patience())
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_SECONDS);
        let builder = self
            .settings_of("AWS_")
            .fold(limited, |builder, (key, value)| builder.with_config(key, value));
        match self.lent_in(Cloud::S3) {
            Some(lent) => builder.with_credentials(Arc::new(OfS3(lent.clone()))),
            None => builder,
        }
    }

    /// A client for the Azure container. Nothing is sent yet.
    pub(crate) fn azure(&self, container: &str) -> Result<MicrosoftAzure, StoreError> {
        let builder = self.azure_builder().with_container_name(container);
        let builder = match self.signed_requests() {
            Some(signed) => builder.with_http_connector(signed).with_skip_signature(true),
            None => builder,
        };
        builder.build().map_err(not_open(Cloud::Azure, container))
    }

    /// What was lent of Azure.
    pub(crate) fn azure_lent(&self) -> Result<Option<LentBlobs>, StoreError> {
        let blobs = self.signed_requests().map(|signed| LentBlobs::new(&signed)).transpose();
        blobs.map_err(not_open(Cloud::Azure, ""))
    }

    fn signed_requests(&self) -> Option<SignedRequests> {
        let lent = self.lent_in(Cloud::Azure)?.clone();
        let (account, requests) = (self.azure_account(), self.connector());
        Some(SignedRequests { lent, account, requests })
    }

    /// The key of the Azure account.
    pub(crate) fn azure_key(&self) -> Option<String> {
        self.azure_builder().get_config_value(&AzureConfigKey::AccessKey)
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
            .with_retry(self.patience())
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
            .with_retry(self.patience())
            .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_SECONDS);
        let builder = self
            .settings_of("GOOGLE_")
            .fold(limited, |builder, (key, value)| builder.with_config(key, value));
        match self.lent_in(Cloud::Google) {
            Some(lent) => builder.with_credentials(Arc::new(OfGoogle(lent.clone()))),
            None => builder,
        }
    }

    /// The settings that a client knows. The environment may hold those of other tools, so unknown
    /// ones are no error.
    fn settings_of<K: std::str::FromStr>(&self, prefix: &str) -> impl Iterator<Item = (K, &str)> {
        self.settings.iter().filter(move |(name, _)| name.starts_with(prefix)).filter_map(
            |(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())),
        )
    }
}

/// The cloud that a setting is for.
fn cloud_of(name: &str) -> Option<Cloud> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match name {
        PART_COPY => Some(Cloud::S3),
        _ if begins(&["AWS_"]) => Some(Cloud::S3),
        _ if begins(&["AZURE_", "AZURITE_"]) => Some(Cloud::Azure),
        _ if begins(&["GOOGLE_"]) => Some(Cloud::Google),
        _ => None,
    }
}

/// Azurite's account when none is named.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";

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
#[path = "options_tests.rs"]
mod tests;
