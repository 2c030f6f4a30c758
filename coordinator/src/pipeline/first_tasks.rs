//! From a plan to the tasks that a build begins with.

use prestage_configmgr::content_library::ContentListing;
use prestage_media::unverified::image_description;
use prestage_proto::v1::{self, task::Work, task_result};
use prestage_shares::Shares;
use prestage_store::{ObjectKey, ObjectUrl, Objects, PackKey};

use crate::plan::{
    BuildPlan, ListingStore, PackNames, PlannedCodec, PlannedContent, PlannedImage, listing_key,
    to_wire,
};

use super::{NewTask, PipelineError, placements::place_content, second_opinion::SecondOpinion};

/// The tasks of a build, and where their content goes.
pub struct FirstTasks {
    /// Splice, boot and encode tasks, then the assemble task.
    pub tasks: Vec<NewTask>,
    /// What the assemble task reads.
    pub placements: v1::Placements,
}

/// Makes them. Packs that are there already make tasks that are done already.
pub async fn first_tasks(
    plan: &BuildPlan,
    listings: &[ContentListing],
    build_id: &str,
    output: &str,
    objects: &Objects,
    shares_files: bool,
    opinion: SecondOpinion,
) -> Result<FirstTasks, PipelineError> {
    let run_bytes = plan.run_bytes;
    let (objects_url, packs) = (objects.root(), plan.packs());
    let maker = Maker { objects, objects_url, packs, run_bytes, shares_files, opinion };
    let mut tasks = Vec::new();
    let mut placements = v1::Placements::default();
    tasks.push(maker.splice(&plan.os_image, &plan.codec).await?);
    tasks.push(maker.boot(&plan.boot_image, &plan.codec).await?);
    for (content, listing) in plan.contents.iter().zip(listings) {
        let keys = maker.encode(content, listing, &plan.codec, &mut tasks).await?;
        placements.placements.push(place_content(content, listing, keys));
    }
    let deps = tasks.iter().map(|task| task.task_id.clone()).collect();
    tasks.push(maker.assemble(plan, build_id, output, deps));
    Ok(FirstTasks { tasks, placements })
}

/// The listings of a plan's contents, in their order.
pub(super) async fn pinned_listings(
    plan: &BuildPlan,
    objects: &Objects,
    shares: &Shares,
) -> Result<Vec<ContentListing>, PipelineError> {
    let store = ListingStore::new(objects.clone());
    let mut listings = Vec::with_capacity(plan.contents.len());
    for content in &plan.contents {
        listings.push(store.pinned(content, shares).await?);
    }
    Ok(listings)
}

/// The listings that a plan names.
pub(super) fn listing_keys(plan: &BuildPlan) -> Result<Vec<ObjectKey>, PipelineError> {
    let keys = plan.contents.iter().map(|content| listing_key(&content.listing));
    Ok(keys.collect::<Result<_, _>>()?)
}

/// The indexes of all packs and runs that a plan may use, there or not.
pub(super) fn pack_keys(plan: &BuildPlan, listings: &[ContentListing]) -> Vec<ObjectKey> {
    let boot = &plan.boot_image;
    let mut packs =
        vec![plan.packs().os(&plan.os_image), plan.packs().boot(&boot.wim_sha256, boot.index)];
    for listing in listings {
        let files: Vec<v1::ListedFile> = listing.files.iter().map(to_wire).collect();
        for shard in plan.packs().shards(&files, plan.run_bytes) {
            packs.push(shard.pack);
            let runs = shard.runs(plan.run_bytes, plan.codec.chunk_bytes);
            packs.extend(runs.iter().map(|run| run.pack));
        }
    }
    packs.iter().map(PackKey::index).collect()
}

/// Makes tasks that know where packs are.
pub(super) struct Maker<'a> {
    pub(super) objects: &'a Objects,
    objects_url: &'a ObjectUrl,
    pub(super) packs: PackNames<'a>,
    pub(super) run_bytes: u64,
    pub(super) shares_files: bool,
    pub(super) opinion: SecondOpinion,
}

