//! AES-256-GCM with random nonces.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

use crate::error::SealError;

/// Bytes of every key here.
pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// A key, wiped when it is dropped.
pub(crate) type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What was encrypted does not open with this key and context.
pub(crate) struct DoesNotOpen;

/// A new key.
pub(crate) fn new_key() -> Result<Key, SealError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    fill_random(&mut *key)?;
    Ok(key)
}

/// A key from exactly its bytes.
pub(crate) fn key_of(bytes: &[u8]) -> Option<Key> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return None;
    }
    key.copy_from_slice(bytes);
    Some(key)
}

/// A nonce and what is encrypted. `context` is not secret, and must be the same to open it.
pub(crate) fn encrypt(key: &Key, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_BYTES];
    fill_random(&mut nonce)?;
    let payload = Payload { msg: secret, aad: context };
    let sealed = cipher(key).and_then(|cipher| cipher.encrypt(&nonce.into(), payload).ok());
    let sealed = sealed.ok_or(SealError::Changed)?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what [`encrypt`] gave.
pub(crate) fn decrypt(
    key: &Key,
    sealed: &[u8],
    context: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let (nonce, message) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(DoesNotOpen)?;
    let payload = Payload { msg: message, aad: context };
    let secret = cipher(key).and_then(|cipher| cipher.decrypt(&(*nonce).into(), payload).ok());
    secret.map(Zeroizing::new).ok_or(DoesNotOpen)
}

fn cipher(key: &Key) -> Option<Aes256Gcm> {
    Aes256Gcm::new_from_slice(&**key).ok()
}

fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    SysRng.try_fill_bytes(bytes).map_err(|error| SealError::Random(error.to_string()))
}
