//! Puts a finished pack into the store: the pack first, its index last.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as StorePath;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Sha256Digest;
use super::index::{IndexError, PackIndex};
use super::writer::FinishedPack;
use crate::error::{StoreError, off_thread};
use crate::keys::{ObjectKey, PackKey};
use crate::objects::{Objects, PutOutcome, PutRule, make_private_folder};
use crate::staging::Staged;

/// Bytes of one uploaded part, and of an object that is uploaded whole.
const UPLOAD_PART: u64 = 16 * 1024 * 1024;
/// Parts in memory at once, and their bytes.
const UPLOADS: u64 = 4;
/// Bytes in memory of one upload, where nothing else is said.
pub const UPLOAD_BYTES: u64 = UPLOADS * UPLOAD_PART;
/// Parts that are planned for at most; the protocol's limit is 10 000.
const UPLOAD_PARTS: u64 = 9_000;

/// What publishing a pack came to: it is in the store now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Whether it was written. Otherwise it was there already, and was kept.
    pub written: bool,
    /// SHA-256 of the index that is there.
    pub index_sha256: Sha256Digest,
}

/// A pack could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index can't be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Index and pack are not of each other, which is a mistake of the caller.
    #[error(
        "the index of pack {key} doesn't fit the {bytes} bytes that were written; report this as a \
         bug"
    )]
    Unfit {
        /// The pack.
        key: PackKey,
        /// Bytes that were written.
        bytes: u64,
    },
    /// Two workers made different packs under one key.
    #[error(
        "pack {key} was written twice with different bytes, so it can't be trusted; remove both \
         its objects, and see that all workers run the same version"
    )]
    NotReproducible {
        /// The pack.
        key: PackKey,
    },
}

impl PublishError {
    /// Whether the same work may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

impl Objects {
    /// Publishes a pack and then its index. A pack whose index is there is complete and is kept; a
    /// pack without index is a killed worker's and is replaced. At no time is there a partial
    /// object under either key.
    pub async fn publish_pack(
        &self,
        key: &PackKey,
        pack: FinishedPack,
        index: &PackIndex,
    ) -> Result<Published, PublishError> {
        let bytes = pack.bytes();
        if index.pack_bytes() != bytes || index.chunk_digests() != pack.chunk_digests {
            let key = *key;
            return Err(PublishError::Unfit { key, bytes });
        }
        let there = self.head(&key.pack()).await?.is_some_and(|there| there.bytes == bytes);
        if there && self.head(&key.index()).await?.is_some() {
            return self.compare(key, index).await;
        }
        let object = index.encode(&key.to_string())?;
        let index_sha256 = Sha256::digest(&object).into();
        self.put_staged(&key.pack(), pack.staged).await?;
        let rule = PutRule::CreateIfAbsent;
        match self.put_small(&key.index(), object, rule).await? {
            PutOutcome::Written => Ok(Published { written: true, index_sha256 }),
            PutOutcome::AlreadyThere => self.compare(key, index).await,
        }
    }

    /// Another worker published the same pack meanwhile, or our own first answer was lost.
    async fn compare(&self, key: &PackKey, ours: &PackIndex) -> Result<Published, PublishError> {
        let (theirs, index_sha256) = self.index_of(key).await??;
        if theirs.chunk_digests() == ours.chunk_digests() && theirs.resources() == ours.resources()
        {
            Ok(Published { written: false, index_sha256 })
        } else {
            Err(PublishError::NotReproducible { key: *key })
        }
    }

    /// Publishes a staged file under any key, all at once, replacing what was there.
    #[tracing::instrument(name = "store put", skip_all, fields(object = %key, bytes = staged.bytes()))]
    pub async fn put_staged(&self, key: &ObjectKey, staged: Staged) -> Result<(), StoreError> {
        if let Some(target) = self.local_path(key) {
            debug_assert_eq!(staged.lead, self.lead(key), "made for another object");
            let place = target.display().to_string();
            return off_thread(place, move || rename_into_place(staged.file, &target)).await;
        }
        let (objects, path) = (self.clone(), self.store_path(key)?);
        match self.multipart() {
            Some(client) => Upload { objects, client, key: key.clone(), path }.run(staged).await,
            None => Err(self.failed(
                "upload",
                key,
                object_store::Error::NotImplemented {
                    operation: "multipart upload".to_owned(),
                    implementer: self.root().to_string(),
                },
            )),
        }
    }
}

fn rename_into_place(staging: NamedTempFile, target: &Path) -> Result<(), StoreError> {
    let folder = target.parent().unwrap_or(target);
    make_private_folder(folder)?;
    let renamed = staging.persist(target);
    renamed.map_err(|error| StoreError::io("rename the object to", target)(error.error))?;
    sync_folder(folder)
}

/// Makes a rename in `folder` survive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io("make durable the folder", folder))
}

/// One file on its way into a bucket.
struct Upload {
    objects: Objects,
    client: Arc<dyn MultipartStore>,
    key: ObjectKey,
    path: StorePath,
}

impl Upload {
    async fn run(&self, staged: Staged) -> Result<(), StoreError> {
        let Staged { file, bytes, .. } = staged;
        let staging = Arc::new(file);
        if bytes <= UPLOAD_PART {
            let body = self.read(&staging, 0, bytes).await?;
            let rule = PutRule::Overwrite;
            return self.objects.put_small(&self.key, body, rule).await.map(drop);
        }
        let id = self.client.create_multipart(&self.path).await;
        let id = id.map_err(|source| self.failed(source))?;
        let done = self.parts(&id, &staging, bytes).await;
        if done.is_err() {
            // The upload failed already; a bucket's life cycle rule removes what this can't.
            let _ = self.client.abort_multipart(&self.path, &id).await;
        }
        done
    }

