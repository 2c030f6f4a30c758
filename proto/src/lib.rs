//! The wire protocol: `prestage.v1` as Rust types, compiled from `proto/prestage/v1`.
//!
//! Messages that cross processes and those that are stored (task payloads, results) are both here,
//! so that one place decides what may change and how.

mod lease;
mod secret_debug;

/// Version 1 of the protocol.
pub mod v1 {
    #![allow(missing_docs, clippy::all, clippy::large_futures)]
    tonic::include_proto!("prestage.v1");

    /// All files of the protocol and what they import, as an encoded `FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("prestage.v1.descriptors");
}
