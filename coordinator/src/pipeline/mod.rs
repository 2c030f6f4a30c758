//! What a media build consists of: the tasks it begins with, and those that follow from results.

mod answers;
mod encode_tasks;
mod first_tasks;
mod manifest;
mod merge_tasks;
mod placements;
mod report;
mod scope;
mod second_opinion;
mod seen;
mod unchanged;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use prestage_configmgr::content_library::ContentListing;
use prestage_media::{
    SecretBytes,
    build_log::{self, LogEntry},
};
use prestage_proto::v1;
use prestage_seal::{KeyRing, SealError};
use prestage_shares::Shares;
use prestage_store::{
    BuildId, Compose, Composer, ObjectKey, ObjectUrl, Objects, PackKey, PutRule, StoreError,
    StoreOptions, UploadToken,
    compose::{ComposeError, Reaped},
    gc::{Collected, Collection, GarbagePolicy, Pin, wait_for_collectors},
    keys::KeyError,
    pack::PackReadError,
    quarantine::Doubt,
    whole::with_digest,
};
use prost::Message;
use time::OffsetDateTime;
use tokio_stream::StreamExt;

use crate::{
    audit::{Audit, Who},
    plan::{BuildPlan, ListingError, PlanError, RewrapError, rewrap_plan, variables_context},
    records::NewTask,
    state::StateError,
};

pub use answers::{NotAsked, check_answer};
pub use merge_tasks::{FollowUp, Results, assembled};
pub use scope::{Borrower, packs_wanted, scope_of};
pub use second_opinion::{opinion_key, opinion_on};

use first_tasks::{first_tasks, listing_keys, pack_keys, pinned_listings};
use manifest::{MANIFEST_SUFFIX, Manifest};
use placements::inline_files;
use report::{ContentBytes, report_json};
use second_opinion::SecondOpinion;
use unchanged::unchanged_medium;

/// Compositions that nobody here knows of are left alone for so long: they may be another
/// coordinator's, and no merge takes a day.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What a medium's name is followed by in its log's.
const LOG_SUFFIX: &str = ".log";

/// The pipeline of prestaged media over one object store.
pub struct MediaPipeline {
    objects: Objects,
    composer: Arc<Composer>,
    /// How the stores of outputs are reached.
    store_options: StoreOptions,
    keys: Arc<KeyRing>,
    audit: Audit,
    /// Calls into the shares of distribution points.
    shares: Shares,
    /// Whether large files are encoded by several workers.
    shares_files: bool,
    /// What is kept without anybody's asking; none for everything.
    garbage: Option<GarbagePolicy>,
    /// How many of a hundred encode tasks are done a second time, by another worker.
    verify_percent: u8,
}

/// Why a build can't go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The plan can't be read.
    #[error(transparent)]
    BadPlan(#[from] PlanError),
    /// The plan contradicts itself.
    #[error("the plan can't be used: {0}; make it again with 'prestage plan --save'")]
    Plan(String),
    /// The object store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A pack.
    #[error(transparent)]
    Pack(#[from] PackReadError),
    /// A composition.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// A listing.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// The secret part.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The audit log.
    #[error("nothing was unsealed, for it can't be recorded: {0}")]
    Audit(#[from] StateError),
    /// A build id.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Two workers made different packs of the same content.
    #[error(
        "{label}: the pack that {} made is not what worker '{verified_by}' made of the same content: \
         {difference}",
        whoever(made_by)
    )]
    Poisoned {
        /// What was made twice.
        label: String,
        /// The pack: it must not be used.
        pack_key: String,
        /// Whose it may be; nobody's name if that is not known.
        made_by: BTreeSet<String>,
        /// Who made it a second time.
        verified_by: String,
        /// What is different.
        difference: String,
    },
    /// A pack is not what was seen of it before.
    #[error("the pack {pack_key} was replaced while the medium was put together: {problem}")]
    Replaced {
        /// The pack: it must not be used.
        pack_key: String,
        /// What shows it.
        problem: String,
    },
    /// A worker's result is not what its task gives.
    #[error(
        "task {task_id} gave a result that is not one of its kind; this is a fault of Prestage"
    )]
    Result {
        /// Which task.
        task_id: String,
    },
}

