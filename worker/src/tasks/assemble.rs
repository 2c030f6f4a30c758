//! Assembling: the medium's tree, layout, heads and tails. Blocking.
//!
//! Everything but what the store copies from packs is written here, into the *glue*; the merge that
//! follows only copies ranges.

use bytes::Bytes;
use prestage_proto::v1;
use prestage_store::{
    BuildId, PackKey,
    layout::{LayoutError, VolumeRoom},
    pack::PackReader,
    whole::check_digest,
};
use prestage_wim::{
    Sha1Hash,
    metadata::ImageTree,
    tail::{EncodedMetadata, entries_bytes, tables_bytes},
    xml,
};
use prost::Message;

use super::{
    Tools,
    encode::codec_of,
    error::TaskError,
    graft::{contents_by_sha256, graft},
    inline::InlineFiles,
    medium_contents::MediumContents,
    merge::build_id,
    owners::owners,
    seen::message,
    volumes::{Assembly, OutputVolumes},
};

const PLACEMENTS_BYTES_MAX: u64 = 1 << 30;

/// Assembles a medium and opens the composition of each of its volumes.
pub fn assemble(task: &v1::AssembleTask, tools: &Tools) -> Result<v1::AssembleResult, TaskError> {
    let build = build_id(&task.build_id)?;
    let codec = codec_of(task.codec)?;
    let placements = read_placements(&build, tools)?;
    let packs = open_packs(task, &placements, tools)?;
    let mut tree = parse_tree(&packs[0], task)?;
    graft_all(&mut tree, task, &placements, &packs)?;
    let inline = InlineFiles::add_to(&mut tree, &placements, task, tools)?;
    let references = tree.references();
    let owners = owners(&packs, &references, codec, tools)?;
    let contents = MediumContents::new(owners, packs.len(), references);
    let at_os = TaskError::wim(&task.os_content_id);
    let metadata =
        EncodedMetadata::encode(codec, vec![tree.write()], &tools.pool).map_err(at_os)?;
    let xml = MediumXml::new(task, &packs[0], &tree, &contents, &inline);
    let output = OutputVolumes::new(task)?;
    let room = volume_room(task, &inline, &metadata, &xml)?;
    let layout = contents.lay_out(&packs, output.copy_rule(tools), room);
    let layout = layout.map_err(|error| layout_problem(error, task, &tree, &contents))?;
    let assembly =
        Assembly { task, build: &build, packs: &packs, codec, metadata, inline: &inline };
    let closings = assembly.close(&layout, &contents, |total| xml.text(total))?;
    let volumes = assembly.write(&layout, closings, &output, tools)?;
    let packs = packs.iter().map(message).collect();
    Ok(v1::AssembleResult { volumes, packs })
}

/// What the XML data is made of.
struct MediumXml<'a> {
    os: String,
    image: xml::NewImageInfo,
    task: &'a v1::AssembleTask,
}

impl<'a> MediumXml<'a> {
    fn new(
        task: &'a v1::AssembleTask,
        os: &PackReader,
        tree: &ImageTree,
        contents: &MediumContents,
        inline: &InlineFiles,
    ) -> Self {
        let size = |sha1: &Sha1Hash| contents.size(sha1).or_else(|| inline.size(sha1)).unwrap_or(0);
        let statistics = tree.statistics(size);
        let image = xml::NewImageInfo {
            name: task.image_name.clone(),
            description: task.image_description.clone(),
            time: task.created,
            statistics,
        };
        let os = String::from_utf8_lossy(os.index().xml().unwrap_or_default()).into_owned();
        Self { os, image, task }
    }

    /// The text, given how many bytes lie before the XML data, those of all volumes together.
    fn text(&self, total: u64) -> Result<String, TaskError> {
        let text = xml::grafted(&self.os, self.task.os_image_index, &self.image, total);
        text.map_err(TaskError::wim(&self.task.os_content_id))
    }
}

