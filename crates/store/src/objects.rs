//! One object store, opened: small objects, ranges, listing.

use std::fmt;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::aws::AmazonS3;
use object_store::azure::MicrosoftAzure;
use object_store::gcp::GoogleCloudStorage;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path as StorePath;
use object_store::{
    Error as RequestError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutPayload,
};

use crate::azure_account::AzureAccount;
use crate::chunks::HEADER_BYTES;
use crate::error::{StoreError, off_thread};
use crate::keys::{ObjectKey, STAGING_FOLDER};
use crate::lent::LentBlobs;
use crate::location::{Cloud, ObjectUrl, UrlError};
use crate::options::StoreOptions;
use crate::pack::UPLOAD_BYTES;

/// An open object store. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    root: ObjectUrl,
    kind: StoreKind,
    /// Memory for the parts of one upload.
    upload_bytes: u64,
}

/// What only one kind of store can do.
#[derive(Clone)]
pub(crate) enum StoreKind {
    /// A folder; the path is the real one.
    Local(PathBuf),
    /// A bucket, and which server holds it.
    S3 { client: Arc<AmazonS3>, bucket: String, server: String },
    /// A container, the account that it is in, and what of it was lent, if its blobs are.
    Azure {
        client: Arc<MicrosoftAzure>,
        container: String,
        account: AzureAccount,
        lent: Option<LentBlobs>,
    },
    /// A bucket, and the address of the JSON API.
    Google { client: Arc<GoogleCloudStorage>, bucket: String, server: String },
}

/// What to do when the object is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutRule {
    /// Keep what is there.
    CreateIfAbsent,
    /// Replace what is there.
    Overwrite,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is now the one that was given.
    Written,
    /// There was an object already, and it was kept.
    AlreadyThere,
}

/// What the store knows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// The object's key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub bytes: u64,
    /// The store's tag for this very content, if it gives one.
    pub etag: Option<String>,
    /// When it was written last.
    pub modified: SystemTime,
}

impl Objects {
    /// Opens the store at `url` with this process's environment. A local folder is made, readable
    /// by its owner alone, if it isn't there.
    pub async fn open(url: &ObjectUrl) -> Result<Self, StoreError> {
        Self::open_with(url, &StoreOptions::from_env()).await
    }

    /// Opens the store at `url` with the given settings.
    pub async fn open_with(url: &ObjectUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        match url {
            ObjectUrl::Local(folder) => {
                let folder = folder.clone();
                off_thread(url.to_string(), move || open_folder(&folder)).await
            }
            ObjectUrl::Bucket { cloud, bucket, .. } => {
                let (store, kind) = open_bucket(*cloud, bucket, options)?;
                Ok(Self { store, root: url.clone(), kind, upload_bytes: UPLOAD_BYTES })
            }
        }
    }

    /// Opens the store that holds the single object `url`, and gives the object's key in it: for a
    /// finished medium and the files beside it.
    pub async fn open_around(
        url: &ObjectUrl,
        options: &StoreOptions,
    ) -> Result<(Self, ObjectKey), StoreError> {
        let key = ObjectKey::new(url.name()?)?;
        Ok((Self::open_with(&url.parent()?, options).await?, key))
    }

    /// The same with at most so many bytes in memory for an upload, but for a single part.
    #[must_use]
    pub fn with_upload_bytes(self, upload_bytes: u64) -> Self {
        Self { upload_bytes, ..self }
    }

    pub(crate) fn upload_bytes(&self) -> u64 {
        self.upload_bytes
    }

    /// The store's address.
    pub fn root(&self) -> &ObjectUrl {
        &self.root
    }

