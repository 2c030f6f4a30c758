//! Volumes of an older medium that the newer one has no successor for.

use prestage_store::{ObjectKey, ObjectUrl, Objects, StoreError};
use prestage_wim::{HEADER_BYTES, Header};
use serde::Deserialize;

use super::error::TaskError;

/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// What is looked at of the manifest beside the older medium.
#[derive(Deserialize)]
struct OlderManifest {
    medium: OlderMedium,
}

#[derive(Deserialize)]
struct OlderMedium {
    volumes: Vec<serde::de::IgnoredAny>,
}

/// Removes the volumes behind the newer medium's `count` that the manifest beside `first` (the
/// object `key` of `objects`) still counts. Someone would copy them with the newer ones.
pub async fn remove_stale_volumes(
    objects: &Objects,
    key: &ObjectKey,
    first: &ObjectUrl,
    count: usize,
) -> Result<(), TaskError> {
    let manifest = ObjectKey::new(format!("{key}.manifest.json")).map_err(StoreError::from)?;
    let manifest = match objects.get(&manifest, MANIFEST_BYTES_MAX).await {
        Err(StoreError::Missing { .. }) => return Ok(()),
        manifest => manifest?,
    };
    // One that can't be read counts nothing.
    let Ok(older) = serde_json::from_slice::<OlderManifest>(&manifest) else {
        return Ok(());
    };
    let parts = older.medium.volumes.len();
    for number in count + 1..=parts {
        let volume = first.volume(number as u32).map_err(StoreError::from)?;
        let name = volume.name().map_err(StoreError::from)?;
        let key = ObjectKey::new(name).map_err(StoreError::from)?;
        if is_part(objects, &key, number, parts).await? {
            objects.delete(&key).await?;
            tracing::info!(%volume, "removed a part of the older medium");
        }
    }
    Ok(())
}

/// Whether the object is what the manifest says, and not another medium of the same name.
async fn is_part(
    objects: &Objects,
    key: &ObjectKey,
    number: usize,
    parts: usize,
) -> Result<bool, StoreError> {
    match objects.get_range(key, 0..HEADER_BYTES).await {
        Err(StoreError::Missing { .. } | StoreError::Short { .. }) => Ok(false),
        Err(error) => Err(error),
        Ok(start) => Ok(Header::parse(&start).is_ok_and(|header| {
            (usize::from(header.part), usize::from(header.parts)) == (number, parts)
        })),
    }
}
