//! Where a distribution point's content lies, and how it is read there: in its content library by path,
//! or over HTTP (reference: sections 4.1 and 4.3).

pub mod folder_listing;
mod http_library;
mod named_content;
mod place;
mod ranges;
mod remote_file;
mod virtual_folder;
mod web_folders;

pub use http_library::{HttpLibrary, Shown};
pub use named_content::NamedContent;
pub use place::{ContentPlace, FileOfContent};
pub use ranges::{RemoteRanges, ShareRanges};
pub use remote_file::RemoteFile;
