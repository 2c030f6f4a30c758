//! Packs must be the ones that the medium was laid out with until it has its name.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use prestage_proto::v1;
use prestage_store::{CHUNK, Objects, PackKey, PackReader, Recipe, SeenPack, pack::PackReadError};

use super::{Tools, error::TaskError};

/// Packs that are looked up at once.
const AT_ONCE: usize = 16;

/// A pack as it was found, for the coordinator to compare.
pub fn message(pack: &PackReader) -> v1::SeenPack {
    let SeenPack { index_sha256, tag } = pack.seen();
    v1::SeenPack {
        pack_key: pack.key().to_string(),
        index_sha256: index_sha256.to_vec().into(),
        tag: tag.clone().unwrap_or_default(),
    }
}

/// Opens a pack that a recipe names. Its bytes are still to be checked, if it was written again.
pub async fn open_seen(
    key: &PackKey,
    recipe: &Recipe,
    tools: &Tools,
) -> Result<PackReader, TaskError> {
    let pack = match tools.objects.open_pack(key).await {
        Ok(Some(pack)) => pack,
        Ok(None) => return Err(gone(key)),
        Err(error) => return Err(of_damage(key, error)),
    };
    match recipe.packs().get(key) {
        Some(seen) if seen.index_sha256 != pack.seen().index_sha256 => {
            Err(replaced(key, "its index is another one"))
        }
        _ => Ok(pack),
    }
}

/// Checks the chunks of a pack that bytes lie in.
pub async fn verify_bytes(pack: &PackReader, bytes: Range<u64>) -> Result<(), TaskError> {
    let chunks = bytes.start / CHUNK..bytes.end.div_ceil(CHUNK);
    let checked = pack.verify_chunks(chunks).await;
    checked.map_err(|error| of_damage(pack.key(), error))
}

/// Looks whether all packs of a medium are still what was placed of them, and nobody has called one of
/// them wrong meanwhile.
pub async fn check_packs(recipe: &Recipe, tools: &Tools) -> Result<(), TaskError> {
    let packs = stream::iter(recipe.packs().clone());
    let checks = packs.map(|(key, seen)| check_pack(key, seen, tools.objects.clone()));
    checks.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn check_pack(key: PackKey, seen: SeenPack, objects: Objects) -> Result<(), TaskError> {
    if objects.is_quarantined(&key).await? {
        return Err(replaced(&key, "it was found to be wrong, and is in quarantine"));
    }
    match objects.is_still(&key, &seen).await? {
        true => Ok(()),
        false => Err(replaced(&key, "it is another one, or gone")),
    }
}

fn of_damage(key: &PackKey, error: PackReadError) -> TaskError {
    if error.is_damage() { replaced(key, &error.to_string()) } else { error.into() }
}

fn replaced(key: &PackKey, problem: &str) -> TaskError {
    TaskError::Replaced { pack: *key, problem: problem.to_owned() }
}

fn gone(key: &PackKey) -> TaskError {
    let place = key.pack().as_str().to_owned();
    TaskError::Damaged { what: "a pack of the medium is gone".into(), place }
}
