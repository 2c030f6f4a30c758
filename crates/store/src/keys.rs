//! The names of all objects in the store, in one place.
//!
//! ```text
//! packs/<first 2 hex>/<key>.pack     WIM resources back to back, immutable
//! packs/<first 2 hex>/<key>.index    what is in the pack; its presence says the pack is complete
//! builds/<build>/placements          which files of which pack go where in the volume
//! builds/<build>/glue                all bytes of the medium that no pack is copied for
//! builds/<build>/recipe              which range of which object goes where in the medium
//! builds/<build>/pin                 the packs and listings that the build may use: a line each
//! listings/<first 2 hex>/<digest>    a content's files, as a plan pins them
//! uses/<day>/<build>                 what an ended build used: its pin
//! collectors/<run>                   a garbage collector is at work
//! quarantine/<key>                   the pack is to be removed, and not to be used
//! suspects/<key>                     workers did not agree on the pack: it is made twice
//! ```

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Folder of a local store that holds files which are still being written. Not part of the store.
pub const STAGING_FOLDER: &str = ".staging";

/// A name in the store is not of the shape that it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("{0:?} is not a pack key: 64 lower-case hexadecimal digits are expected")]
    PackKey(String),
    /// Not usable as a build's folder.
    #[error(
        "{0:?} is not a build id: 1 to 64 letters, digits, '-' or '_' are expected, the first a \
         letter or digit"
    )]
    BuildId(String),
    /// Not usable as a path in a store.
    #[error(
        "{0:?} is not an object key: names between single slashes are expected, none of them \
         empty, '.' or '..', no control characters, and no '#' with digits at the end"
    )]
    ObjectKey(String),
    /// An object that is not in the layout of this module.
    #[error(
        "{0:?} is not an object of this store's layout; was the store written by another version?"
    )]
    Unknown(String),
}

/// Path of an object below the store's root: names with single slashes between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Checks that `key` can be a path in every kind of store.
    pub fn new(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        let fits = |name: &str| {
            !matches!(name, "" | "." | "..") && !name.chars().any(|c| c.is_control() || c == '\\')
        };
        if key.split('/').all(fits) && !is_store_staging_name(&key) {
            Ok(Self(key))
        } else {
            Err(KeyError::ObjectKey(key))
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a pack's (not its index's).
    pub fn is_pack(&self) -> bool {
        matches!(StoredObject::parse(self), Ok(StoredObject::Pack(_)))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `object_store` would name a local file so while it writes it: `name#7`.
pub(crate) fn is_store_staging_name(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Name of a pack: the SHA-256 of all that its bytes are a function of (content version, files,
/// codec settings), known before the pack exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackKey([u8; 32]);

impl PackKey {
    /// The key of the pack that `description` determines.
    pub fn of(description: &[u8]) -> Self {
        Self(Sha256::digest(description).into())
    }

    /// A key from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Where the pack lies.
    pub fn pack(&self) -> ObjectKey {
        StoredObject::Pack(*self).key()
    }

    /// Where the pack's index lies.
    pub fn index(&self) -> ObjectKey {
        StoredObject::Index(*self).key()
    }
}

impl fmt::Display for PackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackKey({self})")
    }
}

impl FromStr for PackKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(KeyError::PackKey(text.to_owned())),
        }
    }
}

/// Name of a build, as the coordinator gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(String);

impl BuildId {
    /// What the pin of a build is called, in its folder.
    pub(crate) const PIN: &str = "pin";

    /// What the build may use: see [`crate::gc`].
    pub fn pin(&self) -> ObjectKey {
        ObjectKey(format!("builds/{self}/{}", Self::PIN))
    }