fn whoever(made_by: &BTreeSet<String>) -> String {
    let names: Vec<&str> = made_by.iter().map(String::as_str).collect();
    if names.is_empty() { "somebody".into() } else { format!("worker '{}'", names.join("' or '")) }
}

impl PipelineError {
    /// Names all that may have made a poisoned pack: whoever's result came may have found it there.
    pub(crate) fn made_by_any_of(mut self, makers: impl IntoIterator<Item = String>) -> Self {
        if let Self::Poisoned { made_by, verified_by, .. } = &mut self {
            made_by.extend(makers);
            made_by.remove(verified_by);
        }
        self
    }

    /// The pack that must not be used any more, and why, if that is what the error says.
    pub fn doubt(&self) -> Option<(String, Doubt)> {
        match self {
            Self::Poisoned { pack_key, .. } => Some((pack_key.clone(), Doubt::Disputed)),
            Self::Replaced { pack_key, .. } => Some((pack_key.clone(), Doubt::Replaced)),
            _ => None,
        }
    }
}

impl From<PipelineError> for v1::Failure {
    fn from(error: PipelineError) -> Self {
        let advice = match &error {
            PipelineError::Poisoned { made_by, verified_by, .. } => format!(
                "one of the two is broken or not to be trusted: look at {} first, then at \
                 '{verified_by}', keep it out ('prestage trust revoke'), and build again; the pack \
                 is removed, but others that it made are still there ('prestage gc')",
                whoever(made_by)
            ),
            PipelineError::Replaced { .. } => "find out who writes there besides the workers, and \
                                               build again: the pack is removed, and made anew"
                .into(),
            _ => String::new(),
        };
        let retry = v1::Retry::Never.into();
        Self { what: error.to_string(), advice, retry, ..Default::default() }
    }
}

impl MediaPipeline {
    /// A pipeline over the coordinator's object store and keys. It reaches the stores of outputs as
    /// `store_options` say. `shares_files` lets several workers encode one large file; the bytes don't
    /// depend on it.
    pub fn new(
        objects: Objects,
        store_options: StoreOptions,
        keys: Arc<KeyRing>,
        audit: Audit,
        shares_files: bool,
    ) -> Self {
        let shares = Shares::default();
        Self {
            objects,
            composer: Arc::new(Composer::new(store_options.clone())),
            store_options,
            keys,
            audit,
            shares,
            shares_files,
            garbage: None,
            verify_percent: 0,
        }
    }

    /// The same, removing from time to time what goes by this policy.
    #[must_use]
    pub fn collecting(self, garbage: Option<GarbagePolicy>) -> Self {
        Self { garbage, ..self }
    }

    /// The same, having so many of a hundred encode tasks done a second time, by another worker.
    #[must_use]
    pub fn verifying(self, verify_percent: u8) -> Self {
        Self { verify_percent, ..self }
    }

    /// Writes down that a pack must not be used by anybody; `why` is for people.
    pub async fn quarantine(
        &self,
        pack_key: &str,
        doubt: Doubt,
        why: &str,
    ) -> Result<(), PipelineError> {
        let pack: PackKey = pack_key.parse()?;
        Ok(self.objects.quarantine(&pack, doubt, why).await?)
    }

    /// Removes the packs that must not be used.
    pub async fn carry_out_quarantine(&self) -> Result<(), PipelineError> {
        let removed = self.objects.carry_out_quarantine().await?;
        if removed > 0 {
            tracing::warn!(removed, "removed packs that were in quarantine");
        }
        Ok(())
    }

    /// Removes what nobody uses, if that is wanted. The run is called after its time.
    pub async fn collect_if_wanted(&self, now: OffsetDateTime) -> Result<(), PipelineError> {
        if let Some(policy) = &self.garbage {
            let collector = format!("{}", now.unix_timestamp_nanos());
            self.collect_garbage(&collector, policy, false, now).await?;
        }
        Ok(())
    }

