//! Credentials that are exchanged while they are used.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use object_store::{
    CredentialProvider, aws::AwsCredential, azure::AzureCredential, gcp::GcpCredential,
};

use crate::location::Cloud;

/// A temporary key of S3.
#[derive(Clone, PartialEq, Eq)]
pub struct TemporaryKey {
    /// Its id.
    pub id: String,
    /// The key: a secret.
    pub secret: String,
    /// What goes with it: a secret.
    pub token: String,
}

/// What opens that which is lent, cloud by cloud.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LentSecrets {
    /// Of S3.
    pub s3: Option<TemporaryKey>,
    /// Of Azure: the SAS of each blob (its query), by container and name with a slash between them.
    pub azure: BTreeMap<String, String>,
    /// Of Google: an access token.
    pub google: Option<String>,
}

impl LentSecrets {
    /// Whether they open anything in a cloud.
    pub fn has(&self, cloud: Cloud) -> bool {
        match cloud {
            Cloud::S3 => self.s3.is_some(),
            Cloud::Azure => !self.azure.is_empty(),
            Cloud::Google => self.google.is_some(),
        }
    }
}

/// Temporary credentials of a task. Whoever uses them takes the newest with each request.
#[derive(Clone)]
pub struct LentCredentials(Arc<RwLock<Arc<LentSecrets>>>);

impl LentCredentials {
    /// Credentials to begin with.
    pub fn new(secrets: LentSecrets) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(secrets))))
    }

    /// Goes on with others.
    pub fn exchange(&self, secrets: LentSecrets) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(secrets);
    }

    /// Whether they open anything in a cloud.
    pub(crate) fn has(&self, cloud: Cloud) -> bool {
        self.newest().has(cloud)
    }

    /// What opens a blob (its container and name, with a slash between them), if it was lent.
    pub(crate) fn of_blob(&self, blob: &str) -> Option<AzureCredential> {
        let secrets = self.newest();
        let query = secrets.azure.get(blob)?;
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        Some(AzureCredential::SASToken(pairs.collect()))
    }

    fn newest(&self) -> Arc<LentSecrets> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PartialEq for LentCredentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LentCredentials {}

impl fmt::Debug for LentCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LentCredentials(…)")
    }
}

/// The key of S3, as the client takes it.
#[derive(Debug)]
pub(crate) struct OfS3(pub LentCredentials);

#[async_trait]
impl CredentialProvider for OfS3 {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let secrets = self.0.newest();
        let key = secrets.s3.as_ref().ok_or_else(|| nothing("s3"))?;
        let TemporaryKey { id, secret, token } = key.clone();
        Ok(Arc::new(AwsCredential { key_id: id, secret_key: secret, token: Some(token) }))
    }
}

/// The token of Google, as the client takes it.
#[derive(Debug)]
pub(crate) struct OfGoogle(pub LentCredentials);

#[async_trait]
impl CredentialProvider for OfGoogle {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let token = self.0.newest().google.clone().ok_or_else(|| nothing("gs"))?;
        Ok(Arc::new(GcpCredential { bearer: token }))
    }
}

fn nothing(scheme: &str) -> object_store::Error {
    let path = format!("{scheme}://");
    object_store::Error::Unauthenticated { path, source: "nothing is lent there".into() }
}