impl Maker<'_> {
    pub(super) fn task(&self, work: Work) -> v1::Task {
        v1::Task { objects_url: self.objects_url.to_string(), work: Some(work) }
    }

    /// The result of a pack that is there already, and may be taken as it is.
    pub(super) async fn reused(
        &self,
        pack: &PackKey,
        bytes: u64,
    ) -> Result<Option<v1::TaskResult>, PipelineError> {
        if self.opinion.suspects(pack) {
            return Ok(None);
        }
        let there = self.objects.open_pack(pack).await?;
        Ok(there.map(|there| v1::TaskResult {
            reused: true,
            work: Some(task_result::Work::Pack(v1::PackResult {
                pack_key: pack.to_string(),
                pack_bytes: there.index().pack_bytes(),
                content_bytes: bytes,
                file_resources_decompressed: 0,
                index_sha256: there.seen().index_sha256.to_vec().into(),
                made: false,
                difference: String::new(),
            })),
            ..Default::default()
        }))
    }

    async fn splice(
        &self,
        os: &PlannedImage,
        codec: &PlannedCodec,
    ) -> Result<NewTask, PipelineError> {
        let pack = self.packs.os(os);
        // What is encoded anew is read a second time for its contents.
        let bytes_total = os.wim_bytes + os.reencoded_bytes.unwrap_or(0);
        let work = Work::Splice(v1::SpliceTask {
            pack_key: pack.to_string(),
            content_id: os.content.content_id.clone(),
            sources: sources(&os.content),
            wim: wim_files(os)?,
            image_index: os.index,
            codec: os.reencoded_bytes.map(|_| codec_message(codec)),
        });
        Ok(NewTask {
            task_id: "splice".into(),
            kind: "splice".into(),
            label: format!("OS image {} '{}'", os.content.object_id, os.image_name),
            work_key: pack.to_string(),
            payload: self.task(work),
            deps: Vec::new(),
            bytes_total,
            result: self.reused(&pack, os.wim_bytes).await?,
            generation: 0,
        })
    }

    async fn boot(
        &self,
        boot: &PlannedImage,
        codec: &PlannedCodec,
    ) -> Result<NewTask, PipelineError> {
        let pack = self.packs.boot(&boot.wim_sha256, boot.index);
        let work = Work::Boot(v1::BootTask {
            pack_key: pack.to_string(),
            content_id: boot.content.content_id.clone(),
            sources: sources(&boot.content),
            wim: wim_files(boot)?.pop(),
            image_index: boot.index,
            codec: Some(codec_message(codec)),
        });
        Ok(NewTask {
            task_id: "boot".into(),
            kind: "boot".into(),
            label: format!("boot image {} '{}'", boot.content.object_id, boot.content.name),
            work_key: pack.to_string(),
            payload: self.task(work),
            deps: Vec::new(),
            bytes_total: boot.wim_bytes,
            result: self.reused(&pack, boot.wim_bytes).await?,
            generation: 0,
        })
    }

    fn assemble(
        &self,
        plan: &BuildPlan,
        build_id: &str,
        output: &str,
        deps: Vec<String>,
    ) -> NewTask {
        let work = Work::Assemble(v1::AssembleTask {
            build_id: build_id.into(),
            os_pack_key: plan.packs().os(&plan.os_image).to_string(),
            boot_pack_key: plan
                .packs()
                .boot(&plan.boot_image.wim_sha256, plan.boot_image.index)
                .to_string(),
            os_image_index: plan.os_image.index,
            codec: Some(codec_message(&plan.codec)),
            image_name: plan.name.clone(),
            created: plan.created,
            wim_guid: hex::decode(&plan.wim_guid).unwrap_or_default().into(),
            integrity_table: plan.integrity_table,
            output: output.into(),
            os_content_id: plan.os_image.content.content_id.clone(),
            rpfix: plan.os_image.rpfix,
            split_bytes: u64::from(plan.split_mib.unwrap_or(0)) << 20,
            image_description: image_description(
                &plan.about.comment,
                &plan.about.version,
                &plan.about.created_by,
            ),
        });
        NewTask {
            task_id: "assemble".into(),
            kind: "assemble".into(),
            label: "tree, layout, tables".into(),
            work_key: String::new(),
            payload: self.task(work),
            deps,
            bytes_total: 0,
            result: None,
            generation: 0,
        }
    }
}

fn wim_files(image: &PlannedImage) -> Result<Vec<v1::ListedFile>, PipelineError> {
    if image.parts.is_empty() {
        return Ok(vec![wim_file(&image.wim, image.wim_bytes, &image.wim_sha256)?]);
    }
    image.parts.iter().map(|part| wim_file(&part.path, part.bytes, &part.sha256)).collect()
}

fn wim_file(path: &str, size: u64, sha256: &str) -> Result<v1::ListedFile, PipelineError> {
    let sha256 = hex::decode(sha256);
    let sha256 = sha256.map_err(|_| PipelineError::Plan("a SHA-256 in it is not hex".into()))?;
    let path = path.to_owned();
    Ok(v1::ListedFile { path, size, sha256: sha256.into(), attributes: 0x20, modified: 0 })
}

/// Where a content lies, as tasks name it.
pub(super) fn sources(content: &PlannedContent) -> Vec<v1::ContentSource> {
    let libraries = content.libraries.iter().map(ToString::to_string);
    let named = content.distribution_points.iter().cloned().zip(libraries);
    named
        .map(|(distribution_point, content_library)| v1::ContentSource {
            distribution_point,
            content_library,
        })
        .collect()
}

pub(super) fn codec_message(codec: &PlannedCodec) -> v1::Codec {
    let format = match codec.format.as_str() {
        "xpress" => v1::codec::Format::Xpress,
        _ => v1::codec::Format::Lzx,
    };
    v1::Codec { format: format.into(), chunk_bytes: codec.chunk_bytes, level: codec.level }
}
