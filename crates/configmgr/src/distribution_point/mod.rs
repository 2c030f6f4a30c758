//! Where a distribution point's content lies, and how it is read there: in its content library by path,
//! or over HTTP (reference: sections 4.1 and 4.3).

mod folder_listing;
mod http_library;
mod place;
mod remote_file;

pub use http_library::HttpLibrary;
pub use place::{ContentPlace, FileOfContent};
pub use remote_file::RemoteFile;
