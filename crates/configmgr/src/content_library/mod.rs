//! A distribution point's content library: `PkgLib` says which content is current, `DataLib` lists
//! its files, `FileLib` holds their bytes by SHA-256 (reference: content library layout).

mod error;
mod library;
mod listing;
mod listing_reader;
mod names;
mod on_share;
mod package_hash;
#[cfg(test)]
mod tests;
mod verifying;
pub mod writer;

pub use error::LibraryError;
pub(crate) use library::without_ini;
pub use library::{ContentLibrary, PackageEntry, file_path, open_file};
pub use listing::{ContentListing, ListedFile};
pub(crate) use listing_reader::{checked, entry_of_ini};
pub use names::{MAX_PATH_UNITS, NameProblem, check_name, check_path};
pub use on_share::LibraryOnShare;
pub use package_hash::package_hash;
pub use verifying::{ContentMismatch, VerifyingReader};
