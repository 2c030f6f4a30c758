//! Resolving a spec against its site, checking it, and pinning the result.

use std::sync::Arc;

use prestage_access::Access;
use prestage_configmgr::{
    ContentRequest, Resolution,
    resolve::{ContentKind, ResolvedContent},
};
use prestage_media::{boot_files::Architecture, spec::MediaSpec};
use prestage_proto::v1;
use prestage_seal::KeyRing;
use prestage_shares::Shares;
use prestage_store::{Objects, PackKey};
use prestage_wim::{codec::Profile, metadata::ImageTree};

use super::{
    About, BuildPlan, ListingStore, PLAN_FORMAT, PackNames, PlannedCodec, PlannedContent,
    PlannedImage, PlannedMedia, PlannedPrestart, PlannedTaskSequence, Totals, boot_image,
    bounded_identity::bounded_identity,
    collisions::check_collisions,
    images::{ImageFile, look_into, planned_parts, wim_sha256},
    large_files::large_files,
    output::check_output,
    problems::PlanFailure,
    reading::Reading,
    reencoding::{self, medium_codec},
    secrets::{Generated, GivenSecrets, generate},
    to_wire,
};
use crate::clock::Clock;

/// Makes build plans.
pub struct MediaPlanner {
    objects: Objects,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    access: Access,
    shares: Shares,
    run_bytes: u64,
    zone: String,
}

impl MediaPlanner {
    /// A planner over the coordinator's object store and key. Files of more than `run_bytes` become
    /// packs of their own; all packs are of the trust zone `zone`.
    pub fn new(
        objects: Objects,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        access: Access,
        run_bytes: u64,
        zone: String,
    ) -> Self {
        let shares = Shares::new(access.floor());
        Self { objects, keys, clock, access, shares, run_bytes, zone }
    }

    /// Plans a medium, or says everything that is wrong with the request.
    pub async fn plan_media(
        &self,
        request: v1::PlanMediaRequest,
    ) -> Result<BuildPlan, PlanFailure> {
        let now = self.clock.now();
        // Checked again here: who sends a request need not have checked it.
        let checked = MediaSpec::from_json(&request.spec_json, now)
            .map_err(|error| PlanFailure::spec(error.to_string()))?;
        let spec = checked.spec;
        check_output(&request.output)?;
        let given = GivenSecrets::new(request.secrets);
        let identity = bounded_identity(&spec, given, now).await;
        let reading = Reading { access: &self.access, shares: &self.shares };
        let wanted = content_request(&spec, request.strict_package_hash);
        let resolution = reading.resolve(request.site, wanted).await;
        let (identity, mut resolution) = PlanFailure::both(identity, resolution)?;
        let os_index = spec.os_image.index;
        let boot_index = resolution.boot_image.image_index.unwrap_or(1);
        // Both are looked at before either fails the plan: all problems at once.
        let os = look_into(&resolution.os_image, os_index, reading).await;
        let boot = look_into(&resolution.boot_image, boot_index, reading).await;
        let ((os, os_tree), (boot, _)) = match (os, boot) {
            (Ok(os), Ok(boot)) => (os, boot),
            (os, boot) => return Err(PlanFailure::images(os.err(), boot.err())),
        };
        check_architectures(&resolution, &os, &boot)?;
        let architecture = boot.image.architecture.and_then(Architecture::from_number);
        check_tree(os_tree, architecture, &mut resolution).await?;
        let codec = planned_codec(&spec, &request.codec, &os)?;
        let generated = generate(&spec, identity, &resolution, &self.keys, now).await?;
        let images = Images { os, os_index, boot, boot_index };
        self.document(&spec, request.output, resolution, images, codec, generated).await
    }

