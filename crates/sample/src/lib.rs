//! A small but complete sample site: what `prestage sample DIR` writes.
//!
//! It needs no network, no Windows and no Configuration Manager, takes seconds, and has everything
//! a media build meets: an OS image with the awkward things real ones hold, a boot image, drivers,
//! packages, applications, two distribution points of which one lacks something, and specs to
//! build. [`SampleOptions::measuring`] makes content for measurements.
//!
//! Nothing in it came from Microsoft: names look like Windows', bytes are made here from a seed.
//! So a medium built from it does not start a computer.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod body;
mod boot_image;
mod contents;
mod drivers;
mod error;
mod export;
mod identity;
mod image;
mod image_xml;
mod library;
mod options;
mod os_awkward;
mod os_image;
mod place;
mod program;
mod prose;
mod random;
mod reparse;
mod sample;
mod security;
mod site_files;
mod software;
mod task_sequence;

pub use error::SampleError;
pub use options::{SampleOptions, SampleSummary, Shape};
pub use sample::write_sample;
