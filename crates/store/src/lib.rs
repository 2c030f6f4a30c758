//! The object store of Prestage: where every object lies, how packs are written and read, how the
//! layout of a medium is decided, and how the medium is composed out of objects that are there.
//!
//! A medium is a WIM. Its first 208 bytes are the header; from there on it is counted in *chunks*
//! of 10 MiB, the unit of the integrity table. A *pack* is an immutable object of WIM resources
//! back to back. [`layout`] gives every large pack a place on the chunk grid, so that its whole
//! chunks can be copied by the store itself; what is left over is the build's *glue*, one object
//! that the assemble task writes. The [`recipe`] lists those copies, [`compose`] carries them out.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod azure_account;
pub mod chunks;
pub mod compose;
pub mod error;
pub mod gc;
pub mod keys;
pub mod layout;
pub mod lent;
pub mod location;
pub mod objects;
pub mod options;
pub mod pack;
pub mod quarantine;
pub mod recipe;
pub mod scrub;
pub mod staging;
mod uploads;
pub mod view;
pub mod whole;

pub use chunks::{CHUNK, HEADER_BYTES};
pub use compose::{Compose, Composer, Part, PartRules, Placed, Receipt, Source, UploadToken};
pub use error::StoreError;
pub use keys::{BuildId, ObjectKey, PackKey, StoredObject};
pub use layout::Layout;
pub use location::ObjectUrl;
pub use objects::{Objects, PutOutcome, PutRule};
pub use options::StoreOptions;
pub use pack::{PackIndex, PackReader, PackWriter, SeenPack};
pub use recipe::Recipe;
pub use staging::StagingFile;
pub use uploads::{Stalled, Transport, UploadFloor};
pub use view::ComposedView;
