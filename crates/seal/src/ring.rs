//! The key-encryption keys of a coordinator: the current one seals, all of them open.

use std::fmt;

use prestage_secret::SecretBytes;
use sha2::{Digest, Sha256};

use crate::{
    cipher::{Key, decrypt, encrypt, new_key},
    envelope::{Envelope, Sealed},
    error::SealError,
    key_command::KeyCommand,
    key_file,
    source::{KeySource, key_of_variable},
};

/// What a wrapped data key is bound to: it can't be taken for a secret that the release before sealed.
const DATA_KEY: &[u8] = b"prestage data key";
const ID_BYTES: usize = 8;

/// Names a key-encryption key: a hash of it, or of the name that its program gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    fn of(kind: &str, bytes: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(kind).chain_update([0]).chain_update(bytes);
        Self(hex::encode(&hash.finalize()[..ID_BYTES]))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = hex::decode(text).ok()?;
        (bytes.len() == ID_BYTES).then(|| Self(hex::encode(bytes)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key-encryption keys. The first one seals; the others only open what they have sealed before.
pub struct KeyRing {
    keys: Vec<RingKey>,
}

struct RingKey {
    id: KeyId,
    source: KeySource,
    kek: KeyEncryptionKey,
}

enum KeyEncryptionKey {
    Own(Key),
    Command(KeyCommand),
}

impl KeyRing {
    /// Fetches the keys. A file that the first source names is made if it is not there.
    ///
    /// # Errors
    /// [`SealError`] for the first key that can't be had.
    pub async fn open(sources: &[KeySource]) -> Result<Self, SealError> {
        if sources.is_empty() {
            return Err(SealError::Setting(String::new()));
        }
        let mut keys = Vec::with_capacity(sources.len());
        for source in sources {
            keys.push(RingKey::fetch(source, keys.is_empty()).await?);
        }
        Ok(Self { keys })
    }

    /// Encrypts `secret`, bound to `context`, which is not secret and must be the same to open it.
    ///
    /// # Errors
    /// [`SealError`] when the current key's program fails, or the system gives no random numbers.
    pub async fn seal(&self, secret: &[u8], context: &[u8]) -> Result<String, SealError> {
        let data_key = new_key()?;
        let body = encrypt(&data_key, secret, context)?;
        let current = self.current();
        let wrapped = current.wrap(&data_key).await?;
        Ok(Envelope { key: current.id.clone(), wrapped, body }.to_string())
    }

    /// Decrypts what was sealed, by this release or the one before.
    ///
    /// # Errors
    /// [`SealError::OtherKey`], [`SealError::Changed`], or what the key's program said.
    pub async fn unseal(&self, sealed: &str, context: &[u8]) -> Result<SecretBytes, SealError> {
        let secret = match Sealed::parse(sealed)? {
            Sealed::Envelope(envelope) => {
                let data_key = self.find(&envelope.key)?.unwrap(&envelope.wrapped).await?;
                decrypt(&data_key, &envelope.body, context).map_err(|_| SealError::Changed)?
            }
            Sealed::WithoutDataKey(bytes) => {
                let open = |key: &RingKey| match &key.kek {
                    KeyEncryptionKey::Own(key) => decrypt(key, &bytes, context).ok(),
                    KeyEncryptionKey::Command(_) => None,
                };
                let opened = self.keys.iter().find_map(open);
                opened.ok_or_else(|| {
                    self.other_key("of the release before, which it does not name")
                })?
            }
        };
        Ok(SecretBytes::from(secret))
    }

    /// The same secret under the current key; `None` if it is there already. Only the data key is
    /// wrapped anew. What the release before sealed gets a data key.
    ///
    /// # Errors
    /// As [`KeyRing::unseal`] and [`KeyRing::seal`].
    pub async fn rewrap(&self, sealed: &str, context: &[u8]) -> Result<Option<String>, SealError> {
        let Sealed::Envelope(envelope) = Sealed::parse(sealed)? else {
            let secret = self.unseal(sealed, context).await?;
            return self.seal(secret.expose(), context).await.map(Some);
        };
        let current = self.current();
        if envelope.key == current.id {
            return Ok(None);
        }
        let data_key = self.find(&envelope.key)?.unwrap(&envelope.wrapped).await?;
        let wrapped = current.wrap(&data_key).await?;
        Ok(Some(Envelope { key: current.id.clone(), wrapped, body: envelope.body }.to_string()))
    }

    /// The keys and where they come from; the first one is current.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, &KeySource)> {
        self.keys.iter().map(|key| (&key.id, &key.source))
    }

    fn current(&self) -> &RingKey {
        // There is one: `open` takes care of it.
        &self.keys[0]
    }

    fn find(&self, id: &KeyId) -> Result<&RingKey, SealError> {
        let found = self.keys.iter().find(|key| key.id == *id);
        found.ok_or_else(|| self.other_key(&id.0))
    }

    fn other_key(&self, key: &str) -> SealError {
        let ours: Vec<&str> = self.keys.iter().map(|key| key.id.0.as_str()).collect();
        SealError::OtherKey { key: key.to_owned(), ours: ours.join(", ") }
    }
}

impl RingKey {
    async fn fetch(source: &KeySource, current: bool) -> Result<Self, SealError> {
        let own = |key: Key| (KeyId::of("key", &*key), KeyEncryptionKey::Own(key));
        let (id, kek) = match source {
            KeySource::File(path) if current => own(key_file::load_or_create(path)?),
            KeySource::File(path) => own(key_file::load(path)?),
            KeySource::Variable(name) => own(key_of_variable(name)?),
            KeySource::Command { program, arguments } => {
                let command = KeyCommand::new(program, arguments);
                let id = KeyId::of("command", command.name().await?.as_bytes());
                (id, KeyEncryptionKey::Command(command))
            }
        };
        Ok(Self { id, source: source.clone(), kek })
    }

    async fn wrap(&self, data_key: &Key) -> Result<Vec<u8>, SealError> {
        match &self.kek {
            KeyEncryptionKey::Own(key) => encrypt(key, &**data_key, DATA_KEY),
            KeyEncryptionKey::Command(command) => command.wrap(data_key).await,
        }
    }

    async fn unwrap(&self, wrapped: &[u8]) -> Result<Key, SealError> {
        match &self.kek {
            KeyEncryptionKey::Own(key) => {
                let opened = decrypt(key, wrapped, DATA_KEY).map_err(|_| SealError::Changed)?;
                crate::cipher::key_of(&opened).ok_or(SealError::Changed)
            }
            KeyEncryptionKey::Command(command) => command.unwrap(wrapped).await,
        }
    }
}

#[cfg(test)]
mod tests;
