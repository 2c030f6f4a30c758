//! Merging: ranges of packs and glue are placed into the medium, by the store itself where it can.

use std::{collections::HashMap, ops::Range};

use futures::{StreamExt, TryStreamExt};
use prestage_proto::v1;
use prestage_store::{
    BuildId, Compose, ObjectKey, ObjectUrl, PackKey, Part, Recipe, StoreError, UploadToken,
    compose::{ComposeError, MAX_THROUGH_MEMORY},
    pack::PackReader,
    recipe::{RECIPE_LIMIT, RecipePart, SegmentSource},
};
use tokio::task::JoinHandle;

use super::{
    Tools,
    error::TaskError,
    seen::{open_seen, verify_bytes},
};
use crate::memory::Grant;

/// Bytes of one merge task: several workers share a medium, each asks seldom for more.
const TASK_BYTES: u64 = 2 << 30;
/// Parts that are checked at once, ahead of being placed.
const CHECKED_AT_ONCE: usize = 2;

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

/// The recipe of a build's volume (from 1), and its parts for an output.
pub async fn recipe_parts(
    build: &BuildId,
    volume: u32,
    output: &ObjectUrl,
    tools: &Tools,
) -> Result<(Recipe, Vec<RecipePart>), TaskError> {
    let key = build.recipe(volume);
    let recipe = tools.objects.get_whole(&key, RECIPE_LIMIT, |object| Recipe::decode(&object));
    let damaged = |error: &dyn std::fmt::Display| TaskError::Damaged {
        what: error.to_string(),
        place: key.as_str().to_owned(),
    };
    let recipe = recipe.await?.map_err(|error| damaged(&error))?;
    let rules = tools.composer.part_rules(output, &tools.objects);
    let parts = recipe.parts(&rules).map_err(|error| damaged(&error))?;
    Ok((recipe, parts))
}

/// Places the parts of one merge task. Parts are checked ahead while others are placed, and become
/// durable while more follow.
pub async fn merge(task: &v1::MergeTask, tools: &Tools) -> Result<v1::MergeResult, TaskError> {
    let build = build_id(&task.build_id)?;
    let output = output_url(&task.output)?;
    let (recipe, mut parts) = recipe_parts(&build, task.volume, &output, tools).await?;
    parts.retain(|part| (task.first..=task.last).contains(&part.number));
    let token = UploadToken::from(task.upload.clone());
    let glue = build.glue(task.volume);
    let source = Sources { recipe: &recipe, glue: &glue, tools };
    let mut placed = source.keep_placed(&mut parts, &token).await?;
    let packs = local_packs(&parts, &recipe, tools).await?;
    let (at_once, _memory) = placed_at_once(&parts, &output, tools).await?;
    let mut placing = futures::stream::iter(parts)
        .map(|part| verified(part, &packs, tools))
        .buffered(CHECKED_AT_ONCE)
        .map(|part| source.place(part, &token))
        .buffer_unordered(at_once);
    let mut settling = Settling::default();
    let (mut copied, mut uploaded) = (0, 0);
    while let Some(part) = placing.try_next().await? {
        copied += part.copied;
        uploaded += part.uploaded;
        placed.push(part.part);
        settling.go_on(&token, tools).await?;
    }
    drop(placing);
    settling.finish(&token, tools).await?;
    placed.sort_by_key(|placed| placed.part);
    let (bytes_copied, bytes_uploaded) = (copied, uploaded);
    Ok(v1::MergeResult { parts: placed, volume: task.volume, bytes_copied, bytes_uploaded })
}

/// How many parts are placed at once: as many as there is memory for, where they may go through it.
async fn placed_at_once(
    parts: &[RecipePart],
    output: &ObjectUrl,
    tools: &Tools,
) -> Result<(usize, Option<Grant>), TaskError> {
    let at_once = tools.composer.part_rules(output, &tools.objects).at_once;
    let longest = parts.iter().map(|part| part.len).max().unwrap_or(0);
    // Longer ones are copied by the store alone, as are those in a folder.
    let through_memory = (1..=MAX_THROUGH_MEMORY).contains(&longest) && at_once > 1;
    if !through_memory {
        return Ok((at_once, None));
    }
    let memory = tools.granted(at_once as u64 * longest).await?;
    let fitting = (memory.bytes() / longest).clamp(1, at_once as u64);
    Ok((fitting as usize, Some(memory)))
}

/// A part in its place, and the way that its bytes went.
struct Placed {
    part: v1::PlacedPart,
    copied: u64,
    uploaded: u64,
}

/// Where the bytes of a volume's parts lie.
struct Sources<'a> {
    recipe: &'a Recipe,
    glue: &'a ObjectKey,
    tools: &'a Tools,
}

