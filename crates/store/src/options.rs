//! How to reach the object stores: settings that are not part of an address.

use std::collections::BTreeMap;
use std::fmt;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};

use crate::error::StoreError;

/// Settings of the S3 client, by the names that the AWS tools use in the environment
/// (`AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …).
///
/// Servers that can't copy parts are told by `PRESTAGE_S3_PART_COPY=false`.
///
/// The values hold credentials, so `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoreOptions {
    s3: BTreeMap<String, String>,
    no_part_copy: bool,
}

const PART_COPY: &str = "PRESTAGE_S3_PART_COPY";

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
            } else if name.starts_with("AWS_") {
                options.s3.insert(name, value);
            }
        }
        options
    }

    /// Whether the server may be asked to copy parts by itself.
    pub(crate) fn part_copy(&self) -> bool {
        !self.no_part_copy
    }

    /// A client for `bucket`. Nothing is sent yet.
    pub(crate) fn s3(&self, bucket: &str) -> Result<AmazonS3, StoreError> {
        self.s3_builder(bucket).build().map_err(|source| StoreError::Open {
            url: format!("s3://{bucket}"),
            source: Box::new(source),
        })
    }

    /// Which server answers for the buckets: parts are copied on the server only within one.
    pub(crate) fn s3_server(&self) -> String {
        let builder = self.s3_builder("any");
        let value = |key| builder.get_config_value(&key).unwrap_or_default();
        let (endpoint, region) = (AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::Region);
        format!("{} {}", value(endpoint), value(region))
    }

    fn s3_builder(&self, bucket: &str) -> AmazonS3Builder {
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &self.s3 {
            // The environment may hold settings of other tools, so unknown ones are no error.
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        builder.with_bucket_name(bucket)
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("s3", &self.s3.keys().collect::<Vec<_>>())
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
    fn the_server_is_told_by_endpoint_and_region() {
        let a = StoreOptions::from_pairs([("AWS_ENDPOINT", "http://a")]);
        let b = StoreOptions::from_pairs([("AWS_ENDPOINT", "http://b")]);
        assert_ne!(a.s3_server(), b.s3_server());
        assert_eq!(a.s3_server(), a.clone().s3_server());
    }
}