/// The room in the volumes of a medium that is to be split.
fn volume_room(
    task: &v1::AssembleTask,
    inline: &InlineFiles,
    metadata: &EncodedMetadata,
    xml: &MediumXml<'_>,
) -> Result<Option<VolumeRoom>, TaskError> {
    let volume = task.split_bytes;
    if volume == 0 {
        return Ok(None);
    }
    // No number is longer than this one.
    let other_tail = tables_bytes(&xml.text(u64::MAX)?, task.integrity_table, volume);
    let first_tail = other_tail + inline.tail_bytes() + metadata.tail_bytes();
    Ok(Some(VolumeRoom { volume, first_tail, other_tail, entry: entries_bytes(1) }))
}

/// Names the file when one is too large for a volume.
fn layout_problem(
    error: LayoutError,
    task: &v1::AssembleTask,
    tree: &ImageTree,
    contents: &MediumContents,
) -> TaskError {
    let split_mib = task.split_bytes >> 20;
    match error {
        LayoutError::LargeResource { pack, resource, bytes, room } => {
            let sha1 = contents.content(pack, resource);
            let path = path_of(tree, &sha1).unwrap_or_else(|| sha1.to_string());
            TaskError::LargeFile { path, bytes, room, split_mib }
        }
        LayoutError::LargeTail { tail, .. } => TaskError::LargeTree { bytes: tail, split_mib },
        LayoutError::Damaged { pack, .. } => damaged(&error, &pack.to_string()),
    }
}

/// The first file with this content.
fn path_of(tree: &ImageTree, sha1: &Sha1Hash) -> Option<String> {
    let has_it = |node| tree.entry(node).streams().iter().any(|stream| stream.sha1 == *sha1);
    tree.walk().into_iter().find(|(_, node)| has_it(*node)).map(|(path, _)| path)
}

fn read_placements(build: &BuildId, tools: &Tools) -> Result<v1::Placements, TaskError> {
    let key = build.placements();
    let open = |object: Bytes| {
        check_digest(&object).map_err(|error| error.to_string())?;
        v1::Placements::decode(object).map_err(|error| error.to_string())
    };
    let read = tools.objects.get_whole(&key, PLACEMENTS_BYTES_MAX, open);
    tools.runtime.block_on(read)?.map_err(|error| damaged(error, key.as_str()))
}

fn damaged(error: impl std::fmt::Display, place: &str) -> TaskError {
    TaskError::Damaged { what: format!("an object can't be read: {error}"), place: place.into() }
}

/// The packs of the medium, each once: the OS image's first, then the boot image's, then the
/// contents' in the order of the plan.
fn open_packs(
    task: &v1::AssembleTask,
    placements: &v1::Placements,
    tools: &Tools,
) -> Result<Vec<PackReader>, TaskError> {
    let contents = placements.placements.iter().flat_map(|placement| &placement.pack_keys);
    let mut seen = std::collections::HashSet::new();
    let keys = [&task.os_pack_key, &task.boot_pack_key].into_iter().chain(contents);
    let mut packs = Vec::new();
    for key in keys.filter(|key| seen.insert(key.as_str().to_owned())) {
        let parsed: PackKey = key.parse().map_err(|error| damaged(error, key))?;
        let pack = tools.runtime.block_on(tools.objects.open_pack(&parsed))?;
        packs.push(pack.ok_or_else(|| damaged("the pack is missing", key))?);
    }
    Ok(packs)
}

fn parse_tree(os: &PackReader, task: &v1::AssembleTask) -> Result<ImageTree, TaskError> {
    let tree = os.index().tree().unwrap_or_default().to_vec();
    ImageTree::parse(tree).map_err(TaskError::wim(&task.os_content_id))
}

fn graft_all(
    tree: &mut ImageTree,
    task: &v1::AssembleTask,
    placements: &v1::Placements,
    packs: &[PackReader],
) -> Result<(), TaskError> {
    let contents = contents_by_sha256(packs.iter());
    let boot = packs.iter().find(|pack| pack.key().to_string() == task.boot_pack_key);
    let boot = boot.and_then(|pack| pack.index().tree()).unwrap_or_default();
    let boot = v1::Placement::decode(boot).map_err(|error| damaged(error, &task.boot_pack_key))?;
    for placement in std::iter::once(&boot).chain(&placements.placements) {
        graft(tree, placement, &contents, task.created)?;
    }
    Ok(())
}
