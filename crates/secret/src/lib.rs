//! Values that must never be seen, and where they come from.
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A password fits in a line; whatever is larger is the wrong file.
const LARGEST_SECRET_BYTES: u64 = 64 * 1024;

/// Secret text. It has no `Debug`, no `Display` and no `Serialize`, so that whatever holds one can't
/// show it by accident, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call is a place where it might leak: keep what comes out local.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

/// Secret bytes (a PKCS#12), with the same promises as [`Secret`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretBytes {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

/// Where a secret is read from. The spec holds this, never the secret itself.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// The environment variable of this name.
    Env(String),
    /// The file at this path, UTF-8; one line end at its end does not count.
    File(PathBuf),
}

/// A secret could not be read. The message never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error(
        "the environment variable {name} is not set: set it before this command runs, or name a file instead ({{ file = \"…\" }})"
    )]
    NotSet {
        /// Name of the variable.
        name: String,
    },
    /// The file cannot be read.
    #[error(
        "the secret file {path} cannot be read ({source}): check that it exists and that this account may read it"
    )]
    File {
        /// Path of the file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is something, but it is nothing.
    #[error("{place} is empty: put the secret there, or leave the key out of the spec")]
    Empty {
        /// The variable or file.
        place: String,
    },
    /// The value is not text.
    #[error("{place} is not UTF-8 text: save it as UTF-8 without a byte order mark")]
    NotText {
        /// The variable or file.
        place: String,
    },
    /// The file is far too large to be a password.
    #[error("{place} is larger than {limit} bytes: it is not the file of a secret")]
    TooLarge {
        /// The file.
        place: String,
        /// The largest size accepted, in bytes.
        limit: u64,
    },
}

impl SecretSource {
    /// Reads the secret from this process's environment or from the file.
    ///
    /// # Errors
    /// [`SecretError`] when there is none, or it is empty, too large or not text.
    pub fn read(&self) -> Result<Secret, SecretError> {
        self.read_from(|name| std::env::var_os(name))
    }

    /// The same with an environment of the caller's.
    ///
    /// # Errors
    /// As [`SecretSource::read`].
    pub fn read_from(
        &self,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Secret, SecretError> {
        let place = self.to_string();
        let secret = match self {
            Self::Env(name) => environment(name)
                .ok_or_else(|| SecretError::NotSet { name: name.clone() })?
                .into_string()
                .map_err(|_| SecretError::NotText { place: place.clone() })?,
            Self::File(path) => read_file(path, &place)?,
        };
        if secret.is_empty() {
            return Err(SecretError::Empty { place });
        }
        Ok(Secret::new(secret))
    }

    /// The same source with a relative file path taken from `folder` (that of the spec), so that a
    /// spec means the same wherever the command is started.
    #[must_use]
    pub fn resolved_against(self, folder: &Path) -> Self {
        match self {
            Self::File(path) if path.is_relative() => Self::File(folder.join(path)),
            other => other,
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

fn read_file(path: &Path, place: &str) -> Result<String, SecretError> {
    let failed = |source| SecretError::File { path: path.display().to_string(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_SECRET_BYTES {
        return Err(SecretError::TooLarge { place: place.to_owned(), limit: LARGEST_SECRET_BYTES });
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| SecretError::NotText { place: place.to_owned() })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, bytes).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn only_the_last_line_end_of_a_file_is_dropped() {
        for (bytes, expected) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret", "s3cret"),
            (" s3cret \n\n", " s3cret \n"),
        ] {
            let (_folder, source) = file(bytes.as_bytes());
            assert_eq!(source.read().unwrap().expose(), expected);
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let source = SecretSource::Env("MEDIA_PASSWORD".into());
        let message = source.read_from(|_| None).map(drop).unwrap_err().to_string();
        assert!(message.contains("MEDIA_PASSWORD is not set"), "{message}");
    }

    #[test]
    fn empty_binary_and_huge_values_are_refused_without_showing_them() {
        let missing = SecretSource::File("/nonexistent/media.pw".into());
        assert!(matches!(missing.read(), Err(SecretError::File { .. })));
        let (_keep, source) = file(b"\n");
        assert!(matches!(source.read(), Err(SecretError::Empty { .. })));
        let (_keep, source) = file(&[0xFF, 0xFE, b'p']);
        assert!(matches!(source.read(), Err(SecretError::NotText { .. })));
        let (_keep, source) = file(&vec![b'x'; 70_000]);
        let message = source.read().map(drop).unwrap_err().to_string();
        assert!(message.contains("larger than 65536 bytes") && !message.contains("xxx"));
    }

    // Whoever gives them one of these finds that out when compiling.
    static_assertions::assert_not_impl_any!(Secret: fmt::Debug, fmt::Display, Serialize);
    static_assertions::assert_not_impl_any!(SecretBytes: fmt::Debug, fmt::Display, Serialize);

    #[test]
    fn relative_files_belong_to_the_folder_of_the_spec() {
        let source = SecretSource::File("media.pw".into()).resolved_against(Path::new("/specs"));
        assert_eq!(source, SecretSource::File("/specs/media.pw".into()));
        let source = SecretSource::File("/run/media.pw".into()).resolved_against(Path::new("/x"));
        assert_eq!(source, SecretSource::File("/run/media.pw".into()));
    }
}