    /// The client, for uses that this type has no method for. Paths are those of
    /// [`Objects::store_path`].
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) fn kind(&self) -> &StoreKind {
        &self.kind
    }

    /// The client's way to write large objects in parts; folders have none.
    pub(crate) fn multipart(&self) -> Option<Arc<dyn MultipartStore>> {
        match &self.kind {
            StoreKind::Local(_) => None,
            StoreKind::S3 { client, .. } => Some(client.clone()),
            StoreKind::Azure { client, .. } => Some(client.clone()),
            StoreKind::Google { client, .. } => Some(client.clone()),
        }
    }

    /// The file that holds `key`, if this store is a folder. The object starts behind the first
    /// [`Objects::lead`] bytes of it.
    pub fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        match &self.kind {
            StoreKind::Local(folder) => Some(folder.join(key.as_str())),
            _ => None,
        }
    }

    /// Bytes in front of an object in its file, which are not the object's. A pack in a folder has
    /// as many as a medium has header: its chunks lie in the file's blocks as they lie in those of a
    /// medium, so a file system that can share blocks needs to copy hardly any.
    pub(crate) fn lead(&self, key: &ObjectKey) -> u64 {
        if key.is_pack() { self.pack_lead() } else { 0 }
    }

    pub(crate) fn pack_lead(&self) -> u64 {
        if matches!(self.kind, StoreKind::Local(_)) { HEADER_BYTES } else { 0 }
    }

    /// Folder for files that will become objects: inside a local store, so that they are renamed
    /// into place and never copied; `elsewhere` for any other store.
    pub fn staging_folder(&self, elsewhere: &Path) -> PathBuf {
        match &self.kind {
            StoreKind::Local(folder) => folder.join(STAGING_FOLDER),
            _ => elsewhere.to_path_buf(),
        }
    }

    /// Whether what becomes objects is staged in `elsewhere` first, and not in the store itself.
    pub fn stages_elsewhere(&self) -> bool {
        !matches!(self.kind, StoreKind::Local(_))
    }

    /// The address of an object of this store.
    pub fn url(&self, key: &ObjectKey) -> ObjectUrl {
        self.root.join(key.as_str())
    }

    /// The path of `key` as the client wants it.
    pub fn store_path(&self, key: &ObjectKey) -> Result<StorePath, StoreError> {
        let path = match self.url(key) {
            ObjectUrl::Local(_) => StorePath::parse(key.as_str()),
            ObjectUrl::Bucket { key, .. } => StorePath::parse(key),
        };
        path.map_err(|source| self.failed("name", key, source.into()))
    }

    /// Writes a small object in one piece: it is there whole or not at all.
    #[tracing::instrument(name = "store put", skip_all, fields(object = %key, bytes = body.len()))]
    pub async fn put_small(
        &self,
        key: &ObjectKey,
        body: Bytes,
        rule: PutRule,
    ) -> Result<PutOutcome, StoreError> {
        let mode = match rule {
            PutRule::CreateIfAbsent => PutMode::Create,
            PutRule::Overwrite => PutMode::Overwrite,
        };
        let path = self.store_path(key)?;
        let lead = Bytes::from(vec![0; self.lead(key) as usize]);
        let body = PutPayload::from_iter([lead, body]);
        match self.store.put_opts(&path, body, mode.into()).await {
            Ok(_) => Ok(PutOutcome::Written),
            Err(RequestError::AlreadyExists { .. }) => Ok(PutOutcome::AlreadyThere),
            Err(source) => Err(self.failed("write", key, source)),
        }
    }

    /// Reads a whole object of at most `limit` bytes.
    #[tracing::instrument(name = "store get", skip_all, fields(object = %key))]
    pub async fn get(&self, key: &ObjectKey, limit: u64) -> Result<Bytes, StoreError> {
        let path = self.store_path(key)?;
        let answer = self.store.get(&path).await;
        let answer = answer.map_err(|source| self.failed("read", key, source))?;
        let lead = self.lead(key);
        let size = answer.meta.size.saturating_sub(lead);
        if size > limit {
            let place = self.url(key).to_string();
            return Err(StoreError::TooLarge { place, size, limit });
        }
        let body = answer.bytes().await;
        let mut body = body.map_err(|source| self.failed("read", key, source))?;
        Ok(body.split_off(body.len().min(lead as usize)))
    }

    /// Reads `range` (bytes) of an object into memory; the caller bounds it. An object that ends
    /// inside the range is an error.
    pub async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.get_range_if(key, range, None).await
    }

    /// [`Objects::get_range`] of the very object that has the tag `etag`.
    pub async fn get_range_if(
        &self,
        key: &ObjectKey,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Bytes, StoreError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let lead = self.lead(key);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.start + lead..range.end + lead)),
            if_match: etag.map(str::to_owned),
            ..GetOptions::default()
        };
        let path = self.store_path(key)?;
        let answer = self.store.get_opts(&path, options).await;
        let answer = answer.map_err(|source| self.failed("read", key, source))?;
        let body = answer.bytes().await;
        let body = body.map_err(|source| self.failed("read", key, source))?;
        self.whole(key, &range, body)
    }

    fn whole(&self, key: &ObjectKey, range: &Range<u64>, body: Bytes) -> Result<Bytes, StoreError> {
        let (wanted, got) = (range.end - range.start, body.len() as u64);
        if wanted == got {
            return Ok(body);
        }
        Err(StoreError::Short {
            place: self.url(key).to_string(),
            offset: range.start,
            wanted,
            got,
        })
    }

    /// What the store knows of the object; `None` if there is none.
    pub async fn head(&self, key: &ObjectKey) -> Result<Option<ObjectFacts>, StoreError> {
        match self.store.head(&self.store_path(key)?).await {
            Ok(meta) => Ok(Some(self.facts(key.clone(), meta))),
            Err(RequestError::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed("look up", key, source)),
        }
    }

    /// Removes an object. One that isn't there is removed already.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let path = self.store_path(key)?;
        let deleted = match &self.kind {
            StoreKind::Azure { lent: Some(lent), container, account, .. } => {
                lent.delete(&account.blob_url(container, &path)?).await
            }
            _ => self.store.delete(&path).await,
        };
        match deleted {
            Ok(()) | Err(RequestError::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.failed("remove", key, source)),
        }
    }

    /// All objects below `folder` (a path of whole names such as `packs/ab`, or empty for all), in
    /// no order. Files that are still being written are not objects.
    pub fn list(&self, folder: &str) -> BoxStream<'static, Result<ObjectFacts, StoreError>> {
        let prefix = match self.root.join(folder) {
            ObjectUrl::Bucket { key, .. } => StorePath::parse(key),
            ObjectUrl::Local(_) => StorePath::parse(folder),
        };
        let prefix = match prefix {
            Ok(prefix) => prefix,
            Err(source) => {
                let place = self.root.join(folder).to_string();
                let error = StoreError::request("list", place, source.into());
                return stream::once(async { Err(error) }).boxed();
            }
        };
        let store = self.clone();
        self.store
            .list(Some(&prefix))
            .filter_map(move |found| {
                let listed = store.listed(found);
                async move { listed }
            })
            .boxed()
    }

    fn listed(
        &self,
        found: object_store::Result<ObjectMeta>,
    ) -> Option<Result<ObjectFacts, StoreError>> {
        let meta = match found {
            Ok(meta) => meta,
            Err(source) => {
                let place = self.root.to_string();
                return Some(Err(StoreError::request("list", place, source)));
            }
        };
        let below = match &self.root {
            ObjectUrl::Bucket { key, .. } if !key.is_empty() => {
                meta.location.as_ref().strip_prefix(key)?.strip_prefix('/')?
            }
            _ => meta.location.as_ref(),
        };
        if below.split('/').next() == Some(STAGING_FOLDER) {
            return None;
        }
        let key = ObjectKey::new(below).ok()?;
        Some(Ok(self.facts(key, meta)))
    }

    fn facts(&self, key: ObjectKey, meta: ObjectMeta) -> ObjectFacts {
        let bytes = meta.size.saturating_sub(self.lead(&key));
        ObjectFacts { key, bytes, etag: meta.e_tag, modified: meta.last_modified.into() }
    }

    pub(crate) fn failed(
        &self,
        action: &'static str,
        key: &ObjectKey,
        source: RequestError,
    ) -> StoreError {
        StoreError::request(action, self.url(key).to_string(), source)
    }
}

