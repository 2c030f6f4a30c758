//! Reads a published pack.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::index::{IndexError, PackIndex, ResourceEntry};
use super::{INDEX_LIMIT, Sha256Digest};
use crate::chunks::CHUNK;
use crate::error::{StoreError, off_thread};
use crate::keys::PackKey;
use crate::objects::{Objects, StoreKind};
use crate::whole::{NotWhole, READS};

/// Bytes read at once to be checked.
const VERIFY_PIECE: usize = 512 * 1024;

/// A pack could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PackReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index is damaged.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A chunk is not what was written.
    #[error(
        "chunk {chunk} of pack {key} is damaged: its hash is not the index's; remove the pack and \
         its index, and run the task that writes them again"
    )]
    Damaged {
        /// The pack.
        key: PackKey,
        /// Number of the chunk of 10 MiB, from 0.
        chunk: u64,
    },
    /// The pack has no such chunk, which is a mistake of the caller.
    #[error("pack {key} has no chunk {chunk}; report this as a bug")]
    NoChunk {
        /// The pack.
        key: PackKey,
        /// Number of the chunk of 10 MiB, from 0.
        chunk: u64,
    },
}

impl PackReadError {
    /// Whether the same read may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    /// Whether what is there is not what was written, or never was a pack.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Index(_) | Self::Damaged { .. } => true,
            Self::Store(error) => {
                matches!(error, StoreError::Short { .. } | StoreError::TooLarge { .. })
            }
            Self::NoChunk { .. } => false,
        }
    }
}

/// What was seen of a pack: what is found under its name later must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPack {
    /// SHA-256 of the index object, which names the digests of all chunks.
    pub index_sha256: Sha256Digest,
    /// The store's tag of the pack's bytes. None in a folder: there they are checked before each copy.
    pub tag: Option<String>,
}

/// A published pack with its index. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PackReader {
    objects: Objects,
    key: PackKey,
    index: Arc<PackIndex>,
    seen: SeenPack,
}

impl Objects {
    /// Opens a pack; `None` if it is not there, or not complete: no index, or no pack of the size
    /// that the index says.
    pub async fn open_pack(&self, key: &PackKey) -> Result<Option<PackReader>, PackReadError> {
        let (index, index_sha256) = match self.index_of(key).await {
            Err(StoreError::Missing { .. }) => return Ok(None),
            opened => opened??,
        };
        let pack = self.head(&key.pack()).await?;
        let Some(pack) = pack.filter(|pack| pack.bytes == index.pack_bytes()) else {
            return Ok(None);
        };
        let in_folder = matches!(self.kind(), StoreKind::Local(_));
        let tag = pack.etag.filter(|_| !in_folder);
        let seen = SeenPack { index_sha256, tag };
        Ok(Some(PackReader { objects: self.clone(), key: *key, index: Arc::new(index), seen }))
    }

    /// The index of a pack, and its SHA-256.
    pub(super) async fn index_of(
        &self,
        key: &PackKey,
    ) -> Result<Result<(PackIndex, Sha256Digest), IndexError>, StoreError> {
        let name = key.to_string();
        let open = |object: Bytes| {
            let index = PackIndex::decode(&name, &object)?;
            Ok((index, Sha256::digest(&object).into()))
        };
        self.get_whole(&key.index(), INDEX_LIMIT, open).await
    }

    /// Whether a pack is still the one that was seen: of the same bytes by the store's tag, or, where
    /// somebody has written it again since, or there is no tag, of the same index at least.
    pub async fn is_still(&self, key: &PackKey, seen: &SeenPack) -> Result<bool, StoreError> {
        let Some(pack) = self.head(&key.pack()).await? else {
            return Ok(false);
        };
        if seen.tag.is_some() && seen.tag == pack.etag {
            return Ok(true);
        }
        let is_seen = |index: Bytes| {
            let same = Sha256::digest(&index)[..] == seen.index_sha256;
            same.then_some(()).ok_or(NotWhole)
        };
        match self.get_whole(&key.index(), INDEX_LIMIT, is_seen).await {
            Err(StoreError::Missing { .. }) => Ok(false),
            index => Ok(index?.is_ok()),
        }
    }
}

impl PackReader {
    /// The pack's key.
    pub fn key(&self) -> &PackKey {
        &self.key
    }

    /// What is in the pack.
    pub fn index(&self) -> &Arc<PackIndex> {
        &self.index
    }

    /// What the pack is known by from now on. Bytes are read of this very one.
    pub fn seen(&self) -> &SeenPack {
        &self.seen
    }

    /// The store that the pack is in.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Reads `range` (bytes) of the pack into memory, unverified; the caller bounds it.
    pub async fn get_range(&self, range: Range<u64>) -> Result<Bytes, PackReadError> {
        let tag = self.seen.tag.as_deref();
        Ok(self.objects.get_range_if(&self.key.pack(), range, tag).await?)
    }

    /// Reads the stored bytes of a resource into memory, unverified: chunk table and chunks if it
    /// is compressed. The caller sees to it that the resource is small.
    pub async fn get_resource(&self, entry: &ResourceEntry) -> Result<Bytes, PackReadError> {
        let end = entry.offset + entry.stored_bytes;
        self.get_range(entry.offset..end).await
    }

