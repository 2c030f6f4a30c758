//! Opening a medium that lies anywhere, and its manifest beside it.

use std::sync::Arc;

use prestage_store::{ObjectKey, ObjectUrl, Objects, StoreError, StoreOptions};
use prestage_wim::{ObjectSource, RangeRead, Wim};
use serde_json::Value;

use crate::error::CliError;

const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// An open medium.
pub struct Medium {
    /// Its address.
    pub url: ObjectUrl,
    /// The WIM.
    pub wim: Arc<Wim>,
    /// Its size in bytes.
    pub bytes: u64,
    /// `<medium>.manifest.json`, if it is there.
    pub manifest: Option<Value>,
}

impl Medium {
    /// Opens it by ranges.
    pub async fn open(address: &str) -> Result<Self, CliError> {
        let url = ObjectUrl::parse(address)?;
        let missing = || {
            CliError::wrong(format!("{url} is not there"), "give the path or URL of a .wim file")
        };
        if let ObjectUrl::Local(path) = &url
            && !path.is_file()
        {
            return Err(missing());
        }
        let (objects, key) = Objects::open_around(&url, &StoreOptions::from_env()).await?;
        let Some(facts) = objects.head(&key).await? else {
            return Err(missing());
        };
        let path = objects.store_path(&key)?;
        let source = ObjectSource::open(objects.store().clone(), path).await?;
        let source: Arc<dyn RangeRead> = Arc::new(source);
        let wim =
            Wim::open(source).await.map_err(|error| CliError::from(error).at(url.to_string()))?;
        let manifest = manifest(&objects, &key).await?;
        Ok(Self { url, wim: Arc::new(wim), bytes: facts.bytes, manifest })
    }
}

async fn manifest(objects: &Objects, key: &ObjectKey) -> Result<Option<Value>, CliError> {
    let key = ObjectKey::new(format!("{key}.manifest.json")).map_err(StoreError::from)?;
    match objects.get(&key, MANIFEST_BYTES_MAX).await {
        Ok(body) => Ok(Some(serde_json::from_slice(&body)?)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
