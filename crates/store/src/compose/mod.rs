//! Composes an output object out of ranges of other objects, by any number of processes.
//!
//! One process opens the composition with [`Compose::begin`]; the token goes to all others, which
//! [`Compose::place`] their parts in any order; one finishes it. Until then nothing is to be seen
//! under the output's name. Every step may be repeated, with the same result.

mod composer;
mod error;
mod local;
mod s3;
mod s3_copy;
mod token;

use async_trait::async_trait;

pub use composer::Composer;
pub use error::ComposeError;
pub use local::scrub_partials;

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

/// Composes objects.
#[async_trait]
pub trait Compose: Send + Sync {
    /// What parts must be like that come from `from` and go to `dst`.
    fn part_rules(&self, dst: &ObjectUrl, from: &Objects) -> PartRules;

    /// Opens a composition of `total_bytes` at `dst`.
    async fn begin(&self, dst: &ObjectUrl, total_bytes: u64) -> Result<UploadToken, ComposeError>;

    /// Puts one part in its place. It is durable when [`Compose::settle`] has returned, too.
    async fn place(&self, token: &UploadToken, part: &Part) -> Result<Receipt, ComposeError>;

    /// Makes durable what this process has placed. Several parts share its price, so it is called
    /// before receipts are handed on, not after each.
    async fn settle(&self, token: &UploadToken) -> Result<(), ComposeError>;

    /// Makes the output appear under its name, all at once, replacing what was there. The parts
    /// must tile it exactly, in order.
    async fn finish(
        &self,
        token: &UploadToken,
        parts: &[(Part, Receipt)],
    ) -> Result<(), ComposeError>;

    /// Gives a composition up and frees what it holds. A finished or unknown one is left alone.
    async fn abort(&self, token: &UploadToken) -> Result<(), ComposeError>;
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