    async fn document(
        &self,
        spec: &MediaSpec,
        output: String,
        resolution: Resolution,
        images: Images,
        codec: PlannedCodec,
        generated: Generated,
    ) -> Result<BuildPlan, PlanFailure> {
        let mut totals = Totals::default();
        let packs = PackNames { zone: &self.zone, codec: &codec };
        let os_image = self.image(&resolution.os_image, &images.os, images.os_index, |image| {
            image.reencoded_bytes = images.os.obstacle.map(|_| images.os.content_bytes);
            packs.os(image)
        });
        let os_image = os_image.await?;
        let boot_image =
            self.image(&resolution.boot_image, &images.boot, images.boot_index, |image| {
                packs.boot(&image.wim_sha256, image.index)
            });
        let boot_image = boot_image.await?;
        for image in [&os_image, &boot_image] {
            totals.content_bytes += image.wim_bytes;
            count(&mut totals, image.content.reused, image.wim_bytes);
        }
        match os_image.reencoded_bytes {
            None => totals.spliced_bytes = os_image.wim_bytes,
            Some(bytes) if !os_image.content.reused => totals.to_encode_bytes += bytes,
            Some(_) => {}
        }
        let mut contents = Vec::new();
        for resolved in &resolution.contents {
            let (planned, reused_bytes) = self.content(resolved, packs).await?;
            totals.content_bytes += planned.bytes;
            totals.reused_bytes += reused_bytes;
            totals.to_encode_bytes += planned.bytes.saturating_sub(reused_bytes);
            contents.push(planned);
        }
        let task_sequence = &resolution.task_sequence;
        let mut warnings: Vec<String> =
            resolution.warnings.iter().map(ToString::to_string).collect();
        let (driver_warnings, driver_note) =
            boot_image::remarks(&resolution.boot_image.object_id, &images.boot.drivers);
        warnings.extend(driver_warnings);
        warnings.extend(reencoding::notice(&resolution.os_image, &images.os, &codec));
        warnings.extend(generated.warnings);
        warnings.extend(large_files(spec.output.split_mib, &resolution));
        Ok(BuildPlan {
            format: PLAN_FORMAT,
            name: spec.name.clone(),
            site_code: resolution.site_code.clone(),
            admin_service: resolution.admin_service.clone(),
            task_sequence: PlannedTaskSequence {
                id: task_sequence.id.clone(),
                name: task_sequence.name.clone(),
                version: task_sequence.version,
            },
            os_image,
            boot_image,
            boot_drivers: images.boot.drivers,
            contents,
            warnings,
            notes: notes(&resolution, driver_note),
            totals,
            output,
            codec,
            run_bytes: self.run_bytes,
            zone: self.zone.clone(),
            integrity_table: spec.output.integrity_table,
            split_mib: spec.output.split_mib,
            created: generated.created,
            wim_guid: generated.wim_guid,
            media_guid: generated.media_guid,
            variable_names: generated.variable_names,
            password_protected: generated.password_protected,
            unattended: spec.media.unattended,
            certificate: generated.certificate,
            media: media(spec, generated.prestart),
            about: About {
                created_by: spec.media.created_by.clone().unwrap_or_default(),
                version: spec.media.version.clone().unwrap_or_default(),
                comment: spec.media.comment.clone().unwrap_or_default(),
            },
            sealed: generated.sealed,
            sealed_pfx: generated.sealed_pfx,
        })
    }

    async fn image(
        &self,
        resolved: &ResolvedContent,
        file: &ImageFile,
        index: u32,
        pack: impl FnOnce(&mut PlannedImage) -> PackKey,
    ) -> Result<PlannedImage, PlanFailure> {
        let mut content = planned(resolved);
        content.folder = String::new();
        let parts = planned_parts(&file.files);
        let mut image = PlannedImage {
            content,
            index,
            wim: file.files[0].path.clone(),
            wim_bytes: file.files.iter().map(|file| file.size).sum(),
            wim_sha256: wim_sha256(&file.files),
            parts,
            reencoded_bytes: None,
            image_name: file.image.name.clone(),
            architecture: architecture_name(file.image.architecture),
            rpfix: file.rpfix,
            pack: String::new(),
        };
        let pack = pack(&mut image);
        image.content.reused = self.objects.head(&pack.index()).await?.is_some();
        image.pack = pack.to_string();
        Ok(image)
    }

    async fn content(
        &self,
        resolved: &ResolvedContent,
        packs: PackNames<'_>,
    ) -> Result<(PlannedContent, u64), PlanFailure> {
        ListingStore::new(self.objects.clone()).keep(&resolved.listing).await?;
        let mut content = planned(resolved);
        let files: Vec<v1::ListedFile> = resolved.listing.files.iter().map(to_wire).collect();
        let mut reused_bytes = 0;
        let mut all = true;
        for shard in packs.shards(&files, self.run_bytes) {
            if self.objects.head(&shard.pack.index()).await?.is_some() {
                reused_bytes += shard.bytes;
            } else {
                all = false;
            }
        }
        content.reused = all;
        if all {
            reused_bytes = content.bytes;
        }
        Ok((content, reused_bytes))
    }
}

fn media(spec: &MediaSpec, prestart: Option<PlannedPrestart>) -> PlannedMedia {
    PlannedMedia {
        mode: spec.media.mode.name().to_owned(),
        management_points: spec.media.management_points.iter().map(ToString::to_string).collect(),
        unknown_computers: spec.security.unknown_computer_support,
        user_device_affinity: spec.security.user_device_affinity.name().to_owned(),
        uda_setting: spec.security.user_device_affinity.setting(),
        prestart,
    }
}

fn notes(resolution: &Resolution, drivers: String) -> Vec<String> {
    let mut notes = resolution.notes.clone();
    notes.push(drivers);
    if resolution.admin_service.is_none() {
        notes.push(
            "the site is an export, so it does not know the media certificate, and its management \
             points will refuse the medium until it does: run 'prestage register MEDIUM' where \
             AdminService can be reached"
                .into(),
        );
    }
    notes
}

