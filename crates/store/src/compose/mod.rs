//! Composes an output object out of ranges of other objects, by any number of processes.
//!
//! One process opens the composition with [`Compose::begin`]; the token goes to all others, which
//! [`Compose::place`] their parts in any order; one finishes it. Until then nothing is to be seen
//! under the output's name. Every step may be repeated, with the same result.
//!
//! Where bytes go:
//!
//! | output | a part of the same store | any other part |
//! |---|---|---|
//! | folder | copied by the kernel, blocks shared where they can be | through memory |
//! | S3 | `UploadPartCopy` | through memory |
//! | Azure | `Put Block From URL`; through memory if refused as unsupported | through memory |
//! | Google | a whole object: nothing; a range: through memory into a temporary object | the same |

mod azure;
mod azure_blocks;
mod cloud;
mod composer;
mod error;
mod google;
mod google_compose;
mod http;
mod local;
mod memory;
mod reap;
mod receipt;
mod s3;
mod s3_copy;
mod s3_list;
mod s3_uploads;
mod token;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

pub use composer::Composer;
pub use error::ComposeError;
pub use memory::MAX_THROUGH_MEMORY;

use crate::error::StoreError;
use crate::keys::ObjectKey;
use crate::location::ObjectUrl;
use crate::objects::Objects;
use crate::recipe::check_tiling;

/// Bytes that are read from a store at once.
pub(crate) const PIECE: u64 = 8 * 1024 * 1024;
/// Pieces that are in flight at once for one part.
pub(crate) const PIECES: usize = 4;

/// Names an open composition. Opaque; it may be stored and sent to other processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadToken(String);

/// Says that a part is in place. Opaque; it may be stored and sent to other processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(String);

macro_rules! opaque_text {
    ($name:ident) => {
        impl $name {
            /// The text to store or send.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0
            }
        }
    };
}
opaque_text!(UploadToken);
opaque_text!(Receipt);

impl UploadToken {
    /// Where the composition's output is to appear.
    pub fn output(&self) -> Result<ObjectUrl, ComposeError> {
        Ok(token::OpenUpload::parse(self)?.dst())
    }

    /// The object that is there while the composition is open; a folder has none.
    pub fn marker(&self) -> Result<Option<ObjectUrl>, ComposeError> {
        match token::OpenUpload::parse(self)? {
            token::OpenUpload::Cloud(upload) => Ok(Some(upload.marker_url()?)),
            token::OpenUpload::Local(_) => Ok(None),
        }
    }

    /// That object of the composition of `dst` which a lease opens: see [`Composer::under`].
    pub fn marker_under(lease: &str, dst: &ObjectUrl) -> Option<ObjectUrl> {
        let ObjectUrl::Bucket { cloud, bucket, key } = dst.clone() else {
            return None;
        };
        let id = token::CloudUpload::id_under(lease, dst);
        let upload = token::CloudUpload { cloud, bucket, key, total: 0, id, upload: None };
        upload.marker_url().ok()
    }
}

/// A part that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Says so.
    pub receipt: Receipt,
    /// Bytes of it that the store, or the kernel, copied by itself. The others went through this
    /// process.
    pub copied: u64,
}

/// A range of the output and where its bytes are taken from.
#[derive(Debug, Clone)]
pub struct Part {
    /// Position among the parts, from 0, in the order of their offsets.
    pub number: u32,
    /// Offset in the output, in bytes.
    pub dst_offset: u64,
    /// Bytes; never 0.
    pub len: u64,
    /// Where the bytes are.
    pub source: Source,
}

/// Where the bytes of a part are.
#[derive(Debug, Clone)]
pub struct Source {
    /// The store.
    pub objects: Objects,
    /// The object in it.
    pub key: ObjectKey,
    /// Offset in the object, in bytes.
    pub offset: u64,
    /// The tag that the object must still have; `None` for objects that never change.
    pub if_match: Option<String>,
}

impl Source {
    pub(crate) fn missing(&self) -> StoreError {
        StoreError::Missing { place: self.objects.url(&self.key).to_string() }
    }

