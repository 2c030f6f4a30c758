//! Finds what compositions in a bucket left behind that nobody knows of any more.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;

use super::cloud::{MARKER_SUFFIX, OPEN_FOLDER};
use super::token::{CloudUpload, OpenUpload};
use super::{ComposeError, UploadToken};
use crate::keys::ObjectKey;
use crate::objects::{ObjectFacts, Objects};

/// Most bytes of a token.
const TOKEN_LIMIT: u64 = 64 * 1024;

/// Which compositions are left alone.
pub(super) struct Kept {
    ids: HashSet<String>,
    /// What S3 calls them.
    pub uploads: HashSet<String>,
    pub older_than: Duration,
    pub now: SystemTime,
}

/// What is to be removed.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Compositions that are still open.
    pub uploads: Vec<CloudUpload>,
    /// Temporary objects, which a worker wrote after its composition was given up.
    pub objects: Vec<ObjectKey>,
}

impl Kept {
    pub fn new(live: &[UploadToken], older_than: Duration, now: SystemTime) -> Self {
        let live = live.iter().filter_map(|token| match OpenUpload::parse(token) {
            Ok(OpenUpload::Cloud(upload)) => Some((upload.id, upload.upload)),
            _ => None,
        });
        let (ids, uploads): (HashSet<_>, Vec<_>) = live.unzip();
        Self { ids, uploads: uploads.into_iter().flatten().collect(), older_than, now }
    }

    /// A clock that went backwards makes an object look new: it is kept until next time.
    fn keeps(&self, id: &str, facts: &ObjectFacts) -> bool {
        let age = self.now.duration_since(facts.modified).unwrap_or_default();
        age < self.older_than || self.ids.contains(id)
    }
}

/// Looks below `folder` (a prefix, or empty) of a bucket. Only names of our own making count.
pub(super) async fn leftovers(
    bucket: &Objects,
    folder: &str,
    kept: &Kept,
) -> Result<Leftovers, ComposeError> {
    let folder = match folder {
        "" => OPEN_FOLDER.to_owned(),
        folder => format!("{folder}/{OPEN_FOLDER}"),
    };
    let mut found = Leftovers::default();
    let mut listing = bucket.list(&folder);
    while let Some(facts) = listing.try_next().await? {
        let name = facts.key.as_str().strip_prefix(&folder);
        let Some(name) = name.and_then(|name| name.strip_prefix('/')) else { continue };
        if let Some(id) = name.strip_suffix(MARKER_SUFFIX) {
            if !kept.keeps(id, &facts) {
                found.uploads.extend(marked(bucket, &facts.key).await?);
            }
        } else if let Some((id, _)) = name.split_once('/')
            && CloudUpload::is_id(id)
            && !kept.keeps(id, &facts)
        {
            found.objects.push(facts.key);
        }
    }
    Ok(found)
}

/// The composition that a marker names. Anybody who may write to the bucket may have written the
/// marker, so it must be that composition's very marker.
async fn marked(bucket: &Objects, marker: &ObjectKey) -> Result<Option<CloudUpload>, ComposeError> {
    let body = match bucket.get(marker, TOKEN_LIMIT).await {
        Ok(body) => body,
        // Its composition was finished meanwhile.
        Err(crate::StoreError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let token = UploadToken::from(String::from_utf8_lossy(&body).into_owned());
    match OpenUpload::parse(&token) {
        Ok(OpenUpload::Cloud(upload))
            if bucket.root() == &upload.bucket_url() && upload.marker()? == *marker =>
        {
            Ok(Some(upload))
        }
        _ => {
            let marker = bucket.url(marker);
            tracing::warn!(%marker, "this object should name an open composition, but does not");
            Ok(None)
        }
    }
}
