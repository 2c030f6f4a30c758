//! Prestaged media: the spec and its rules, variables, certificates, boot files, layout.
//!
//! This crate knows what a medium *is*; it talks to no site and writes no WIM. Everything in it
//! is a function of its arguments: the clock, randomness and the environment are passed in, so
//! that a pinned plan gives the same bytes wherever it is built.
//!
//! | module | what it holds | how sure |
//! |---|---|---|
//! | [`spec`] | the media spec: parsed, checked, every problem at once | our own contract |
//! | [`variables`] | `Variables.dat` and what is in it | container, key and cipher confirmed by several readers and a public vector; see its own table |
//! | [`bootstrap_ini`] | `TsmBootstrap.ini` | three keys confirmed, the spelling of the media type inferred |
//! | [`certificate`] | the media certificate and its PKCS#12 | the password rule confirmed by three readers |
//! | [`bcd`] | registry hive writer and the boot stores | element bytes checked against dumped stores; the choice of objects is the minimum that known tools use |
//! | [`boot_files`] | which files leave the boot image for which place | most paths confirmed by boot tools |
//! | [`build_log`] | what `CreateTSMedia.log` is to the wizard | the form is that of all its logs |
//! | [`driver_inf`] | what the INF of a driver says of itself | Windows' own format and class GUIDs |
//! | [`volume`] | where everything lies in the applied volume | see its own table |
//! | [`password`] | the password policy and generator | our own rule, with its reason |
//! | [`unverified`] | every choice that only a console-made medium can confirm | by definition not |
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bcd;
pub mod boot_files;
pub mod bootstrap_ini;
pub mod build_log;
pub mod certificate;
pub mod driver_inf;
pub mod media_id;
pub mod password;
pub mod spec;
pub mod unverified;
pub mod variables;
pub mod volume;

pub use media_id::MediaId;
pub use prestage_secret::{Secret, SecretBytes, SecretError, SecretSource};