    pub(crate) fn changed(&self) -> StoreError {
        StoreError::Changed { place: self.objects.url(&self.key).to_string() }
    }
}

/// What an output's store asks of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRules {
    /// Least bytes of every part but the last.
    pub min_bytes: u64,
    /// Most bytes of a part.
    pub max_bytes: u64,
    /// Most parts.
    pub max_parts: u32,
    /// Parts that one process should place at once.
    pub at_once: usize,
}

/// What was left behind and is removed now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Compositions that were given up.
    pub compositions: u64,
    /// Temporary objects of compositions that had been given up before.
    pub objects: u64,
}

/// Composes objects.
///
/// Each step may be repeated, by any process, after any failure: a part that is placed again is the
/// same part; an output that is there already is told by the composition's id that it carries (a
/// local one by its inode), so that finishing again after a lost answer succeeds, and does nothing
/// to a newer output.
#[async_trait]
pub trait Compose: Send + Sync {
    /// What parts must be like that come from `from` and go to `dst`.
    fn part_rules(&self, dst: &ObjectUrl, from: &Objects) -> PartRules;

    /// Opens a composition of `total_bytes` at `dst`.
    async fn begin(&self, dst: &ObjectUrl, total_bytes: u64) -> Result<UploadToken, ComposeError>;

    /// Puts one part in its place. It is durable when [`Compose::settle`] has returned, too.
    async fn place(&self, token: &UploadToken, part: &Part) -> Result<Placed, ComposeError>;

    /// Makes durable what this process has placed. Several parts share its price, so it is called
    /// before receipts are handed on, not after each.
    async fn settle(&self, token: &UploadToken) -> Result<(), ComposeError>;

    /// The receipts of those of `parts` that are in place already, `None` for the others, in their
    /// order. A merge that starts again asks this first, and places only what is missing.
    ///
    /// Each store is asked once: S3 for the upload's parts, Azure for the uncommitted blocks,
    /// Google for the temporary objects. A folder doesn't know which ranges were written, so
    /// nothing is in place there; nor are parts that are whole objects in Google's store, which
    /// cost nothing to place. S3 knows a part by number and size alone: within one composition,
    /// parts must always be cut in the same way.
    async fn placed(
        &self,
        token: &UploadToken,
        parts: &[Part],
    ) -> Result<Vec<Option<Receipt>>, ComposeError>;

    /// Makes the output appear under its name, all at once, replacing what was there. The parts
    /// must tile it exactly, in order, each with its own receipt of this composition.
    async fn finish(
        &self,
        token: &UploadToken,
        parts: &[(Part, Receipt)],
    ) -> Result<(), ComposeError>;

    /// Gives a composition up and frees what it holds. A finished or unknown one is left alone.
    /// Azure has no way to drop blocks: it does so by itself, a week after the last was written.
    async fn abort(&self, token: &UploadToken) -> Result<(), ComposeError>;

    /// Gives up compositions of outputs directly in `folder` that nobody knows of: none of the
    /// `live` tokens is theirs, and they were begun at least `older_than` before `now` (younger
    /// ones may just be beginning elsewhere). Only what carries our own mark is touched: hidden
    /// files `.<name>.<random>.partial` in a folder, objects below `.prestage/` in a bucket.
    async fn reap(
        &self,
        folder: &ObjectUrl,
        live: &[UploadToken],
        older_than: Duration,
        now: SystemTime,
    ) -> Result<Reaped, ComposeError>;
}

/// Checks that the parts are all of the output: numbered from 0 and tiling it.
fn check_parts(total: u64, parts: &[(Part, Receipt)]) -> Result<(), ComposeError> {
    check_tiling(total, parts.iter().map(|(part, _)| (part.dst_offset, part.len)))?;
    for (expected, (part, _)) in (0..).zip(parts) {
        if part.number != expected {
            let number = part.number;
            return Err(ComposeError::Receipt { number });
        }
    }
    Ok(())
}