    /// The report of a build that has nothing to do, because the medium of exactly this plan is at
    /// `output`.
    pub async fn unchanged(
        &self,
        plan: &BuildPlan,
        plan_json: &[u8],
        output: &str,
    ) -> Result<Option<Vec<u8>>, PipelineError> {
        let Some(medium) = unchanged_medium(plan_json, plan, output, &self.store_options).await
        else {
            return Ok(None);
        };
        let content = ContentBytes { reused: plan.totals.content_bytes, ..ContentBytes::default() };
        report_json(plan, output, medium, content).map(Some)
    }

    /// The tasks that a build begins with. The sealed step is here: `Variables.dat` leaves its
    /// seal, encrypted with the media password as the format has it.
    pub async fn begin(
        &self,
        build_id: &str,
        plan: &BuildPlan,
        output: &str,
        who: &Who,
    ) -> Result<Vec<NewTask>, PipelineError> {
        let build = BuildId::new(build_id)?;
        let listings = self.pin(&build, plan).await?;
        // Whoever decided on it may have died before it was done.
        self.carry_out_quarantine().await?;
        let (objects, shares) = (&self.objects, self.shares_files);
        let suspects = objects.suspects().await?;
        let opinion = SecondOpinion::of(self.verify_percent)?.on_all_of(suspects);
        let first = first_tasks(plan, &listings, build_id, output, objects, shares, opinion);
        let mut first = first.await?;
        let variables = self.unseal(build_id, plan, who).await?;
        first.placements.inline_files = inline_files(plan, variables.expose());
        let placements = with_digest(first.placements.encode_to_vec());
        self.objects.put_small(&build.placements(), placements, PutRule::Overwrite).await?;
        Ok(first.tasks)
    }

    /// Opens the seal of `Variables.dat`. The audit log says so before it is done.
    async fn unseal(
        &self,
        build_id: &str,
        plan: &BuildPlan,
        who: &Who,
    ) -> Result<SecretBytes, PipelineError> {
        let target = format!("build {build_id}");
        let deed = self.audit.asked(who, "unseal Variables.dat", &target, &plan.name).await?;
        let context = variables_context(&plan.media_guid);
        let opened = self.keys.unseal(&plan.sealed, &context).await;
        deed.gave(&opened).await;
        Ok(opened?)
    }

    /// A plan under the current key; `None` if it is there already.
    pub async fn rewrap(&self, plan_json: &[u8]) -> Result<Option<Vec<u8>>, RewrapError> {
        rewrap_plan(plan_json, &self.keys).await
    }

    /// Pins all that the build may use before anybody looks what of it is there.
    async fn pin(
        &self,
        build: &BuildId,
        plan: &BuildPlan,
    ) -> Result<Vec<ContentListing>, PipelineError> {
        // Which packs they are is seen from the listings, so these come first.
        let keys = listing_keys(plan)?;
        Pin::new(keys.iter().cloned()).put(&self.objects, build).await?;
        wait_for_collectors(&self.objects).await?;
        let listings = pinned_listings(plan, &self.objects, &self.shares).await?;
        let packs = pack_keys(plan, &listings);
        Pin::new(keys.into_iter().chain(packs)).put(&self.objects, build).await?;
        wait_for_collectors(&self.objects).await?;
        Ok(listings)
    }

    /// Removes packs and listings that no build uses, or only says which. `collector` is a name that no
    /// other run has.
    pub async fn collect_garbage(
        &self,
        collector: &str,
        policy: &GarbagePolicy,
        dry_run: bool,
        now: OffsetDateTime,
    ) -> Result<Collected, PipelineError> {
        if dry_run {
            return Ok(Collection::rehearse(&self.objects, policy, now.into()).await?);
        }
        self.carry_out_quarantine().await?;
        self.objects.forget_old_suspects(now.into()).await?;
        let collection = Collection::begin(&self.objects, collector, policy, now.into()).await?;
        let collected = collection.end().await?;
        let freed: u64 = collected.removed.iter().map(|removed| removed.bytes).sum();
        tracing::info!(removed = collected.removed.len(), freed, kept = collected.kept, "garbage");
        Ok(collected)
    }

