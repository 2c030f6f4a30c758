//! What compositions in all clouds have in common.
//!
//! Each has an id. While it is open there is a small object of ours, its *marker*, beside the
//! output: `.prestage/<id>.open`, which holds the token. Where a store can't take parts by itself,
//! they are objects below `.prestage/<id>/`. The finished output carries the id in its metadata, so
//! that it is known again when the answer to the last request was lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use object_store::path::Path as StorePath;
use object_store::{
    Attribute, Attributes, Error as RequestError, GetOptions, GetResult, ObjectStore,
};

use super::error::ComposeError;
use super::receipt::{MarkedPart, PlacedPart};
use super::token::CloudUpload;
use super::{Part, UploadToken};
use crate::error::StoreError;
use crate::keys::ObjectKey;
use crate::location::{Cloud, ObjectUrl};
use crate::objects::{Objects, PutRule, StoreKind};
use crate::options::StoreOptions;

/// Folder beside the output that holds what belongs to open compositions.
pub(super) const OPEN_FOLDER: &str = ".prestage";
/// Parts that are worth placing at once: a cloud copies them, we only wait.
pub(super) const AT_ONCE: usize = 4;
/// End of a marker's name.
pub(super) const MARKER_SUFFIX: &str = ".open";
/// Name of the id in the output's metadata. Azure allows letters, digits and `_` alone.
pub(super) const ID_METADATA: &str = "prestagecomposition";

/// A part in a cloud.
pub(super) enum InPlace {
    /// The store copied it; this is what it calls it.
    Copied(String),
    /// Its bytes were sent.
    Sent(String),
}

/// How one kind of cloud takes parts. Every step may be repeated.
#[async_trait]
pub(super) trait PartStore: Send + Sync {
    /// Prepares the store; gives what it calls the upload, if it does.
    async fn open(&self, output: &Output) -> Result<Option<String>, ComposeError>;

    /// Puts a part in its place.
    async fn place(&self, output: &Output, part: &MarkedPart<'_>) -> Result<InPlace, ComposeError>;

    /// What the store calls those of the parts that it has already, in their order.
    async fn placed(
        &self,
        output: &Output,
        parts: &[MarkedPart<'_>],
    ) -> Result<Vec<Option<String>>, ComposeError>;

    /// Makes the output appear, with the id in its metadata.
    async fn commit(&self, output: &Output, parts: &[PlacedPart<'_>]) -> Result<(), ComposeError>;

    /// Frees the parts. There may be none any more.
    async fn discard(&self, output: &Output) -> Result<(), ComposeError>;
}

/// The buckets that outputs are in. Each is opened once, so that connections and credentials are
/// used again.
pub(super) struct Buckets {
    options: StoreOptions,
    open: Mutex<HashMap<(Cloud, String), Objects>>,
}

/// Where a composition goes, ready for requests.
pub(super) struct Output {
    pub upload: CloudUpload,
    pub path: StorePath,
    bucket: Objects,
}

impl Buckets {
    pub fn new(options: StoreOptions) -> Self {
        Self { options, open: Mutex::default() }
    }

    pub async fn bucket(&self, cloud: Cloud, name: &str) -> Result<Objects, StoreError> {
        let key = (cloud, name.to_owned());
        // A panic elsewhere can't leave the map half changed.
        let open = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open().get(&key) {
            return Ok(bucket.clone());
        }
        let url = ObjectUrl::Bucket { cloud, bucket: name.to_owned(), key: String::new() };
        let bucket = Objects::open_with(&url, &self.options).await?;
        open().insert(key, bucket.clone());
        Ok(bucket)
    }

    pub async fn output(&self, upload: CloudUpload) -> Result<Output, ComposeError> {
        let bucket = self.bucket(upload.cloud, &upload.bucket).await?;
        let path = bucket.store_path(&ObjectKey::new(upload.key.as_str())?)?;
        Ok(Output { upload, path, bucket })
    }
}

impl Output {
    pub fn kind(&self) -> &StoreKind {
        self.bucket.kind()
    }

    pub fn bucket(&self) -> &Objects {
        &self.bucket
    }

    pub fn store(&self) -> &dyn ObjectStore {
        self.bucket.store().as_ref()
    }

    pub fn url(&self) -> String {
        self.upload.dst().to_string()
    }

    /// The metadata that the finished output carries.
    pub fn attributes(&self) -> Attributes {
        let id = (Attribute::Metadata(ID_METADATA.into()), self.upload.id.clone());
        Attributes::from_iter([id])
    }

    /// Whether the output is there and is this composition's.
    pub async fn is_finished(&self) -> Result<bool, ComposeError> {
        let Some(found) = self.head().await? else {
            return Ok(false);
        };
        let id = found.attributes.get(&Attribute::Metadata(ID_METADATA.into()));
        if id.is_none_or(|id| id.as_ref() != self.upload.id) {
            return Ok(false);
        }
        self.check_size(found.meta.size)?;
        Ok(true)
    }

    /// What the store knows of the object under the output's name.
    pub async fn head(&self) -> Result<Option<GetResult>, ComposeError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        match self.store().get_opts(&self.path, options).await {
            Ok(found) => Ok(Some(found)),
            Err(RequestError::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed("look up", source)),
        }
    }

    pub fn check_size(&self, found: u64) -> Result<(), ComposeError> {
        let (dst, expected) = (self.url(), self.upload.total);
        match found == expected {
            true => Ok(()),
            false => Err(ComposeError::Size { dst, found, expected }),
        }
    }

    /// Says that the composition is open, and lets it be found when nobody knows of it any more.
    pub async fn mark(&self, token: &UploadToken) -> Result<(), ComposeError> {
        let (marker, body) = (self.upload.marker()?, token.as_str().to_owned().into());
        self.bucket.put_small(&marker, body, PutRule::Overwrite).await?;
        Ok(())
    }

    pub async fn unmark(&self) -> Result<(), ComposeError> {
        Ok(self.bucket.delete(&self.upload.marker()?).await?)
    }

    /// For stores that don't know by themselves that a composition was given up.
    pub async fn check_open(&self) -> Result<(), ComposeError> {
        match self.bucket.head(&self.upload.marker()?).await? {
            Some(_) => Ok(()),
            None => Err(self.gone()),
        }
    }

    pub fn gone(&self) -> ComposeError {
        ComposeError::Gone { dst: self.url() }
    }

    pub fn unplaced(&self, part: &Part) -> ComposeError {
        ComposeError::Unplaced { number: part.number, dst: self.url() }
    }

    pub fn failed(&self, action: &'static str, source: RequestError) -> ComposeError {
        StoreError::request(action, self.url(), source).into()
    }

    /// The client for this cloud is missing: the token names another one.
    pub fn strange(&self) -> ComposeError {
        ComposeError::Token { problem: "it is of another cloud".to_owned() }
    }
}
