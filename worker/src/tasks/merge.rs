//! Merging: ranges of packs and glue are placed into the medium, by the store itself where it can.

use futures::{StreamExt, TryStreamExt};
use prestage_proto::v1;
use prestage_store::{
    BuildId, CHUNK, Compose, ObjectUrl, Recipe, UploadToken,
    recipe::{RECIPE_LIMIT, RecipePart, SegmentSource},
};

use super::{Tools, error::TaskError};

/// Bytes of one merge task: several workers share a medium, each asks seldom for more.
const TASK_BYTES: u64 = 2 << 30;
/// Parts that are under way at once. A store copies them; we only wait.
const PARTS_AT_ONCE: usize = 4;

/// How the parts are dealt to merge tasks.
pub fn part_ranges(parts: &[RecipePart]) -> Vec<v1::PartRange> {
    let mut ranges: Vec<v1::PartRange> = Vec::new();
    for part in parts {
        match ranges.last_mut() {
            Some(range) if range.bytes + part.len <= TASK_BYTES => {
                range.last = part.number;
                range.bytes += part.len;
            }
            _ => ranges.push(v1::PartRange {
                first: part.number,
                last: part.number,
                bytes: part.len,
            }),
        }
    }
    ranges
}

/// A build's recipe and its parts for an output.
pub async fn recipe_parts(
    build: &BuildId,
    output: &ObjectUrl,
    tools: &Tools,
) -> Result<(Recipe, Vec<RecipePart>), TaskError> {
    let object = tools.objects.get(&build.recipe(), RECIPE_LIMIT).await?;
    let damaged = |error: &dyn std::fmt::Display| TaskError::Damaged {
        what: error.to_string(),
        place: build.recipe().as_str().to_owned(),
    };
    let recipe = Recipe::decode(&object).map_err(|error| damaged(&error))?;
    let rules = tools.composer.part_rules(output, &tools.objects);
    let parts = recipe.parts(&rules).map_err(|error| damaged(&error))?;
    Ok((recipe, parts))
}

/// Places the parts of one merge task.
pub async fn merge(task: &v1::MergeTask, tools: &Tools) -> Result<v1::MergeResult, TaskError> {
    let build = build_id(&task.build_id)?;
    let output = output_url(&task.output)?;
    let (_, parts) = recipe_parts(&build, &output, tools).await?;
    let token = UploadToken::from(task.upload.clone());
    let mut mine = parts;
    mine.retain(|part| (task.first..=task.last).contains(&part.number));
    let placing = futures::stream::iter(mine).map(|part| {
        let (token, build) = (&token, &build);
        async move {
            if tools.is_cancelled() {
                return Err(TaskError::Cancelled);
            }
            verify_source(part, tools).await?;
            let receipt = tools.composer.place(token, &part.bind(&tools.objects, build)).await?;
            tools.advance(part.len);
            Ok(v1::PlacedPart { part: part.number, receipt: receipt.into() })
        }
    });
    let mut parts: Vec<v1::PlacedPart> =
        placing.buffer_unordered(PARTS_AT_ONCE).try_collect().await?;
    parts.sort_by_key(|placed| placed.part);
    Ok(v1::MergeResult { parts })
}

/// Checks the chunks of a pack that lies in a folder before they are copied: a disk may have
/// changed them since they were written. A bucket checks its own, and its bytes don't come here.
async fn verify_source(part: RecipePart, tools: &Tools) -> Result<(), TaskError> {
    let SegmentSource::Pack { key, offset } = part.source else { return Ok(()) };
    if tools.objects.local_path(&key.pack()).is_none() {
        return Ok(());
    }
    let missing = || TaskError::Damaged {
        what: "a pack of the medium is gone".into(),
        place: key.pack().as_str().to_owned(),
    };
    let pack = tools.objects.open_pack(&key).await?.ok_or_else(missing)?;
    for chunk in offset / CHUNK..(offset + part.len).div_ceil(CHUNK) {
        let start = chunk * CHUNK;
        let end = (start + CHUNK).min(pack.index().pack_bytes());
        let bytes = pack.get_range(start..end).await?;
        let pack = pack.clone();
        let checking = tokio::task::spawn_blocking(move || pack.verify_chunk(chunk, &bytes));
        checking.await.map_err(|_| TaskError::Cancelled)??;
    }
    Ok(())
}

/// The build id of a task message.
pub fn build_id(text: &str) -> Result<BuildId, TaskError> {
    BuildId::new(text).map_err(|error| TaskError::BadTask(error.to_string()))
}

/// The output of a task message.
pub fn output_url(text: &str) -> Result<ObjectUrl, TaskError> {
    ObjectUrl::parse(text).map_err(|error| TaskError::BadTask(error.to_string()))
}