    async fn parts(
        &self,
        id: &String,
        staging: &Arc<NamedTempFile>,
        bytes: u64,
    ) -> Result<(), StoreError> {
        let part = UPLOAD_PART.max(bytes.div_ceil(UPLOAD_PARTS));
        let at_once = (self.objects.upload_bytes() / part).clamp(1, UPLOADS) as usize;
        let parts: Vec<PartId> = stream::iter(0..bytes.div_ceil(part))
            .map(|number| self.part(id, staging, number, part.min(bytes - number * part), part))
            .buffered(at_once)
            .try_collect()
            .await?;
        let done = self.client.complete_multipart(&self.path, id, parts).await;
        done.map(drop).map_err(|source| self.failed(source))
    }

    async fn part(
        &self,
        id: &String,
        staging: &Arc<NamedTempFile>,
        number: u64,
        bytes: u64,
        stride: u64,
    ) -> Result<PartId, StoreError> {
        let body = self.read(staging, number * stride, bytes).await?;
        let number = number as usize;
        let put = self.client.put_part(&self.path, id, number, body.into());
        put.await.map_err(|source| self.failed(source))
    }

    async fn read(
        &self,
        staging: &Arc<NamedTempFile>,
        offset: u64,
        bytes: u64,
    ) -> Result<Bytes, StoreError> {
        let staging = staging.clone();
        off_thread(self.key.as_str(), move || {
            let mut body = vec![0; bytes as usize];
            let read = staging.as_file().read_exact_at(&mut body, offset);
            read.map_err(StoreError::io("read", staging.path()))?;
            Ok(Bytes::from(body))
        })
        .await
    }

    fn failed(&self, source: object_store::Error) -> StoreError {
        self.objects.failed("upload", &self.key, source)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::index::{PackContents, PackFacts, ResourceEntry};
    use super::*;
    use crate::location::ObjectUrl;

    /// A pack of one uncompressed resource, and its index.
    pub(crate) fn pack_of(
        objects: &Objects,
        folder: &Path,
        body: &[u8],
    ) -> (FinishedPack, PackIndex) {
        let mut writer = objects.pack_writer(folder).unwrap();
        writer.append(body).unwrap();
        let pack = writer.finish().unwrap();
        let bytes = body.len() as u64;
        let contents = PackContents {
            pack_bytes: bytes,
            chunk_digests: pack.chunk_digests().to_vec(),
            resources: vec![ResourceEntry {
                sha1: [1; 20],
                sha256: Some([2; 32]),
                offset: 0,
                stored_bytes: bytes,
                original_bytes: bytes,
                compressed: false,
            }],
            tree: None,
            xml: None,
            facts: PackFacts::default(),
        };
        (pack, PackIndex::new("p", contents).unwrap())
    }

    async fn store() -> (tempfile::TempDir, Objects) {
        let folder = tempfile::tempdir().unwrap();
        let url = ObjectUrl::Local(folder.path().to_path_buf());
        (folder, Objects::open(&url).await.unwrap())
    }

    fn staged(folder: &Path) -> usize {
        std::fs::read_dir(folder.join(".staging")).unwrap().count()
    }

    #[tokio::test]
    async fn a_pack_is_published_once_and_leaves_no_staging_file() {
        let (folder, objects) = store().await;
        let key = PackKey::of(b"a");
        for expected in [true, false] {
            let (pack, index) = pack_of(&objects, folder.path(), b"content");
            let published = objects.publish_pack(&key, pack, &index).await.unwrap();
            assert_eq!(published.written, expected);
            let there = objects.open_pack(&key).await.unwrap().unwrap();
            assert_eq!(published.index_sha256, there.seen().index_sha256);
        }
        assert_eq!(objects.get(&key.pack(), 100).await.unwrap(), "content");
        assert_eq!(staged(folder.path()), 0);
    }

    #[tokio::test]
    async fn a_pack_without_index_is_replaced() {
        let (folder, objects) = store().await;
        let key = PackKey::of(b"a");
        let half = Bytes::from_static(b"half");
        let _ = objects.put_small(&key.pack(), half, PutRule::Overwrite).await.unwrap();
        let (pack, index) = pack_of(&objects, folder.path(), b"content");
        objects.publish_pack(&key, pack, &index).await.unwrap();
        assert_eq!(objects.get(&key.pack(), 100).await.unwrap(), "content");
    }

    #[tokio::test]
    async fn an_index_of_another_pack_is_refused_before_anything_is_written() {
        let (folder, objects) = store().await;
        let key = PackKey::of(b"a");
        let (pack, _) = pack_of(&objects, folder.path(), b"content");
        let (_, index) = pack_of(&objects, folder.path(), b"other content");
        let refused = objects.publish_pack(&key, pack, &index).await.unwrap_err();
        assert!(matches!(refused, PublishError::Unfit { bytes: 7, .. }));
        assert!(objects.head(&key.pack()).await.unwrap().is_none());
        assert_eq!(staged(folder.path()), 0);
    }

    #[tokio::test]
    async fn two_different_packs_under_one_key_are_noticed() {
        let (folder, objects) = store().await;
        let key = PackKey::of(b"a");
        let (_pack, ours) = pack_of(&objects, folder.path(), b"content");
        let (pack, theirs) = pack_of(&objects, folder.path(), b"CONTENT");
        objects.publish_pack(&key, pack, &theirs).await.unwrap();
        let noticed = objects.compare(&key, &ours).await.unwrap_err();
        assert!(matches!(noticed, PublishError::NotReproducible { .. }));
    }
}
