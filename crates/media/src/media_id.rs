//! The identity of one medium.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use prestage_secret::Secret;

/// How many characters of the media ID make the password of its PKCS#12
/// (reference: media variables, `_SMSTSMediaPFX`; three independent readers agree).
const PFX_PASSWORD_CHARACTERS: usize = 31;

/// The GUID of one medium: `_SMSMediaGuid`, the client ID that Windows PE shows to the management
/// point, and the key of the certificate's registration record.
///
/// Displays as Configuration Manager writes it: braces, upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaId(Uuid);

impl MediaId {
    /// The medium that this GUID names.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// A version 4 GUID of 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The GUID itself.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The password of the PKCS#12 in `_SMSTSMediaPFX`: the first 31 characters of the ID as it is
    /// written in `_SMSMediaGuid`, opening brace included. Windows PE derives the same. It protects
    /// nothing from someone who can read the variables; the media password has to.
    #[must_use]
    pub fn pfx_password(self) -> Secret {
        let text = Zeroizing::new(self.to_string());
        Secret::new(text.chars().take(PFX_PASSWORD_CHARACTERS).collect())
    }
}

impl FromStr for MediaId {
    type Err = uuid::Error;

    /// From a GUID, with or without braces.
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.trim().parse().map(Self::new)
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{:X}}}", self.0.as_hyphenated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pfx_password_is_the_first_31_characters_with_the_brace() {
        let id = MediaId::new("affba0f7-65c6-4743-99b0-99af62d01234".parse().unwrap());
        assert_eq!(id.to_string(), "{AFFBA0F7-65C6-4743-99B0-99AF62D01234}");
        assert_eq!(id.pfx_password().expose(), "{AFFBA0F7-65C6-4743-99B0-99AF62");
    }

    #[test]
    fn random_bytes_make_a_version_4_guid() {
        let id = MediaId::from_random([0xFF; 16]);
        assert_eq!(id.uuid().get_version_num(), 4);
        assert_eq!(id, MediaId::from_random([0xFF; 16]));
    }
}