impl Sources<'_> {
    fn bind(&self, part: &RecipePart) -> Part {
        self.recipe.bind(part, &self.tools.objects, self.glue)
    }

    /// Takes those of the parts out that an earlier try of this task left in place; gives these.
    async fn keep_placed(
        &self,
        parts: &mut Vec<RecipePart>,
        token: &UploadToken,
    ) -> Result<Vec<v1::PlacedPart>, TaskError> {
        let bound: Vec<_> = parts.iter().map(|part| self.bind(part)).collect();
        let receipts = self.tools.composer.placed(token, &bound).await?;
        let mut placed = Vec::new();
        for (part, receipt) in std::mem::take(parts).into_iter().zip(receipts) {
            match receipt {
                Some(receipt) => {
                    self.tools.advance(part.len);
                    placed.push(v1::PlacedPart { part: part.number, receipt: receipt.into() });
                }
                None => parts.push(part),
            }
        }
        Ok(placed)
    }

    async fn place(
        &self,
        part: Result<RecipePart, TaskError>,
        token: &UploadToken,
    ) -> Result<Placed, TaskError> {
        let (part, tools) = (part?, self.tools);
        if tools.is_cancelled() {
            return Err(TaskError::Cancelled);
        }
        let mut bound = self.bind(&part);
        let placed = match (tools.composer.place(token, &bound).await, part.source) {
            (
                Err(ComposeError::Store(StoreError::Changed { .. })),
                SegmentSource::Pack { key, offset },
            ) => {
                bound.source.if_match = self.written_again(&key, offset..offset + part.len).await?;
                tools.composer.place(token, &bound).await?
            }
            (placed, _) => placed?,
        };
        tools.advance(part.len);
        let copied = placed.copied;
        let (number, receipt) = (part.number, placed.receipt.into());
        let placed = v1::PlacedPart { part: number, receipt };
        Ok(Placed { part: placed, copied, uploaded: part.len - copied })
    }

    /// The tag of a pack that has another one than the recipe says, if these bytes of it are the same
    /// nevertheless: a worker that was too slow may have written it once more.
    async fn written_again(
        &self,
        key: &PackKey,
        bytes: Range<u64>,
    ) -> Result<Option<String>, TaskError> {
        let pack = open_seen(key, self.recipe, self.tools).await?;
        verify_bytes(&pack, bytes).await?;
        Ok(pack.seen().tag.clone())
    }
}

/// The packs of these parts that lie in a folder, each opened once.
async fn local_packs(
    parts: &[RecipePart],
    recipe: &Recipe,
    tools: &Tools,
) -> Result<HashMap<PackKey, PackReader>, TaskError> {
    let mut packs = HashMap::new();
    for part in parts {
        let SegmentSource::Pack { key, .. } = part.source else { continue };
        if packs.contains_key(&key) || tools.objects.local_path(&key.pack()).is_none() {
            continue;
        }
        packs.insert(key, open_seen(&key, recipe, tools).await?);
    }
    Ok(packs)
}

/// Checks the chunks of a pack that lies in a folder before they are copied: a disk may have
/// changed them since they were written. A bucket checks its own, and its bytes don't come here.
async fn verified(
    part: RecipePart,
    packs: &HashMap<PackKey, PackReader>,
    tools: &Tools,
) -> Result<RecipePart, TaskError> {
    let SegmentSource::Pack { key, offset } = part.source else { return Ok(part) };
    if tools.is_cancelled() {
        return Err(TaskError::Cancelled);
    }
    if let Some(pack) = packs.get(&key) {
        verify_bytes(pack, offset..offset + part.len).await?;
    }
    Ok(part)
}

/// Writes placed parts back while others are copied, one time after another.
#[derive(Default)]
struct Settling(Option<JoinHandle<Result<(), ComposeError>>>);

impl Settling {
    /// Begins anew if the last time is over.
    async fn go_on(&mut self, token: &UploadToken, tools: &Tools) -> Result<(), TaskError> {
        if let Some(running) = self.0.take_if(|running| running.is_finished()) {
            running.await.map_err(|_| TaskError::Cancelled)??;
        }
        if self.0.is_none() {
            let (composer, token) = (tools.composer.clone(), token.clone());
            self.0 = Some(tokio::spawn(async move { composer.settle(&token).await }));
        }
        Ok(())
    }

    /// Returns when all is durable.
    async fn finish(self, token: &UploadToken, tools: &Tools) -> Result<(), TaskError> {
        if let Some(running) = self.0 {
            running.await.map_err(|_| TaskError::Cancelled)??;
        }
        Ok(tools.composer.settle(token).await?)
    }
}

/// The build id of a task message.
pub fn build_id(text: &str) -> Result<BuildId, TaskError> {
    BuildId::new(text).map_err(|error| TaskError::BadTask(error.to_string()))
}

/// The output of a task message.
pub fn output_url(text: &str) -> Result<ObjectUrl, TaskError> {
    ObjectUrl::parse(text).map_err(|error| TaskError::BadTask(error.to_string()))
}
