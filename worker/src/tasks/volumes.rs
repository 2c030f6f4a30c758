//! The volumes of a medium: what each is closed with, its glue and recipe, its open composition.

use prestage_proto::v1;
use prestage_store::{
    BuildId, Compose, ObjectUrl, PutRule, Recipe, UploadToken,
    layout::{CopyRule, Layout, Volume},
    pack::PackReader,
    staging::Staged,
};
use prestage_wim::{
    Sha1Hash,
    codec::Codec,
    tail::{Closing, ClosingInput, EncodedMetadata},
};

use super::{
    Tools,
    error::TaskError,
    glue::Glue,
    inline::InlineFiles,
    medium_contents::MediumContents,
    merge::{output_url, part_ranges},
};

/// Where the volumes go.
pub struct OutputVolumes {
    output: ObjectUrl,
    split: bool,
}

impl OutputVolumes {
    /// Where a task wants them.
    pub fn new(task: &v1::AssembleTask) -> Result<Self, TaskError> {
        Ok(Self { output: output_url(&task.output)?, split: task.split_bytes > 0 })
    }

    /// The address of volume `number`, from 1.
    pub fn url(&self, number: u32) -> Result<ObjectUrl, TaskError> {
        if !self.split {
            return Ok(self.output.clone());
        }
        self.output.volume(number).map_err(|error| TaskError::BadTask(error.to_string()))
    }

    /// What the store there should copy.
    pub fn copy_rule(&self, tools: &Tools) -> CopyRule {
        let rules = tools.composer.part_rules(&self.output, &tools.objects);
        CopyRule::for_least_part(rules.min_bytes)
    }
}

/// What volumes are made of, besides the layout.
pub struct Assembly<'a> {
    /// The task.
    pub task: &'a v1::AssembleTask,
    /// Its build.
    pub build: &'a BuildId,
    /// The packs in the order of the layout.
    pub packs: &'a [PackReader],
    /// The medium's codec.
    pub codec: Codec,
    /// The image's metadata, which the first volume has.
    pub metadata: EncodedMetadata,
    /// Files in no pack, which the first volume has.
    pub inline: &'a InlineFiles,
}

impl Assembly<'_> {
    /// Plans head and tail of each volume. `xml` makes the text of the XML data, which all volumes
    /// have, given how many bytes lie before it in all of them together.
    pub fn close(
        &self,
        layout: &Layout,
        contents: &MediumContents,
        xml: impl FnOnce(u64) -> Result<String, TaskError>,
    ) -> Result<Vec<Closing>, TaskError> {
        let parts = u16::try_from(layout.volumes().len());
        let parts = parts.map_err(|_| TaskError::BadTask("it asks for too many volumes".into()))?;
        let mut inputs = Vec::with_capacity(parts.into());
        for ((part, volume), mut files) in
            (1..=parts).zip(layout.volumes()).zip(contents.blobs(layout))
        {
            let end = volume.payload_end();
            if part == 1 {
                files.extend(self.inline.blobs(end, contents));
            }
            inputs.push(ClosingInput {
                tail_start: end + self.inline_bytes(part.into()).len() as u64,
                files,
                metadata: &self.metadata,
                codec: self.codec,
                guid: self.task.wim_guid.as_ref().try_into().unwrap_or_default(),
                boot_index: 0,
                rpfix: self.task.rpfix,
                part,
                parts,
            });
        }
        let text = xml(inputs.iter().map(ClosingInput::resources_end).sum())?;
        Ok(inputs.into_iter().map(|input| Closing::plan(input, &text)).collect())
    }

    /// Writes glue and recipe of each volume, and opens the compositions.
    pub fn write(
        &self,
        layout: &Layout,
        closings: Vec<Closing>,
        output: &OutputVolumes,
        tools: &Tools,
    ) -> Result<Vec<v1::AssembledVolume>, TaskError> {
        let mut recipes = Vec::with_capacity(closings.len());
        for ((number, volume), closing) in (1..).zip(layout.volumes()).zip(closings) {
            let (glue, recipe) = self.glue(number, volume, closing, tools)?;
            if tools.is_cancelled() {
                return Err(TaskError::Cancelled);
            }
            tools.runtime.block_on(async {
                tools.put_staged(&self.build.glue(number), glue).await?;
                let encoded = recipe.encode();
                let key = self.build.recipe(number);
                tools.objects.put_small(&key, encoded, PutRule::Overwrite).await?;
                Ok::<_, TaskError>(())
            })?;
            recipes.push((number, volume.padding(), recipe));
        }
        let mut volumes = Vec::with_capacity(recipes.len());
        for (number, padding_bytes, recipe) in recipes {
            match open(output.url(number)?, &recipe, padding_bytes, tools) {
                Ok(volume) => volumes.push(volume),
                Err(error) => return Err(give_up(volumes, error, tools)),
            }
        }
        Ok(volumes)
    }

    fn glue(
        &self,
        number: u32,
        volume: &Volume,
        mut closing: Closing,
        tools: &Tools,
    ) -> Result<(Staged, Recipe), TaskError> {
        let inline = self.inline_bytes(number);
        let more = (inline.len() + closing.tail.len()) as u64;
        let mut glue = Glue::write(volume, more, self.packs, tools)?;
        glue.append(inline)?;
        glue.append(&closing.tail[..closing.covered])?;
        if self.task.integrity_table {
            let known = volume.known_chunks().iter().map(|known| {
                let digests = self.packs[known.pack].index().chunk_digests();
                (known.chunk, Sha1Hash(digests[known.pack_chunk as usize].sha1))
            });
            let hashes = glue.chunk_hashes(&known.collect(), closing.integrity_chunks())?;
            closing.add_integrity(&hashes);
        }
        glue.append(&closing.tail[closing.covered..])?;
        let glue = glue.finish(&closing.header.write())?;
        let recipe = volume
            .recipe(inline.len() as u64 + closing.tail.len() as u64)
            .map_err(|error| TaskError::BadTask(error.to_string()))?;
        let packs = self.packs.iter().map(|pack| (*pack.key(), pack.seen().clone()));
        Ok((glue, recipe.of_packs(packs)))
    }

    /// The bytes of inline files in volume `number`.
    fn inline_bytes(&self, number: u32) -> &[u8] {
        if number == 1 { &self.inline.bytes } else { &[] }
    }
}

fn open(
    output: ObjectUrl,
    recipe: &Recipe,
    padding_bytes: u64,
    tools: &Tools,
) -> Result<v1::AssembledVolume, TaskError> {
    let rules = tools.composer.part_rules(&output, &tools.objects);
    let parts = recipe.parts(&rules).map_err(|e| TaskError::BadTask(e.to_string()))?;
    let bytes = recipe.total_bytes();
    let upload = tools.runtime.block_on(tools.composer.begin(&output, bytes))?;
    Ok(v1::AssembledVolume {
        output: output.to_string(),
        bytes,
        padding_bytes,
        parts: part_ranges(&parts),
        upload: upload.into(),
    })
}

/// Frees the volumes that were opened before one could not be: nobody hears of them.
fn give_up(opened: Vec<v1::AssembledVolume>, error: TaskError, tools: &Tools) -> TaskError {
    for volume in opened {
        let token = UploadToken::from(volume.upload);
        if let Err(error) = tools.runtime.block_on(tools.composer.abort(&token)) {
            tracing::warn!(volume.output, %error, "the composition could not be given up");
        }
    }
    error
}