impl fmt::Debug for Objects {
    /// The address alone: the client's own text may hold more than should be seen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.root)
    }
}

/// Packs may hold licensed software and drivers, so nobody but the owner may read the folder.
pub(crate) fn make_private_folder(folder: &Path) -> Result<(), StoreError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(StoreError::io("create the folder", folder))
}

fn open_bucket(
    cloud: Cloud,
    bucket: &str,
    options: &StoreOptions,
) -> Result<(Arc<dyn ObjectStore>, StoreKind), StoreError> {
    let name = bucket.to_owned();
    Ok(match cloud {
        Cloud::S3 => {
            let client = Arc::new(options.s3(bucket)?);
            let server = options.s3_server();
            (client.clone(), StoreKind::S3 { client, bucket: name, server })
        }
        Cloud::Azure => {
            let client = Arc::new(options.azure(bucket)?);
            let (account, lent) = (options.azure_account(), options.azure_lent()?);
            (client.clone(), StoreKind::Azure { client, container: name, account, lent })
        }
        Cloud::Google => {
            let client = Arc::new(options.google(bucket)?);
            let server = options.google_server();
            (client.clone(), StoreKind::Google { client, bucket: name, server })
        }
    })
}

fn open_folder(folder: &Path) -> Result<Objects, StoreError> {
    make_private_folder(folder)?;
    let real = folder.canonicalize().map_err(StoreError::io("open the folder", folder))?;
    if real.to_str().is_none() {
        let url = folder.display().to_string();
        return Err(UrlError::Path { url }.into());
    }
    let store = LocalFileSystem::new_with_prefix(&real).map_err(|source| StoreError::Open {
        url: folder.display().to_string(),
        source: Box::new(source),
    })?;
    Ok(Objects {
        store: Arc::new(store.with_fsync(true)),
        root: ObjectUrl::Local(real.clone()),
        kind: StoreKind::Local(real),
        upload_bytes: UPLOAD_BYTES,
    })
}

#[cfg(test)]
#[path = "objects_tests.rs"]
mod tests;
