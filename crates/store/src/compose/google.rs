//! Composes an object in a Google bucket out of whole objects. A part that is a whole object of the
//! same bucket is taken as it is; any other becomes temporary objects first, whose bytes come
//! through here. One request composes 32 objects at most, so many are composed in a tree.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::cloud::{AT_ONCE, InPlace, Output, PartStore};
use super::error::ComposeError;
use super::google_compose::{Component, Composition, MAX_COMPONENTS};
use super::http::Http;
use super::memory::{MAX_THROUGH_MEMORY, read, steps};
use super::receipt::{MarkedPart, PartMark, PlacedPart};
use super::{PIECES, Part, PartRules, Source};
use crate::keys::ObjectKey;
use crate::objects::StoreKind;

/// Google has no limit but that of an object. A gibibyte lets several workers share a medium.
pub(super) const PART_RULES: PartRules = PartRules {
    min_bytes: 1,
    max_bytes: 1024 * 1024 * 1024,
    max_parts: u32::MAX,
    at_once: AT_ONCE,
};

/// Tag of a part that lies in temporary objects.
const PIECED: &str = "pieces";
/// Beginning of the tag of a part that is a whole object; its generation follows.
const WHOLE: &str = "whole ";

#[derive(Default)]
pub(super) struct GoogleParts {
    http: Http,
}

#[async_trait]
impl PartStore for GoogleParts {
    async fn open(&self, _: &Output) -> Result<Option<String>, ComposeError> {
        Ok(None)
    }

    async fn place(&self, output: &Output, part: &MarkedPart<'_>) -> Result<InPlace, ComposeError> {
        output.check_open().await?;
        if let Some(generation) = whole_object(output, part.part).await? {
            return Ok(InPlace::Copied(format!("{WHOLE}{generation}")));
        }
        for piece in pieces(output, part.part, &part.mark)? {
            let body = read(&part.part.source, piece.at, piece.bytes).await?;
            let put = output.store().put(&piece.path, body).await;
            put.map_err(|source| output.failed("write a part of", source))?;
        }
        Ok(InPlace::Sent(PIECED.to_owned()))
    }

    async fn placed(
        &self,
        output: &Output,
        parts: &[MarkedPart<'_>],
    ) -> Result<Vec<Option<String>>, ComposeError> {
        output.check_open().await?;
        let mut there = HashMap::new();
        let mut listing = output.bucket().list(&output.upload.open_folder());
        while let Some(facts) = listing.try_next().await? {
            there.insert(facts.key.as_str().to_owned(), facts.bytes);
        }
        let tag = |MarkedPart { part, mark }: &MarkedPart<'_>| {
            let there = |piece: &Piece| there.get(piece.path.as_ref()) == Some(&piece.bytes);
            let all = pieces(output, part, mark)?.iter().all(there);
            Ok(all.then(|| PIECED.to_owned()))
        };
        parts.iter().map(tag).collect()
    }

    async fn commit(&self, output: &Output, parts: &[PlacedPart<'_>]) -> Result<(), ComposeError> {
        output.check_open().await?;
        let mut level = Vec::new();
        for part in parts {
            level.extend(components(output, part)?);
        }
        let composition = composition(&self.http, output)?;
        for depth in 0.. {
            if level.len() <= MAX_COMPONENTS {
                break;
            }
            level = next_level(&composition, output, depth, level).await?;
        }
        let before = output.head().await?.and_then(|found| found.meta.version);
        let bytes = composition.finish(&output.path, &level, before.as_deref()).await?;
        output.check_size(bytes)
    }

    async fn discard(&self, output: &Output) -> Result<(), ComposeError> {
        let bucket = output.bucket();
        let listing = bucket.list(&output.upload.open_folder());
        let removed = listing.map_ok(|facts| async move { bucket.delete(&facts.key).await });
        removed.try_buffer_unordered(PIECES).try_collect::<()>().await?;
        Ok(())
    }
}

/// A temporary object and the bytes of the part that it holds.
struct Piece {
    path: StorePath,
    /// Offset in the part, in bytes.
    at: u64,
    bytes: u64,
}

fn pieces(output: &Output, part: &Part, mark: &PartMark) -> Result<Vec<Piece>, ComposeError> {
    let (folder, number, mark) = (output.upload.open_folder(), part.number, mark.as_str());
    (0..)
        .zip(steps(part.len, MAX_THROUGH_MEMORY))
        .map(|(piece, (at, bytes))| {
            let path = temporary(output, format!("{folder}/{number}-{mark}-{piece}"))?;
            Ok(Piece { path, at, bytes })
        })
        .collect()
}

fn temporary(output: &Output, name: String) -> Result<StorePath, ComposeError> {
    Ok(output.bucket().store_path(&ObjectKey::new(name)?)?)
}

/// The generation of the source, if the part is all of it and it lies in the output's bucket.
async fn whole_object(output: &Output, part: &Part) -> Result<Option<String>, ComposeError> {
    let Source { objects, key, offset, if_match } = &part.source;
    if *offset != 0 || !is_same_bucket(output, part) {
        return Ok(None);
    }
    let path = objects.store_path(key)?;
    let found = objects.store().head(&path).await;
    let found: ObjectMeta = found.map_err(|source| objects.failed("look up", key, source))?;
    if if_match.is_some() && found.e_tag != *if_match {
        return Err(part.source.changed().into());
    }
    Ok(found.version.filter(|_| found.size == part.len))
}

fn is_same_bucket(output: &Output, part: &Part) -> bool {
    let StoreKind::Google { bucket: from, server: theirs, .. } = part.source.objects.kind() else {
        return false;
    };
    matches!(output.kind(), StoreKind::Google { bucket, server, .. }
        if (bucket, server) == (from, theirs))
}

/// The objects that a part is made of.
fn components(output: &Output, part: &PlacedPart<'_>) -> Result<Vec<Component>, ComposeError> {
    if let Some(generation) = part.tag.strip_prefix(WHOLE) {
        let path = part.part.source.objects.store_path(&part.part.source.key)?;
        return Ok(vec![Component { path, generation: Some(generation.to_owned()) }]);
    }
    let pieces = pieces(output, part.part, &part.mark)?;
    Ok(pieces.into_iter().map(|piece| Component { path: piece.path, generation: None }).collect())
}

/// Composes each 32 objects into one.
async fn next_level(
    composition: &Composition<'_>,
    output: &Output,
    depth: u32,
    level: Vec<Component>,
) -> Result<Vec<Component>, ComposeError> {
    let folder = output.upload.open_folder();
    let mut composed = Vec::with_capacity(level.len().div_ceil(MAX_COMPONENTS));
    for (number, group) in level.chunks(MAX_COMPONENTS).enumerate() {
        let path = temporary(output, format!("{folder}/tree-{depth}-{number}"))?;
        let generation = composition.temporary(&path, group).await?;
        composed.push(Component { path, generation: Some(generation) });
    }
    Ok(composed)
}

fn composition<'a>(http: &'a Http, output: &'a Output) -> Result<Composition<'a>, ComposeError> {
    match output.kind() {
        StoreKind::Google { client, bucket, server } => {
            Ok(Composition { http, client, bucket, server, output })
        }
        _ => Err(output.strange()),
    }
}
