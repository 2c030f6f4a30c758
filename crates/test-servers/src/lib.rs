//! Real servers for tests: on loopback, in folders of their own, ended with the test.
//!
//! Whatever is missing on the machine fails the test that needs it; `setup.sh tests` installs it.
#![allow(clippy::unwrap_used)]

pub mod admin_service;
pub mod apache;
pub mod hung_mount;
pub mod iis;
pub mod kerberos;
pub mod oidc;
pub mod ports;
pub mod postgres;
mod ready;
pub mod tls;
