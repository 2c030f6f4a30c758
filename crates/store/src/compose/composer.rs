//! The composer that programs use: it takes the way that the output's address asks for.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use uuid::Uuid;

use super::azure::{self, AzureParts};
use super::cloud::{Buckets, InPlace, Output, PartStore};
use super::error::ComposeError;
use super::google::{self, GoogleParts};
use super::reap::{Kept, leftovers};
use super::receipt::{MarkedPart, PartMark, PlacedPart};
use super::s3::S3Parts;
use super::token::{CloudUpload, OpenUpload};
use super::{Compose, Part, PartRules, Placed, Reaped, Receipt, UploadToken, check_parts, local};
use crate::location::{Cloud, ObjectUrl};
use crate::objects::{Objects, StoreKind};
use crate::options::StoreOptions;

/// What a folder calls every part: it knows them by their ranges alone.
const IN_FILE: &str = "file";
/// Pause before a request that failed is sent again. The next ones double, up to some seconds each: a server that
/// starts again is waited for.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PAUSES: usize = 10;

/// Composes outputs in local folders and in buckets, from packs in either.
pub struct Composer {
    /// Which lease it works for: see [`Composer::under`].
    lease: Option<String>,
    buckets: Buckets,
    s3: S3Parts,
    azure: AzureParts,
    google: GoogleParts,
    longest_pause: Duration,
}

impl Composer {
    /// A composer with the given settings.
    pub fn new(options: StoreOptions) -> Self {
        Self {
            s3: S3Parts::new(&options),
            azure: AzureParts::default(),
            google: GoogleParts::default(),
            longest_pause: options.longest_pause(),
            buckets: Buckets::new(options),
            lease: None,
        }
    }

    /// The same for a lease (its name, which no other has): the ids of its compositions in Azure follow from
    /// that, so that whoever lends access, object by object, knows what they will be. A lease opens one
    /// composition of an output.
    #[must_use]
    pub fn under(self, lease: String) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Gives up uploads of packs and glue that killed workers left open in `objects` longer ago than
    /// `older_than`; gives how many. Only S3 keeps them for ever and can list them: Azure forgets
    /// blocks after a week, a folder is scrubbed.
    pub async fn reap_uploads(
        &self,
        objects: &Objects,
        older_than: Duration,
        now: SystemTime,
    ) -> Result<u64, ComposeError> {
        match objects.kind() {
            StoreKind::S3 { client, .. } => {
                self.s3.give_up_uploads(client, objects, older_than, now).await
            }
            _ => Ok(0),
        }
    }

    /// Gives up uploads of an output and its volumes that nobody knows of, as [`Compose::reap`] does: their worker
    /// was killed, or an answer was lost, before they had their mark. Gives how many; on S3, for the same reason.
    pub async fn reap_output(
        &self,
        output: &ObjectUrl,
        live: &[UploadToken],
        older_than: Duration,
        now: SystemTime,
    ) -> Result<u64, ComposeError> {
        let ObjectUrl::Bucket { cloud: Cloud::S3, bucket, .. } = output else {
            return Ok(0);
        };
        let bucket = self.buckets.bucket(Cloud::S3, bucket).await?;
        self.s3.give_up_output(&bucket, output, &Kept::new(live, older_than, now)).await
    }

    fn parts(&self, cloud: Cloud) -> &dyn PartStore {
        match cloud {
            Cloud::S3 => &self.s3,
            Cloud::Azure => &self.azure,
            Cloud::Google => &self.google,
        }
    }

    async fn begin_in_cloud(&self, upload: CloudUpload) -> Result<UploadToken, ComposeError> {
        let mut output = self.buckets.output(upload).await?;
        let parts = self.parts(output.upload.cloud);
        output.upload.upload = parts.open(&output).await?;
        let token = OpenUpload::Cloud(output.upload.clone()).token()?;
        if let Err(error) = output.mark(&token).await {
            // What can't be found again must not stay; the first error is the one to tell.
            let _ = parts.discard(&output).await;
            return Err(error);
        }
        Ok(token)
    }

    async fn place_in_cloud(
        &self,
        upload: CloudUpload,
        part: &MarkedPart<'_>,
    ) -> Result<InPlace, ComposeError> {
        let output = self.buckets.output(upload).await?;
        let place = || self.parts(output.upload.cloud).place(&output, part);
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_jitter();
        let pauses = pauses.with_max_delay(self.longest_pause).with_max_times(PAUSES);
        place.retry(pauses).when(ComposeError::is_worth_repeating).await
    }

    async fn finish_in_cloud(
        &self,
        upload: CloudUpload,
        placed: &[PlacedPart<'_>],
    ) -> Result<(), ComposeError> {
        let output = self.buckets.output(upload).await?;
        if !output.is_finished().await? {
            let committed = self.parts(output.upload.cloud).commit(&output, placed).await;
            // The answer may have been lost, or another process was quicker.
            if committed.is_err() && !output.is_finished().await? {
                return committed;
            }
        }
        self.clear(&output).await
    }

    /// Parts first: as long as the marker is there, this can be found and done again.
    async fn clear(&self, output: &Output) -> Result<(), ComposeError> {
        self.parts(output.upload.cloud).discard(output).await?;
        output.unmark().await
    }

    async fn reap_in_cloud(
        &self,
        bucket: &Objects,
        folder: &str,
        kept: &Kept,
    ) -> Result<Reaped, ComposeError> {
        let found = leftovers(bucket, folder, kept).await?;
        let mut reaped = Reaped::default();
        for upload in found.uploads {
            let output = self.buckets.output(upload).await?;
            self.clear(&output).await?;
            tracing::info!(output = output.url(), "gave up an abandoned composition");
            reaped.compositions += 1;
        }
        for key in found.objects {
            bucket.delete(&key).await?;
            reaped.objects += 1;
        }
        Ok(reaped)
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
            ObjectUrl::Bucket { cloud: Cloud::S3, .. } => self.s3.part_rules(from),
            ObjectUrl::Bucket { cloud: Cloud::Azure, .. } => azure::PART_RULES,
            ObjectUrl::Bucket { cloud: Cloud::Google, .. } => google::PART_RULES,
        }
    }