    /// What belongs beside the medium.
    fn sidecars(
        &self,
        plan: &BuildPlan,
        plan_json: &[u8],
        assembled: &v1::AssembleResult,
    ) -> Result<Vec<v1::Sidecar>, PipelineError> {
        let manifest = serde_json::to_vec_pretty(&Manifest::new(plan, plan_json, assembled));
        let body = manifest.map_err(|error| PipelineError::Plan(error.to_string()))?;
        Ok(vec![v1::Sidecar { suffix: MANIFEST_SUFFIX.into(), body: body.into() }])
    }

    /// Writes the log of a build beside its medium: `<medium>.log`.
    pub async fn keep_log(&self, output: &str, log: &[LogEntry]) -> Result<(), PipelineError> {
        let output = ObjectUrl::parse(output).map_err(StoreError::from)?;
        let (objects, medium) = Objects::open_around(&output, &self.store_options).await?;
        let key = ObjectKey::new(format!("{medium}{LOG_SUFFIX}"))?;
        let body = build_log::to_file(log).into();
        objects.put_small(&key, body, PutRule::Overwrite).await?;
        Ok(())
    }

    /// Frees what a build holds when it has ended: its own objects, and those of its compositions
    /// that are still open.
    pub async fn give_up(
        &self,
        build_id: &str,
        uploads: Vec<String>,
        now: OffsetDateTime,
    ) -> Result<(), PipelineError> {
        for upload in uploads {
            if let Err(error) = self.composer.abort(&UploadToken::from(upload)).await {
                tracing::warn!(build_id, %error, "the composition could not be given up");
            }
        }
        let build = BuildId::new(build_id)?;
        Pin::note_use(&self.objects, &build, now.into()).await?;
        let mut own = self.objects.list(&build.folder());
        while let Some(object) = own.next().await {
            self.objects.delete(&object?.key).await?;
        }
        // Workers that were killed meanwhile left staging files; those of live ones are locked.
        self.objects.scrub(now.into()).await?;
        Ok(())
    }

    /// Gives up what compositions left in a folder of media, but for the `live` ones.
    pub async fn reap(
        &self,
        folder: &str,
        live: &[UploadToken],
        now: OffsetDateTime,
    ) -> Result<(), PipelineError> {
        let folder = ObjectUrl::parse(folder).map_err(StoreError::from)?;
        let reaped = self.composer.reap(&folder, live, ABANDONED_AFTER, now.into()).await?;
        if reaped != Reaped::default() {
            tracing::info!(%folder, ?reaped, "removed what abandoned compositions left");
        }
        Ok(())
    }

    /// Gives up uploads of a medium that nobody knows of, but for the `live` ones.
    pub async fn reap_output(
        &self,
        output: &ObjectUrl,
        live: &[UploadToken],
        now: OffsetDateTime,
    ) -> Result<(), PipelineError> {
        let uploads = self.composer.reap_output(output, live, ABANDONED_AFTER, now.into()).await?;
        if uploads > 0 {
            tracing::info!(%output, uploads, "gave up uploads that nobody knew of");
        }
        Ok(())
    }

    /// Gives up uploads of packs and glue that killed workers left open in a bucket.
    pub async fn reap_uploads(&self, now: OffsetDateTime) -> Result<(), PipelineError> {
        let uploads =
            self.composer.reap_uploads(&self.objects, ABANDONED_AFTER, now.into()).await?;
        if uploads > 0 {
            tracing::info!(uploads, "gave up the uploads of killed workers");
        }
        Ok(())
    }

    /// Builds that have objects of their own in the store; other coordinators' may be among them.
    pub async fn builds_with_objects(&self) -> Result<BTreeSet<String>, PipelineError> {
        let mut builds = BTreeSet::new();
        let mut objects = self.objects.list("builds");
        while let Some(object) = objects.next().await {
            let key = object?.key;
            builds.extend(key.as_str().split('/').nth(1).map(str::to_owned));
        }
        Ok(builds)
    }
}
