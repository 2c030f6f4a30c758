//! One-time tokens, by which a worker gets its first certificate.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prestage_secret::Secret;
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};

use crate::TrustError;

const SECRET_BYTES: usize = 32;
/// Marks what it is, so that scanners for secrets find one that was left somewhere.
const PREFIX: &str = "prestage-enrol-";
/// A longer text is no token.
const TOKEN_CHARS_MAX: usize = 128;

/// A new token.
pub fn new_token() -> Result<Secret, TrustError> {
    let mut secret = zeroize::Zeroizing::new([0; SECRET_BYTES]);
    let random = SysRng.try_fill_bytes(&mut *secret);
    random.map_err(|error| TrustError::Random(error.to_string()))?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*secret))))
}

/// What is kept of a token: it can be recognised by that, not made. It has 256 random bits, so its hash
/// needs neither salt nor iterations. `None` for what is no token at all.
pub fn token_hash(token: &str) -> Option<String> {
    let is_token = token.len() <= TOKEN_CHARS_MAX && token.starts_with(PREFIX);
    is_token.then(|| hex::encode(Sha256::digest(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_known_by_their_hash() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert_eq!(one.expose().len(), PREFIX.len() + 43);
        assert_eq!(token_hash(one.expose()), token_hash(one.expose()));
        assert_ne!(token_hash(one.expose()), token_hash(other.expose()));
        assert_eq!(token_hash("hunter2"), None);
        assert_eq!(token_hash(&format!("{PREFIX}{}", "a".repeat(200))), None);
    }
}
