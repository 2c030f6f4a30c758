//! Sealing what is secret in a plan: AES-256-GCM with a key that only the coordinator has.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{TryRng, rngs::SysRng};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The coordinator's sealing key.
pub struct SealKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why something can't be sealed or unsealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file can't be used.
    #[error("the seal key {path} can't be used: {problem}")]
    KeyFile {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Sealed with another key, or changed.
    #[error(
        "the sealed part of the plan does not open with this coordinator's key: build it where it \
         was planned (same --data-dir or coordinator), let all coordinators share one seal key \
         (--seal-key), or plan it again"
    )]
    WrongKey,
}

impl SealKey {
    /// Reads the key at `path`; makes one, readable by its owner only, if there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        let failed =
            |error: io::Error| SealError::KeyFile { path: path.into(), problem: error.to_string() };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match std::fs::File::open(path) {
            Ok(mut file) => file.read_exact(&mut *key).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fill_random(&mut *key)?;
                match create(path, &*key) {
                    // Another coordinator that shares the key made it at the same moment.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        let mut file = std::fs::File::open(path).map_err(failed)?;
                        file.read_exact(&mut *key).map_err(failed)?;
                    }
                    made => made.map_err(failed)?,
                }
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(Self(key))
    }

    /// Encrypts `secret`, bound to `context` (which is not secret and must be the same to open it).
    pub fn seal(&self, secret: &[u8], context: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: secret, aad: context };
        let sealed = self.cipher()?.encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|_| SealError::WrongKey)?;
        Ok(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Decrypts what [`SealKey::seal`] gave.
    pub fn open(&self, sealed: &str, context: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| SealError::WrongKey)?;
        let (nonce, message) =
            bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::WrongKey)?;
        let payload = Payload { msg: message, aad: context };
        let secret = self.cipher()?.decrypt(&(*nonce).into(), payload);
        secret.map(Zeroizing::new).map_err(|_| SealError::WrongKey)
    }

    fn cipher(&self) -> Result<Aes256Gcm, SealError> {
        Aes256Gcm::new_from_slice(&*self.0).map_err(|_| SealError::WrongKey)
    }
}

/// Writes the key where its owner only can read it; it is there wholly or not at all.
fn create(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(key)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    SysRng.try_fill_bytes(bytes).map_err(|error| SealError::Random(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_its_key_and_context() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let key = SealKey::load_or_create(&path).unwrap();
        let sealed = key.seal(b"secret", b"plan 1").unwrap();
        assert!(!sealed.contains("secret"));
        let again = SealKey::load_or_create(&path).unwrap();
        assert_eq!(&**again.open(&sealed, b"plan 1").unwrap(), b"secret");
        assert!(again.open(&sealed, b"plan 2").is_err());
        let other = SealKey::load_or_create(&dir.path().join("other")).unwrap();
        assert!(other.open(&sealed, b"plan 1").is_err());
        assert!(again.open("AAAA", b"plan 1").is_err());
    }
}
