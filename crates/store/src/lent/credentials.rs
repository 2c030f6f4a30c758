//! Credentials that are exchanged while they are used.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use object_store::{CredentialProvider, aws::AwsCredential};

/// Temporary credentials of a task. Whoever uses them takes the newest with each request.
#[derive(Clone)]
pub struct LentCredentials(Arc<RwLock<Arc<AwsCredential>>>);

impl LentCredentials {
    /// Credentials to begin with.
    pub fn new(key_id: &str, secret_key: &str, token: &str) -> Self {
        Self(Arc::new(RwLock::new(credential(key_id, secret_key, token))))
    }

    /// Goes on with others.
    pub fn exchange(&self, key_id: &str, secret_key: &str, token: &str) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = credential(key_id, secret_key, token);
    }
}

fn credential(key_id: &str, secret_key: &str, token: &str) -> Arc<AwsCredential> {
    Arc::new(AwsCredential {
        key_id: key_id.to_owned(),
        secret_key: secret_key.to_owned(),
        token: Some(token.to_owned()),
    })
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

#[async_trait]
impl CredentialProvider for LentCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