    /// Reads one chunk (10 MiB, the last may be shorter) and verifies it. One that doesn't fit is read
    /// again before it is believed to be damaged.
    pub async fn get_chunk(&self, chunk: u64) -> Result<Bytes, PackReadError> {
        let start = chunk * CHUNK;
        let end = (start + CHUNK).min(self.index.pack_bytes());
        let mut reads = 1;
        loop {
            let bytes = self.get_range(start..end.max(start)).await?;
            match self.verify_chunk(chunk, &bytes) {
                Err(PackReadError::Damaged { key, .. }) if reads < READS => {
                    tracing::warn!(pack = %key, chunk, "a chunk does not fit, and is read again");
                    reads += 1;
                }
                verified => return verified.map(|()| bytes),
            }
        }
    }

    /// Reads chunks of a pack that lies in a folder and checks them. Blocking; `path` is the
    /// pack's. Bytes pass through a piece of memory that stays in the CPU's cache.
    fn verify_file(&self, path: &Path, chunks: Range<u64>) -> Result<(), PackReadError> {
        let read = |error| PackReadError::Store(StoreError::io("read", path)(error));
        let file = File::open(path).map_err(read)?;
        let mut piece = vec![0; VERIFY_PIECE];
        let lead = self.objects.lead(&self.key.pack());
        for chunk in chunks {
            let end = ((chunk + 1) * CHUNK).min(self.index.pack_bytes());
            let mut hasher = blake3::Hasher::new();
            let mut at = chunk * CHUNK;
            while at < end {
                let piece = &mut piece[..VERIFY_PIECE.min((end - at) as usize)];
                file.read_exact_at(piece, lead + at).map_err(read)?;
                hasher.update(piece);
                at += piece.len() as u64;
            }
            self.compare(chunk, hasher.finalize())?;
        }
        Ok(())
    }

    /// Reads chunks (by their numbers in the pack) and checks them against the index.
    pub async fn verify_chunks(&self, chunks: Range<u64>) -> Result<(), PackReadError> {
        let Some(path) = self.objects.local_path(&self.key.pack()) else {
            for chunk in chunks {
                self.get_chunk(chunk).await?;
            }
            return Ok(());
        };
        let pack = self.clone();
        off_thread(path.display().to_string(), move || pack.verify_file(&path, chunks)).await
    }

    /// Checks the bytes of one chunk against the index.
    pub fn verify_chunk(&self, chunk: u64, bytes: &[u8]) -> Result<(), PackReadError> {
        self.compare(chunk, blake3::hash(bytes))
    }

    fn compare(&self, chunk: u64, found: blake3::Hash) -> Result<(), PackReadError> {
        let key = self.key;
        let expected = self.index.chunk_digests().get(chunk as usize);
        let expected = expected.ok_or(PackReadError::NoChunk { key, chunk })?;
        if found == expected.blake3 { Ok(()) } else { Err(PackReadError::Damaged { key, chunk }) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::publish::tests::pack_of;
    use super::*;
    use crate::location::ObjectUrl;
    use crate::objects::PutRule;

    #[tokio::test]
    async fn chunks_are_verified_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let url = ObjectUrl::Local(folder.path().to_path_buf());
        let objects = Objects::open(&url).await.unwrap();
        let key = PackKey::of(b"a");
        assert!(objects.open_pack(&key).await.unwrap().is_none());

        let mut body = vec![7; CHUNK as usize + 5];
        let (pack, index) = pack_of(&objects, folder.path(), &body);
        objects.publish_pack(&key, pack, &index).await.unwrap();
        let reader = objects.open_pack(&key).await.unwrap().unwrap();
        assert_eq!(**reader.index(), index);
        assert!(objects.is_still(&key, reader.seen()).await.unwrap());
        assert_eq!(reader.get_chunk(0).await.unwrap().len() as u64, CHUNK);
        assert_eq!(reader.get_chunk(1).await.unwrap().len(), 5);
        let entry = index.lookup_sha256(&[2; 32]).unwrap().1;
        assert_eq!(reader.get_resource(entry).await.unwrap(), body);
        let beyond = reader.get_chunk(2).await.unwrap_err();
        assert!(matches!(beyond, PackReadError::NoChunk { chunk: 2, .. }));

        body[CHUNK as usize] ^= 1;
        let _ = objects.put_small(&key.pack(), body.into(), PutRule::Overwrite).await.unwrap();
        assert!(reader.get_chunk(0).await.is_ok());
        let damaged = reader.get_chunk(1).await.unwrap_err();
        assert!(matches!(damaged, PackReadError::Damaged { chunk: 1, .. }));

        let (pack, other) = pack_of(&objects, folder.path(), b"other content");
        objects.delete(&key.index()).await.unwrap();
        assert!(!objects.is_still(&key, reader.seen()).await.unwrap(), "it is no pack");
        objects.publish_pack(&key, pack, &other).await.unwrap();
        assert!(!objects.is_still(&key, reader.seen()).await.unwrap());
    }
}