struct Images {
    os: ImageFile,
    os_index: u32,
    boot: ImageFile,
    boot_index: u32,
}

fn count(totals: &mut Totals, reused: bool, bytes: u64) {
    if reused {
        totals.reused_bytes += bytes;
    }
}

/// Half a million names are compared: not on an async thread.
async fn check_tree(
    tree: ImageTree,
    architecture: Option<Architecture>,
    resolution: &mut Resolution,
) -> Result<(), PlanFailure> {
    let contents = std::mem::take(&mut resolution.contents);
    let work = prestage_threads::off_thread(move || {
        let checked = check_collisions(tree, architecture, &contents);
        (contents, checked)
    });
    let (contents, checked) =
        work.await.map_err(|error| PlanFailure::internal(error.to_string()))?;
    resolution.contents = contents;
    Ok(checked?)
}

fn content_request(spec: &MediaSpec, strict_package_hash: bool) -> ContentRequest {
    let ids =
        |ids: &[prestage_media::spec::PackageId]| ids.iter().map(ToString::to_string).collect();
    let prestart = spec.customization.prestart.as_ref();
    ContentRequest {
        task_sequence: spec.task_sequence.to_string(),
        boot_image: spec.boot_image.to_string(),
        os_image_package: spec.os_image.package.to_string(),
        applications: spec.applications.iter().map(ToString::to_string).collect(),
        packages: ids(&spec.packages),
        driver_packages: ids(&spec.driver_packages),
        prestart_package: prestart
            .and_then(|prestart| prestart.package.as_ref())
            .map(ToString::to_string),
        detect_application_dependencies: spec.detect_application_dependencies,
        distribution_points: spec.distribution_points.clone(),
        strict_package_hash,
    }
}

fn planned(resolved: &ResolvedContent) -> PlannedContent {
    let kind = match resolved.kind {
        ContentKind::OsImage => "OS image",
        ContentKind::BootImage => "boot image",
        ContentKind::Package => "package",
        ContentKind::DriverPackage => "driver package",
        ContentKind::OsUpgrade => "OS upgrade package",
        ContentKind::Application => "application",
    };
    PlannedContent {
        object_id: resolved.object_id.clone(),
        content_id: resolved.content_id.clone(),
        folder: resolved.folder.clone(),
        kind: kind.into(),
        name: resolved.name.clone(),
        version: resolved.version,
        bytes: resolved.listing.total_bytes(),
        files: resolved.listing.files.len() as u64,
        listing: hex::encode(resolved.listing.digest()),
        site_hash: resolved.site_hash.clone(),
        distribution_points: resolved
            .sources
            .iter()
            .map(|source| source.distribution_point.clone())
            .collect(),
        libraries: resolved.sources.iter().map(|source| source.place.clone()).collect(),
        reasons: resolved.reasons.clone(),
        reused: false,
    }
}

/// x64 boot images run x64 and x86 OS images; x86 ones run only x86.
fn check_architectures(
    resolution: &Resolution,
    os: &ImageFile,
    boot: &ImageFile,
) -> Result<(), PlanFailure> {
    if os.image.architecture.is_some_and(|number| Architecture::from_number(number).is_none()) {
        return Err(PlanFailure::architecture(
            &resolution.os_image.object_id,
            &architecture_name(os.image.architecture),
            "is not supported: x64 boot images run x64 and x86 OS images",
        ));
    }
    let boot_architecture = boot.image.architecture.and_then(Architecture::from_number);
    let Some(boot_architecture) = boot_architecture else {
        return Err(PlanFailure::architecture(
            &resolution.boot_image.object_id,
            &architecture_name(boot.image.architecture),
            "is not one that prestaged media starts from; use an x64 or x86 boot image",
        ));
    };
    let os_is_x64 = os.image.architecture == Some(9);
    if boot_architecture == Architecture::X86 && os_is_x64 {
        return Err(PlanFailure::architecture(
            &resolution.boot_image.object_id,
            "x86",
            "can't start the deployment of an x64 OS image; use an x64 boot image",
        ));
    }
    Ok(())
}

fn architecture_name(number: Option<u32>) -> String {
    match number {
        Some(0) => "x86".into(),
        Some(9) => "x64".into(),
        Some(12) => "arm64".into(),
        Some(other) => format!("architecture {other}"),
        None => "unknown architecture".into(),
    }
}

fn planned_codec(
    spec: &MediaSpec,
    wanted: &str,
    os: &ImageFile,
) -> Result<PlannedCodec, PlanFailure> {
    let name = if wanted.is_empty() { spec.output.codec.name() } else { wanted };
    let profile: Profile = name.parse().map_err(PlanFailure::spec)?;
    let codec = medium_codec(profile, os);
    Ok(PlannedCodec {
        profile: name.to_owned(),
        format: codec.format.to_string().to_ascii_lowercase(),
        chunk_bytes: codec.chunk_bytes,
        level: codec.level,
    })
}
