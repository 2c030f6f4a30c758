//! What an upload token says.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ComposeError;
use super::{Part, UploadToken};
use crate::location::ObjectUrl;

/// End of the hidden file's name.
pub(super) const PARTIAL_SUFFIX: &str = ".partial";

/// An open composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum OpenUpload {
    Local(LocalUpload),
    S3(S3Upload),
}

/// A hidden file beside the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalUpload {
    pub partial: PathBuf,
    pub target: PathBuf,
    pub total: u64,
    /// Tells the file after it was renamed, when the answer to that was lost.
    pub device: u64,
    pub inode: u64,
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct S3Upload {
    pub bucket: String,
    pub key: String,
    pub upload: String,
    pub total: u64,
    /// What was under the key at the beginning (tag and time), to tell it from the new object.
    pub before: Option<String>,
}

impl OpenUpload {
    pub fn token(&self) -> Result<UploadToken, ComposeError> {
        let text = serde_json::to_string(self).map_err(unreadable)?;
        Ok(UploadToken(text))
    }

    pub fn parse(token: &UploadToken) -> Result<Self, ComposeError> {
        let upload: Self = serde_json::from_str(token.as_str()).map_err(unreadable)?;
        match &upload {
            Self::Local(local) if !local.is_ours() => Err(ComposeError::Token {
                problem: "its file is not one that Prestage makes".to_owned(),
            }),
            _ => Ok(upload),
        }
    }

    pub fn total(&self) -> u64 {
        match self {
            Self::Local(upload) => upload.total,
            Self::S3(upload) => upload.total,
        }
    }

    pub fn dst(&self) -> ObjectUrl {
        match self {
            Self::Local(upload) => ObjectUrl::Local(upload.target.clone()),
            Self::S3(upload) => upload.dst(),
        }
    }

    /// Checks that the part lies inside the output.
    pub fn check(&self, part: &Part) -> Result<(), ComposeError> {
        let end = part.dst_offset.saturating_add(part.len);
        if end <= self.total() && part.len > 0 {
            return Ok(());
        }
        Err(ComposeError::Beyond {
            number: part.number,
            end,
            total: self.total(),
            dst: self.dst().to_string(),
        })
    }
}

impl LocalUpload {
    /// A token comes from another process; it must not make this one write or remove just any file.
    fn is_ours(&self) -> bool {
        let name = self.partial.file_name().and_then(|name| name.to_str());
        let hidden =
            name.is_some_and(|name| name.starts_with('.') && name.ends_with(PARTIAL_SUFFIX));
        hidden && self.partial.parent() == self.target.parent()
    }
}

impl S3Upload {
    pub fn dst(&self) -> ObjectUrl {
        ObjectUrl::S3 { bucket: self.bucket.clone(), key: self.key.clone() }
    }
}

fn unreadable(error: serde_json::Error) -> ComposeError {
    ComposeError::Token { problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_round_trip_and_a_stranger_is_refused() {
        let upload = OpenUpload::S3(S3Upload {
            bucket: "media".into(),
            key: "a b/w.wim".into(),
            upload: "id".into(),
            total: 7,
            before: None,
        });
        assert_eq!(OpenUpload::parse(&upload.token().unwrap()).unwrap(), upload);
        let strange = UploadToken::from("{}".to_owned());
        assert!(matches!(OpenUpload::parse(&strange), Err(ComposeError::Token { .. })));
    }

    #[test]
    fn a_token_for_a_file_that_is_not_ours_is_refused() {
        let parse = |partial: &str| {
            let upload = OpenUpload::Local(LocalUpload {
                partial: partial.into(),
                target: "/out/w.wim".into(),
                total: 7,
                device: 1,
                inode: 2,
            });
            OpenUpload::parse(&upload.token().unwrap())
        };
        assert!(parse("/out/.w.wim.Xy3.partial").is_ok());
        for partial in ["/etc/passwd", "/etc/.x.partial", "/out/w.partial", "/out/.w"] {
            assert!(parse(partial).is_err(), "{partial}");
        }
    }
}