    /// Checks that `id` can be a folder name in every kind of store.
    pub fn new(id: impl Into<String>) -> Result<Self, KeyError> {
        let id = id.into();
        let first = id.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if first && rest && id.len() <= 64 { Ok(Self(id)) } else { Err(KeyError::BuildId(id)) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the glue of the build's volume `volume` (from 1) lies.
    pub fn glue(&self, volume: u32) -> ObjectKey {
        StoredObject::Glue(self.clone(), volume).key()
    }

    /// Where the recipe of the build's volume `volume` (from 1) lies.
    pub fn recipe(&self, volume: u32) -> ObjectKey {
        StoredObject::Recipe(self.clone(), volume).key()
    }

    /// What the keys of all objects of the build begin with.
    pub fn folder(&self) -> String {
        format!("builds/{self}")
    }

    /// Where the build's placements lie.
    pub fn placements(&self) -> ObjectKey {
        StoredObject::Placements(self.clone()).key()
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BuildId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

/// Every kind of object that the store holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoredObject {
    /// WIM resources back to back.
    Pack(PackKey),
    /// What is in the pack; present means that the pack is complete.
    Index(PackKey),
    /// The bytes of a medium's volume (from 1) that come from no pack copy.
    Glue(BuildId, u32),
    /// What goes where in a medium's volume (from 1).
    Recipe(BuildId, u32),
    /// Which files go where in the volume.
    Placements(BuildId),
}

impl StoredObject {
    /// Where the object lies.
    pub fn key(&self) -> ObjectKey {
        ObjectKey(match self {
            Self::Pack(pack) => pack_path(pack, "pack"),
            Self::Index(pack) => pack_path(pack, "index"),
            Self::Glue(build, volume) => format!("builds/{build}/glue.{volume}"),
            Self::Recipe(build, volume) => format!("builds/{build}/recipe.{volume}"),
            Self::Placements(build) => format!("builds/{build}/placements"),
        })
    }

    /// The object that lies at `key`; the inverse of [`StoredObject::key`].
    pub fn parse(key: &ObjectKey) -> Result<Self, KeyError> {
        let unknown = || KeyError::Unknown(key.as_str().to_owned());
        let names: Vec<&str> = key.as_str().split('/').collect();
        let object = match names[..] {
            ["packs", _, file] => match file.split_once('.') {
                Some((pack, "pack")) => Self::Pack(pack.parse()?),
                Some((pack, "index")) => Self::Index(pack.parse()?),
                _ => return Err(unknown()),
            },
            ["builds", build, "placements"] => Self::Placements(build.parse()?),
            ["builds", build, file] => {
                let (kind, volume) = file.split_once('.').ok_or_else(unknown)?;
                let volume = volume.parse().map_err(|_| unknown())?;
                match kind {
                    "glue" => Self::Glue(build.parse()?, volume),
                    "recipe" => Self::Recipe(build.parse()?, volume),
                    _ => return Err(unknown()),
                }
            }
            _ => return Err(unknown()),
        };
        // A pack in the wrong folder would never be found again.
        if object.key() == *key { Ok(object) } else { Err(unknown()) }
    }
}

/// Two digits of the key as a folder keep folders small where folders are real.
fn pack_path(pack: &PackKey, kind: &str) -> String {
    let key = pack.to_string();
    format!("packs/{}/{key}.{kind}", &key[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind() -> Vec<StoredObject> {
        let pack = PackKey::of(b"PS100012.3 lzx");
        let build = BuildId::new("b-42").unwrap();
        vec![
            StoredObject::Pack(pack),
            StoredObject::Index(pack),
            StoredObject::Glue(build.clone(), 1),
            StoredObject::Recipe(build.clone(), 27),
            StoredObject::Placements(build),
        ]
    }

    #[test]
    fn every_kind_of_object_is_found_again_by_its_key() {
        for object in every_kind() {
            assert_eq!(StoredObject::parse(&object.key()), Ok(object.clone()));
            assert_eq!(ObjectKey::new(object.key().as_str()), Ok(object.key()));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let key = PackKey::from_bytes([0xab; 32]);
        let hex = "ab".repeat(32);
        assert_eq!(key.pack().as_str(), format!("packs/ab/{hex}.pack"));
        assert_eq!(key.index().as_str(), format!("packs/ab/{hex}.index"));
        let build = BuildId::new("7").unwrap();
        assert_eq!(build.glue(1).as_str(), "builds/7/glue.1");
        assert_eq!(build.recipe(2).as_str(), "builds/7/recipe.2");
        assert_eq!(build.placements().as_str(), "builds/7/placements");
    }

    #[test]
    fn strangers_are_refused() {
        let hex = "ab".repeat(32);
        for key in [
            format!("packs/cd/{hex}.pack"),
            format!("packs/ab/{hex}.tmp"),
            "builds/7/else".into(),
            "builds/7/glue".into(),
            "builds/7/glue.01".into(),
            "packs/ab/short.pack".into(),
        ] {
            assert!(StoredObject::parse(&ObjectKey::new(key).unwrap()).is_err());
        }
        for key in ["", "/a", "a//b", "a/../b", ".", "a\nb", "a#7"] {
            assert!(ObjectKey::new(key).is_err(), "{key:?}");
        }
        for id in ["", "../x", "a/b", "-a", &"a".repeat(65)] {
            assert!(BuildId::new(id).is_err(), "{id:?}");
        }
        assert!("AB".repeat(32).parse::<PackKey>().is_err());
    }
}
