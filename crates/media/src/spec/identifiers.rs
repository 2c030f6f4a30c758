//! Identifiers of things at the site.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text is not the identifier that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Not a package ID.
    #[error(
        "\"{text}\" is not a package ID: three characters of the site code and five hexadecimal digits, like PS100012"
    )]
    Package {
        /// What was given.
        text: String,
    },
    /// Not an application ID.
    #[error(
        "\"{text}\" is not an application's model name: it looks like ScopeId_<guid>/Application_<guid>, without a revision"
    )]
    Application {
        /// What was given.
        text: String,
    },
}

/// A package ID such as `PS100012`: a package, driver package, OS image, boot image or task
/// sequence. Kept in upper case, accepted in any.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9]{3}[0-9A-Fa-f]{5}$"))]
pub struct PackageId(String);

impl PackageId {
    /// The ID in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let is_id = text.len() == 8
            && text.bytes().take(3).all(|b| b.is_ascii_alphanumeric())
            && text.bytes().skip(3).all(|b| b.is_ascii_hexdigit());
        if !is_id {
            return Err(IdentifierError::Package { text: text.to_owned() });
        }
        Ok(Self(text.to_ascii_uppercase()))
    }
}

/// An application's model name, `ScopeId_<guid>/Application_<guid>`: the newest revision of it.
///
/// The parts after the prefixes are usually GUIDs, but the SDK lets programs choose others.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^ScopeId_[A-Za-z0-9._-]+/Application_[A-Za-z0-9._-]+$"))]
pub struct ApplicationId(String);

impl ApplicationId {
    /// The model name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApplicationId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let parts = text
            .strip_prefix("ScopeId_")
            .and_then(|rest| rest.split_once("/Application_"))
            .filter(|(scope, name)| is_part(scope) && is_part(name));
        match parts {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(IdentifierError::Application { text: text.to_owned() }),
        }
    }
}

macro_rules! text_conversions {
    ($type:ty, $error:ty) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(super) use text_conversions;

text_conversions!(PackageId, IdentifierError);
text_conversions!(ApplicationId, IdentifierError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids_are_normalised_to_upper_case() {
        assert_eq!("ps1000aF".parse::<PackageId>().unwrap().as_str(), "PS1000AF");
        assert_eq!("00100012".parse::<PackageId>().unwrap().as_str(), "00100012");
    }

    #[test]
    fn what_is_no_package_id_is_refused() {
        for text in ["", "PS10001", "PS1000123", "PS1-0012", "PS1000GG", "PS100012.3", "ÄS10001"] {
            assert!(text.parse::<PackageId>().is_err(), "{text}");
        }
    }

    #[test]
    fn application_ids_have_two_parts_and_no_revision() {
        let id = "ScopeId_0A1B/Application_96736260-a934";
        assert_eq!(id.parse::<ApplicationId>().unwrap().as_str(), id);
        for text in ["", "ScopeId_/Application_a", "ScopeId_a/Application_", "Application_a"] {
            assert!(text.parse::<ApplicationId>().is_err(), "{text}");
        }
        assert!("ScopeId_a/Application_b/3".parse::<ApplicationId>().is_err());
    }
}