    #[tracing::instrument(name = "store compose begin", skip_all, fields(medium = %dst, bytes = total_bytes))]
    async fn begin(&self, dst: &ObjectUrl, total_bytes: u64) -> Result<UploadToken, ComposeError> {
        let name = dst.name()?.to_owned();
        match dst {
            ObjectUrl::Local(target) => {
                let upload = local::begin(target.clone(), name, total_bytes).await?;
                OpenUpload::Local(upload).token()
            }
            ObjectUrl::Bucket { cloud, bucket, key } => {
                let id = match &self.lease {
                    Some(lease) if *cloud == Cloud::Azure => CloudUpload::id_under(lease, dst),
                    _ => Uuid::new_v4().simple().to_string(),
                };
                let (cloud, bucket, key) = (*cloud, bucket.clone(), key.clone());
                let total = total_bytes;
                let upload = CloudUpload { cloud, bucket, key, total, id, upload: None };
                self.begin_in_cloud(upload).await
            }
        }
    }

    #[tracing::instrument(name = "store compose part", skip_all, fields(part = part.number))]
    async fn place(&self, token: &UploadToken, part: &Part) -> Result<Placed, ComposeError> {
        let upload = OpenUpload::parse(token)?;
        upload.check(part)?;
        let marked = MarkedPart::new(token, part);
        let (tag, copied) = match upload {
            OpenUpload::Local(upload) => (IN_FILE.to_owned(), local::place(upload, part).await?),
            OpenUpload::Cloud(upload) => match self.place_in_cloud(upload, &marked).await? {
                InPlace::Copied(tag) => (tag, part.len),
                InPlace::Sent(tag) => (tag, 0),
            },
        };
        Ok(Placed { receipt: marked.mark.receipt(&tag), copied })
    }

    async fn placed(
        &self,
        token: &UploadToken,
        parts: &[Part],
    ) -> Result<Vec<Option<Receipt>>, ComposeError> {
        let OpenUpload::Cloud(upload) = OpenUpload::parse(token)? else {
            return Ok(vec![None; parts.len()]);
        };
        let output = self.buckets.output(upload).await?;
        let marked: Vec<_> = parts.iter().map(|part| MarkedPart::new(token, part)).collect();
        let tags = self.parts(output.upload.cloud).placed(&output, &marked).await?;
        let receipt =
            |(part, tag): (&MarkedPart<'_>, Option<String>)| tag.map(|tag| part.mark.receipt(&tag));
        Ok(marked.iter().zip(tags).map(receipt).collect())
    }

    async fn settle(&self, token: &UploadToken) -> Result<(), ComposeError> {
        match OpenUpload::parse(token)? {
            OpenUpload::Local(upload) => local::settle(upload).await,
            // A bucket answers when a part is safe.
            OpenUpload::Cloud(_) => Ok(()),
        }
    }

    #[tracing::instrument(name = "store compose finish", skip_all)]
    async fn finish(
        &self,
        token: &UploadToken,
        parts: &[(Part, Receipt)],
    ) -> Result<(), ComposeError> {
        let upload = OpenUpload::parse(token)?;
        check_parts(upload.total(), parts)?;
        let placed = |(part, receipt)| {
            let mark = PartMark::of(token, part);
            let number = part.number;
            let tag = mark.tag(receipt).ok_or(ComposeError::Receipt { number })?;
            Ok(PlacedPart { part, mark, tag })
        };
        let placed = parts.iter().map(|(part, receipt)| placed((part, receipt)));
        let placed: Vec<_> = placed.collect::<Result<_, ComposeError>>()?;
        match upload {
            OpenUpload::Local(upload) => local::finish(upload).await,
            OpenUpload::Cloud(upload) => self.finish_in_cloud(upload, &placed).await,
        }
    }

    async fn abort(&self, token: &UploadToken) -> Result<(), ComposeError> {
        match OpenUpload::parse(token)? {
            OpenUpload::Local(upload) => local::abort(upload).await,
            OpenUpload::Cloud(upload) => self.clear(&self.buckets.output(upload).await?).await,
        }
    }

    async fn reap(
        &self,
        folder: &ObjectUrl,
        live: &[UploadToken],
        older_than: Duration,
        now: SystemTime,
    ) -> Result<Reaped, ComposeError> {
        match folder {
            ObjectUrl::Local(folder) => local::reap(folder.clone(), live, older_than, now).await,
            ObjectUrl::Bucket { cloud, bucket, key } => {
                let bucket = self.buckets.bucket(*cloud, bucket).await?;
                self.reap_in_cloud(&bucket, key, &Kept::new(live, older_than, now)).await
            }
        }
    }
}
