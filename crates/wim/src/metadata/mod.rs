//! One image's metadata: security descriptors and the tree of directory entries.
//!
//! Entries that were read are kept as the bytes that they were, and only their subdirectory
//! offset is rewritten. So everything an entry can carry survives, known to us or not.

mod entry;
mod security;
mod tree;
mod upcase;

pub use entry::{
    ATTRIBUTE_DIRECTORY, ATTRIBUTE_REPARSE_POINT, EntryView, NO_SECURITY, NewEntry, Reparse, Stream,
};
pub use security::SecurityDescriptors;
pub use tree::{ImageTree, NodeId, TreeStatistics, Walk};
pub use upcase::upcased;
