//! Opening a medium that lies anywhere, and its manifest beside it.

use std::sync::Arc;

use prestage_store::{ObjectKey, ObjectUrl, Objects, StoreError, StoreOptions};
use prestage_wim::{HEADER_BYTES, Header, ObjectSource, RangeRead, Wim};
use serde_json::Value;

use crate::error::CliError;

const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// An open medium.
pub struct Medium {
    /// Its address; that of its first volume, if it is split.
    pub url: ObjectUrl,
    /// The WIM, of all volumes.
    pub wim: Arc<Wim>,
    /// Its size in bytes, that of all volumes together.
    pub bytes: u64,
    /// `<medium>.manifest.json`, if it is there.
    pub manifest: Option<Value>,
}

impl Medium {
    /// Opens it by ranges, with all its volumes if `address` is the first of several.
    pub async fn open(address: &str) -> Result<Self, CliError> {
        let url = ObjectUrl::parse(address)?;
        let missing = || {
            let advice = "give the path or URL of a .wim file, or of the first .swm file of a set";
            CliError::wrong(format!("{url} is not there"), advice)
        };
        if let ObjectUrl::Local(path) = &url
            && !path.is_file()
        {
            return Err(missing());
        }
        let (objects, key) = Objects::open_around(&url, &StoreOptions::from_env()).await?;
        let first = source(&objects, &key).await?.ok_or_else(missing)?;
        let sources = volumes(&objects, &url, first).await?;
        let bytes = sources.iter().map(|source| source.size()).sum();
        let wim = Wim::open_set(sources).await.map_err(|error| about(error, &url))?;
        let manifest = manifest(&objects, &key).await?;
        Ok(Self { url, wim: Arc::new(wim), bytes, manifest })
    }
}

fn about(error: prestage_wim::WimError, url: &ObjectUrl) -> CliError {
    CliError::from(error).at(url.to_string())
}

/// The object, if it is there.
async fn source(
    objects: &Objects,
    key: &ObjectKey,
) -> Result<Option<Arc<dyn RangeRead>>, CliError> {
    if objects.head(key).await?.is_none() {
        return Ok(None);
    }
    let source = ObjectSource::open(objects.store().clone(), objects.store_path(key)?).await?;
    Ok(Some(Arc::new(source)))
}

/// The medium's volumes, as far as they are there.
async fn volumes(
    objects: &Objects,
    url: &ObjectUrl,
    first: Arc<dyn RangeRead>,
) -> Result<Vec<Arc<dyn RangeRead>>, CliError> {
    let start = first.read(0..HEADER_BYTES.min(first.size())).await;
    let header =
        start.and_then(|start| Header::parse(&start)).map_err(|error| about(error, url))?;
    if header.part > 1 {
        let what = format!("{url} is part {} of a split medium", header.part);
        return Err(CliError::wrong(what, "give the first part; the others are found beside it"));
    }
    let mut sources = vec![first];
    for number in 2..=header.parts {
        let volume = url.volume(number.into())?;
        let key = ObjectKey::new(volume.name()?).map_err(StoreError::from)?;
        sources.extend(source(objects, &key).await?);
    }
    Ok(sources)
}

async fn manifest(objects: &Objects, key: &ObjectKey) -> Result<Option<Value>, CliError> {
    let key = ObjectKey::new(format!("{key}.manifest.json")).map_err(StoreError::from)?;
    match objects.get(&key, MANIFEST_BYTES_MAX).await {
        Ok(body) => Ok(Some(serde_json::from_slice(&body)?)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
