//! What a finished medium says of itself, beside it: `<medium>.manifest.json`.

use prestage_proto::v1;
use serde::Serialize;

use crate::plan::{BuildPlan, PlannedContent, PlannedImage};

/// The manifest. No secret and no variable's value is in it.
#[derive(Serialize)]
pub struct Manifest<'a> {
    format: u32,
    name: &'a str,
    medium: Medium,
    site_code: &'a str,
    media_guid: &'a str,
    certificate_thumbprint: &'a str,
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

#[derive(Serialize)]
struct Medium {
    bytes: u64,
    padding_bytes: u64,
}

impl<'a> Manifest<'a> {
    /// The manifest of a plan's medium, once it is assembled.
    pub fn new(plan: &'a BuildPlan, assembled: &v1::AssembleResult) -> Self {
        Self {
            format: 1,
            name: &plan.name,
            medium: Medium {
                bytes: assembled.medium_bytes,
                padding_bytes: assembled.padding_bytes,
            },
            site_code: &plan.site_code,
            media_guid: &plan.media_guid,
            certificate_thumbprint: &plan.certificate_thumbprint,
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
