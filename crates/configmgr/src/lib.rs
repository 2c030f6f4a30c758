//! The Configuration Manager site: what it says and where content lies.
//!
//! * [`Site`] is the offline site: a `site.toml` and the folder of AdminService answers it names.
//! * [`content_library`] reads (and, for test sites, writes) a distribution point's content library.
//! * [`distribution_point`] says where contents lie, and reads them there: by path or over HTTP.
//! * [`task_sequence`] reads which content a task sequence's steps name.
//! * [`resolve()`] closes a request over all of it: every content with its version, hash, reason and
//!   the distribution points that hold it, or every problem at once.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin_service;
pub mod content_library;
pub mod distribution_point;
pub mod ids;
mod ini;
pub mod resolve;
mod site;
mod site_file;
pub mod task_sequence;
pub mod text;
mod whole_file;
mod xml;

pub use resolve::{ContentRequest, Resolution, ResolveErrors, resolve};
pub use site::{DistributionPoint, ManagementPoint, Site, SiteError};
