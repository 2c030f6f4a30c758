//! What a finished medium says of itself, beside it: `<medium>.manifest.json`.

use prestage_proto::v1;
use prestage_seal::without_wrapping;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::plan::{BuildPlan, PlannedContent, PlannedImage};

/// What a medium's name is followed by in its manifest's.
pub const MANIFEST_SUFFIX: &str = ".manifest.json";

/// The manifest. No secret and no variable's value is in it.
#[derive(Serialize)]
pub struct Manifest<'a> {
    format: u32,
    name: &'a str,
    medium: Medium,
    plan_sha256: String,
    site_code: &'a str,
    media_guid: &'a str,
    certificate: &'a crate::plan::PlannedCertificate,
    task_sequence: &'a crate::plan::PlannedTaskSequence,
    os_image: &'a PlannedImage,
    boot_image: &'a PlannedImage,
    contents: &'a [PlannedContent],
    variable_names: &'a [String],
    about: &'a crate::plan::About,
    codec: &'a crate::plan::PlannedCodec,
    warnings: &'a [String],
    generator: &'static str,
}

/// The medium, as its manifest and a build's report have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Its bytes, those of all volumes together.
    pub bytes: u64,
    /// Bytes of them that carry nothing.
    pub padding_bytes: u64,
    /// Its volumes in order: one, unless the medium is split.
    pub volumes: Vec<MediumVolume>,
}

/// A file of a medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediumVolume {
    /// Its name, without the folder.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of them that carry nothing.
    pub padding_bytes: u64,
}

impl Medium {
    /// What was assembled.
    pub fn new(assembled: &v1::AssembleResult) -> Self {
        let volume = |volume: &v1::AssembledVolume| MediumVolume {
            name: volume.output.rsplit('/').next().unwrap_or_default().to_owned(),
            bytes: volume.bytes,
            padding_bytes: volume.padding_bytes,
        };
        let volumes: Vec<_> = assembled.volumes.iter().map(volume).collect();
        Self {
            bytes: volumes.iter().map(|volume| volume.bytes).sum(),
            padding_bytes: volumes.iter().map(|volume| volume.padding_bytes).sum(),
            volumes,
        }
    }
}

/// Names a plan. Two media of one plan are the same, whatever key its secrets are under: the wrapping
/// of their data keys does not count.
pub fn plan_sha256(plan: &BuildPlan, plan_json: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(plan_json).into_owned();
    for sealed in [&plan.sealed, &plan.sealed_pfx] {
        text = text.replacen(sealed.as_str(), without_wrapping(sealed), 1);
    }
    hex::encode(Sha256::digest(text))
}

impl<'a> Manifest<'a> {
    /// The manifest of a plan's medium, once it is assembled.
    pub fn new(plan: &'a BuildPlan, plan_json: &[u8], assembled: &v1::AssembleResult) -> Self {
        Self {
            format: 1,
            name: &plan.name,
            medium: Medium::new(assembled),
            plan_sha256: plan_sha256(plan, plan_json),
            site_code: &plan.site_code,
            media_guid: &plan.media_guid,
            certificate: &plan.certificate,
            task_sequence: &plan.task_sequence,
            os_image: &plan.os_image,
            boot_image: &plan.boot_image,
            contents: &plan.contents,
            variable_names: &plan.variable_names,
            about: &plan.about,
            codec: &plan.codec,
            warnings: &plan.warnings,
            generator: concat!("prestage ", env!("CARGO_PKG_VERSION")),
        }
    }
}
