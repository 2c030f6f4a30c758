//! The WIM container: read by ranges, splice, encode, compose.
//!
//! A WIM is a store of *resources* addressed by the SHA-1 of their content, plus one *metadata
//! resource* (security descriptors and a tree of entries) for each image. Resources may lie in any
//! order with gaps between them, and depend on nothing but their content and the codec. So an
//! image can be changed by rewriting its tree while every resource stays as it is: a *splice*.
//!
//! Everything here is ours but the block compressors, which are wimlib's ([`codec`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod blob_table;
mod bytes;
mod chunks;
pub mod codec;
mod error;
mod hash;
pub mod header;
pub mod integrity;
pub mod metadata;
pub mod resource;
mod set;
mod solid;
mod source;
mod splicing;
pub mod tail;
pub mod unpack;
pub mod verify;
mod wim;
pub mod writer;
pub mod xml;

pub use blob_table::Blob;
pub use error::{Result, WimError};
pub use hash::{DoubleHasher, Sha1Hash};
pub use header::{HEADER_BYTES, Header, ResourceHeader};
pub use set::{Part, SetProblem};
pub use solid::SolidResource;
pub use source::{ObjectSource, RangeRead, ReadAhead};
pub use splicing::SpliceObstacle;
pub use wim::Wim;
