//! The text of something sealed: `v2:KEY:WRAPPED DATA KEY:SECRET`, the last two in base64.
//!
//! The release before wrote the secret alone, encrypted with the key itself.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{error::SealError, ring::KeyId};

const VERSION: &str = "v2";

/// A sealed text, taken apart.
pub(crate) enum Sealed {
    Envelope(Envelope),
    /// As the release before sealed: no data key, and nothing says which key it was.
    WithoutDataKey(Vec<u8>),
}

/// A secret, and the data key that opens it.
pub(crate) struct Envelope {
    /// What the data key is wrapped by.
    pub key: KeyId,
    pub wrapped: Vec<u8>,
    /// The secret. It stays as it is when the data key is wrapped anew.
    pub body: Vec<u8>,
}

impl Sealed {
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| SealError::Changed);
        if !text.contains(':') {
            return bytes(text).map(Self::WithoutDataKey);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let [VERSION, key, wrapped, body] = parts[..] else {
            return Err(SealError::Changed);
        };
        let key = KeyId::parse(key).ok_or(SealError::Changed)?;
        Ok(Self::Envelope(Envelope { key, wrapped: bytes(wrapped)?, body: bytes(body)? }))
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wrapped, body) = (STANDARD.encode(&self.wrapped), STANDARD.encode(&self.body));
        write!(f, "{VERSION}:{}:{wrapped}:{body}", self.key)
    }
}

/// Which key a sealed text takes; `None` for one of the release before, which does not say so.
///
/// # Errors
/// [`SealError::Changed`] when it is no sealed text.
pub fn sealed_by(text: &str) -> Result<Option<KeyId>, SealError> {
    match Sealed::parse(text)? {
        Sealed::Envelope(envelope) => Ok(Some(envelope.key)),
        Sealed::WithoutDataKey(_) => Ok(None),
    }
}

/// What of a sealed text stays the same however often its data key is wrapped anew.
#[must_use]
pub fn without_wrapping(text: &str) -> &str {
    text.rsplit(':').next().unwrap_or(text)
}
