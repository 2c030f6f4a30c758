//! Secrets at rest: envelope encryption, and where its keys come from.
//!
//! Every secret is encrypted with a *data key* of its own, which is made for it and used once. The data
//! key lies beside it, *wrapped* by a *key-encryption key*. So keys are changed without touching what is
//! sealed, and a key-encryption key may be one that never leaves a KMS or an HSM.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cipher;
mod envelope;
mod error;
mod key_command;
mod key_file;
mod ring;
mod source;

pub use envelope::{sealed_by, without_wrapping};
pub use error::SealError;
pub use ring::{KeyId, KeyRing};
pub use source::KeySource;
