//! What an upload token says.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cloud::{MARKER_SUFFIX, OPEN_FOLDER};
use super::error::ComposeError;
use super::{Part, UploadToken};
use crate::keys::{KeyError, ObjectKey};
use crate::location::{Cloud, ObjectUrl};

/// End of the hidden file's name.
pub(super) const PARTIAL_SUFFIX: &str = ".partial";

/// An open composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum OpenUpload {
    Local(LocalUpload),
    Cloud(CloudUpload),
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

/// A composition in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CloudUpload {
    pub cloud: Cloud,
    pub bucket: String,
    pub key: String,
    pub total: u64,
    /// 32 hexadecimal digits that no other composition has.
    pub id: String,
    /// S3's own id of the multipart upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
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
            Self::Cloud(cloud) if !CloudUpload::is_id(&cloud.id) => {
                Err(ComposeError::Token { problem: "its id is not a composition's".to_owned() })
            }
            _ => Ok(upload),
        }
    }

    pub fn total(&self) -> u64 {
        match self {
            Self::Local(upload) => upload.total,
            Self::Cloud(upload) => upload.total,
        }
    }

    pub fn dst(&self) -> ObjectUrl {
        match self {
            Self::Local(upload) => ObjectUrl::Local(upload.target.clone()),
            Self::Cloud(upload) => upload.dst(),
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

impl CloudUpload {
    /// The id of the composition of `dst` that a lease opens.
    pub fn id_under(lease: &str, dst: &ObjectUrl) -> String {
        let digest = Sha256::digest(format!("{lease}\n{dst}"));
        hex::encode(&digest[..16])
    }

    /// Whether a text may be an id: it becomes part of names.
    pub fn is_id(text: &str) -> bool {
        text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    pub fn dst(&self) -> ObjectUrl {
        let Self { cloud, bucket, key, .. } = self.clone();
        ObjectUrl::Bucket { cloud, bucket, key }
    }

    pub fn bucket_url(&self) -> ObjectUrl {
        let Self { cloud, bucket, .. } = self.clone();
        ObjectUrl::Bucket { cloud, bucket, key: String::new() }
    }

    /// The object that is there while the composition is open.
    pub fn marker(&self) -> Result<ObjectKey, KeyError> {
        ObjectKey::new(format!("{}{MARKER_SUFFIX}", self.open_folder()))
    }

    /// Its address.
    pub fn marker_url(&self) -> Result<ObjectUrl, KeyError> {
        Ok(self.bucket_url().join(self.marker()?.as_str()))
    }

    /// Where parts lie as objects, in stores that take them so.
    pub fn open_folder(&self) -> String {
        let parent = self.key.rsplit_once('/').map(|(parent, _)| format!("{parent}/"));
        format!("{}{OPEN_FOLDER}/{}", parent.unwrap_or_default(), self.id)
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
        let upload = cloud("0123456789abcdef0123456789abcdef");
        let token = OpenUpload::Cloud(upload.clone()).token().unwrap();
        assert_eq!(OpenUpload::parse(&token).unwrap(), OpenUpload::Cloud(upload));
        let strange = UploadToken::from("{}".to_owned());
        assert!(matches!(OpenUpload::parse(&strange), Err(ComposeError::Token { .. })));
    }

    #[test]
    fn a_lease_says_the_id_of_each_output() {
        let id =
            |lease: &str, dst: &str| CloudUpload::id_under(lease, &ObjectUrl::parse(dst).unwrap());
        let (one, two) = ("az://media/w.swm", "az://media/w2.swm");
        assert_eq!(id("b/assemble 1", one), id("b/assemble 1", one));
        assert_ne!(id("b/assemble 1", one), id("b/assemble 1", two));
        assert_ne!(id("b/assemble 1", one), id("b/assemble 2", one));
        assert!(CloudUpload::is_id(&id("b/assemble 1", one)));
        let marker = UploadToken::marker_under("b/assemble 1", &ObjectUrl::parse(one).unwrap());
        let mut upload = cloud(&id("b/assemble 1", one));
        (upload.cloud, upload.key) = (Cloud::Azure, "w.swm".into());
        let token = OpenUpload::Cloud(upload).token().unwrap();
        assert_eq!(token.marker().unwrap(), marker);
        let folder = ObjectUrl::Local("/out/w.wim".into());
        assert_eq!(UploadToken::marker_under("b/assemble 1", &folder), None);
    }

    #[test]
    fn what_belongs_to_a_composition_lies_beside_its_output() {
        let mut upload = cloud("0123456789abcdef0123456789abcdef");
        let name = ".prestage/0123456789abcdef0123456789abcdef";
        assert_eq!(upload.marker().unwrap().as_str(), format!("a b/{name}.open"));
        upload.key = "w.wim".into();
        assert_eq!(upload.open_folder(), name);
    }

    #[test]
    fn an_id_that_would_lead_elsewhere_is_refused() {
        for id in ["", "../../0123456789abcdef0123456789", "0123456789abcdef0123456789abcdef0"] {
            let token = OpenUpload::Cloud(cloud(id)).token().unwrap();
            assert!(OpenUpload::parse(&token).is_err(), "{id}");
        }
    }

    fn cloud(id: &str) -> CloudUpload {
        CloudUpload {
            cloud: Cloud::S3,
            bucket: "media".into(),
            key: "a b/w.wim".into(),
            total: 7,
            id: id.into(),
            upload: Some("its".into()),
        }
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
