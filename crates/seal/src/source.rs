//! Where a key-encryption key comes from.

use std::{fmt, path::PathBuf, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    cipher::{Key, key_of},
    error::SealError,
};

const VARIABLE: &str = "env:";
const COMMAND: &str = "command:";

/// Where a key-encryption key comes from, as the setting names it. It is never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file of 32 random bytes.
    File(PathBuf),
    /// An environment variable that holds them in base64: `env:NAME`.
    Variable(String),
    /// A program that keeps a key and does not give it away, with arguments of its own:
    /// `command:PROGRAM ARGS…`.
    Command {
        /// The program.
        program: String,
        /// Its arguments, in front of what it is asked for.
        arguments: Vec<String>,
    },
}

impl FromStr for KeySource {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        let wrong = || SealError::Setting(text.to_owned());
        if let Some(line) = text.strip_prefix(COMMAND) {
            let mut words = line.split_whitespace().map(str::to_owned);
            let program = words.next().ok_or_else(wrong)?;
            return Ok(Self::Command { program, arguments: words.collect() });
        }
        if let Some(name) = text.strip_prefix(VARIABLE) {
            let name = Some(name.trim()).filter(|name| !name.is_empty()).ok_or_else(wrong)?;
            return Ok(Self::Variable(name.to_owned()));
        }
        if text.trim().is_empty() { Err(wrong()) } else { Ok(Self::File(text.into())) }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "{VARIABLE}{name}"),
            // Its arguments are the operator's own; they say nothing to anybody else.
            Self::Command { program, .. } => write!(f, "{COMMAND}{program}"),
        }
    }
}

/// The key that an environment variable holds.
pub(crate) fn key_of_variable(name: &str) -> Result<Key, SealError> {
    let failed = |problem| SealError::KeyVariable { name: name.to_owned(), problem };
    let text = match std::env::var(name) {
        Ok(text) => Zeroizing::new(text),
        Err(std::env::VarError::NotPresent) => return Err(failed("it is not set")),
        Err(std::env::VarError::NotUnicode(_)) => return Err(failed("it is not base64")),
    };
    let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| failed("it is not base64"))?;
    key_of(&bytes).ok_or_else(|| failed("it has another length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_files_variables_and_programs() {
        let source = |text: &str| KeySource::from_str(text).unwrap();
        assert_eq!(source("/etc/seal.key"), KeySource::File("/etc/seal.key".into()));
        assert_eq!(source("env:SEAL"), KeySource::Variable("SEAL".into()));
        let command = source("command:kms-client  --key  alias/prestage");
        let arguments = ["--key", "alias/prestage"].map(str::to_owned).to_vec();
        assert_eq!(command, KeySource::Command { program: "kms-client".into(), arguments });
        assert_eq!(command.to_string(), "command:kms-client");
        for wrong in ["", " ", "env:", "command:", "command:  "] {
            assert!(KeySource::from_str(wrong).is_err(), "'{wrong}'");
        }
    }
}
