//! The composer that programs use: it takes the way that the output's address asks for.

use std::fmt;

use async_trait::async_trait;

use super::error::ComposeError;
use super::s3::S3Composer;
use super::token::OpenUpload;
use super::{Compose, Part, PartRules, Receipt, UploadToken, check_parts, local};
use crate::location::ObjectUrl;
use crate::objects::Objects;
use crate::options::StoreOptions;

/// Composes outputs in local folders and in S3 buckets, from packs in either.
pub struct Composer {
    s3: S3Composer,
}

impl Composer {
    /// A composer with the given settings.
    pub fn new(options: StoreOptions) -> Self {
        Self { s3: S3Composer::new(options) }
    }
}

impl fmt::Debug for Composer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composer")
    }
}

#[async_trait]
impl Compose for Composer {
    fn part_rules(&self, dst: &ObjectUrl, from: &Objects) -> PartRules {
        match dst {
            ObjectUrl::Local(_) => local::PART_RULES,
            ObjectUrl::S3 { .. } => self.s3.part_rules(from),
        }
    }

    async fn begin(&self, dst: &ObjectUrl, total_bytes: u64) -> Result<UploadToken, ComposeError> {
        let name = dst.name()?.to_owned();
        let upload = match dst {
            ObjectUrl::Local(target) => {
                OpenUpload::Local(local::begin(target.clone(), name, total_bytes).await?)
            }
            ObjectUrl::S3 { bucket, key } => {
                OpenUpload::S3(self.s3.begin(bucket, key, total_bytes).await?)
            }
        };
        upload.token()
    }

    async fn place(&self, token: &UploadToken, part: &Part) -> Result<Receipt, ComposeError> {
        let upload = OpenUpload::parse(token)?;
        upload.check(part)?;
        match upload {
            OpenUpload::Local(upload) => local::place(upload, part).await,
            OpenUpload::S3(upload) => self.s3.place(&upload, part).await,
        }
    }

    async fn settle(&self, token: &UploadToken) -> Result<(), ComposeError> {
        match OpenUpload::parse(token)? {
            OpenUpload::Local(upload) => local::settle(upload).await,
            // A bucket answers when a part is safe.
            OpenUpload::S3(_) => Ok(()),
        }
    }

    async fn finish(
        &self,
        token: &UploadToken,
        parts: &[(Part, Receipt)],
    ) -> Result<(), ComposeError> {
        let upload = OpenUpload::parse(token)?;
        check_parts(upload.total(), parts)?;
        match upload {
            OpenUpload::Local(upload) => local::finish(upload, parts).await,
            OpenUpload::S3(upload) => self.s3.finish(&upload, parts).await,
        }
    }

    async fn abort(&self, token: &UploadToken) -> Result<(), ComposeError> {
        match OpenUpload::parse(token)? {
            OpenUpload::Local(upload) => local::abort(upload).await,
            OpenUpload::S3(upload) => self.s3.abort(&upload).await,
        }
    }
}
