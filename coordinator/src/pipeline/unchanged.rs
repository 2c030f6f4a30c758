//! Whether a plan's medium is there already: the same plan gives the same bytes, so there is
//! nothing to do.

use prestage_store::{ObjectKey, ObjectUrl, Objects, StoreError, StoreOptions};
use prestage_wim::{HEADER_BYTES, Header};
use serde::Deserialize;

use super::manifest::{MANIFEST_SUFFIX, Medium, MediumVolume, plan_sha256};
use crate::plan::BuildPlan;

/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// What is looked at of the manifest beside a medium.
#[derive(Deserialize)]
struct WrittenManifest {
    plan_sha256: String,
    medium: Medium,
}

/// The medium of exactly this plan at `output`, if it is there whole. Its content is not read
/// again: that is what `prestage verify` is for. Anything unusual means that it is built anew.
pub async fn unchanged_medium(
    plan_json: &[u8],
    plan: &BuildPlan,
    output: &str,
    options: &StoreOptions,
) -> Option<Medium> {
    match look(plan_json, plan, output, options).await {
        Ok(medium) => medium,
        Err(error) => {
            tracing::debug!(output, %error, "no medium of this plan is there");
            None
        }
    }
}

async fn look(
    plan_json: &[u8],
    plan: &BuildPlan,
    output: &str,
    options: &StoreOptions,
) -> Result<Option<Medium>, StoreError> {
    let url = ObjectUrl::parse(output)?;
    let (objects, key) = Objects::open_around(&url, options).await?;
    let manifest = ObjectKey::new(format!("{key}{MANIFEST_SUFFIX}"))?;
    let manifest = objects.get(&manifest, MANIFEST_BYTES_MAX).await?;
    let Ok(manifest) = serde_json::from_slice::<WrittenManifest>(&manifest) else {
        return Ok(None);
    };
    if manifest.plan_sha256 != plan_sha256(plan, plan_json) {
        return Ok(None);
    }
    for (number, volume) in (1..).zip(&manifest.medium.volumes) {
        if !is_volume(&objects, volume, number, plan).await? {
            return Ok(None);
        }
    }
    let names = key.as_str() == manifest.medium.volumes.first().map_or("", |first| &first.name);
    Ok(names.then_some(manifest.medium))
}

/// Whether the file beside the manifest is that volume. The manifest is written after the medium,
/// so another plan's medium may lie there.
async fn is_volume(
    objects: &Objects,
    volume: &MediumVolume,
    number: u16,
    plan: &BuildPlan,
) -> Result<bool, StoreError> {
    let key = ObjectKey::new(volume.name.as_str())?;
    let facts = objects.head(&key).await?;
    if facts.is_none_or(|facts| facts.bytes != volume.bytes) {
        return Ok(false);
    }
    let header = objects.get_range(&key, 0..HEADER_BYTES).await?;
    Ok(Header::parse(&header)
        .is_ok_and(|header| hex::encode(header.guid) == plan.wim_guid && header.part == number))
}
