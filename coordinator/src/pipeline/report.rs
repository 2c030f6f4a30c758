//! What a finished build says of itself: the `report` of `prestage build --json`.

use super::{PipelineError, manifest::Medium};
use crate::plan::BuildPlan;

/// Bytes of content, by where they came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContentBytes {
    /// Read and packed by this build.
    pub made: u64,
    /// In packs already, or in the medium that was there.
    pub reused: u64,
    /// Files of the OS image whose content was looked at.
    pub decompressed_files: u64,
}

/// The report as JSON.
pub fn report_json(
    plan: &BuildPlan,
    output: &str,
    medium: Medium,
    content: ContentBytes,
) -> Result<Vec<u8>, PipelineError> {
    let report = serde_json::json!({
        "medium": {
            "output": output,
            "bytes": medium.bytes,
            "padding_bytes": medium.padding_bytes,
            "volumes": medium.volumes,
        },
        "content_bytes": { "made": content.made, "reused": content.reused },
        "os_file_resources_decompressed": content.decompressed_files,
        "contents": plan.contents.len(),
        "warnings": plan.warnings,
    });
    serde_json::to_vec(&report).map_err(|error| PipelineError::Plan(error.to_string()))
}
