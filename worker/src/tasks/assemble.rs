//! Assembling: the medium's tree, layout, head and tail. Blocking.
//!
//! Everything but the whole chunks of packs is written here, into the *glue*; the merge that
//! follows only copies ranges.

use std::collections::HashMap;

use prestage_proto::v1;
use prestage_store::{
    BuildId, Compose, PackKey, PutRule,
    layout::{Extent, Layout, LayoutPack},
    pack::{PackReader, ResourceEntry},
};
use prestage_wim::{
    Blob, ResourceHeader, Sha1Hash,
    codec::{Encoder, FileToEncode, MemorySink},
    metadata::ImageTree,
    tail::{Closing, ClosingInput},
    xml,
};
use prost::Message;

use super::{
    Tools,
    encode::codec_of,
    error::TaskError,
    glue::GlueWriter,
    graft::{add_file, contents_by_sha256, graft},
    merge::{build_id, output_url, part_ranges},
    owners::{Owner, owners},
};

const PLACEMENTS_BYTES_MAX: u64 = 1 << 30;

/// Assembles a medium and opens its composition.
pub fn assemble(task: &v1::AssembleTask, tools: &Tools) -> Result<v1::AssembleResult, TaskError> {
    let build = build_id(&task.build_id)?;
    let codec = codec_of(task.codec)?;
    let placements = tools
        .runtime
        .block_on(async { tools.objects.get(&build.placements(), PLACEMENTS_BYTES_MAX).await })?;
    let placements = v1::Placements::decode(placements)
        .map_err(|error| damaged(error, build.placements().as_str()))?;
    let packs = open_packs(task, &placements, tools)?;
    let mut tree = parse_tree(&packs[0], task)?;
    graft_all(&mut tree, task, &placements, &packs)?;
    let (inline, inline_files) = encode_inline(&mut tree, &placements, task, tools)?;

    let references = tree.references();
    let owners = owners(&packs, &references, codec, tools)?;
    let (layout, mut blobs) = lay_out(&packs, &owners, &references)?;
    let inline_start = layout.payload_end();
    for (sha1, mut resource) in inline_files {
        // A file that is in a pack too is referenced there.
        if !owners.contains_key(&sha1) {
            resource.offset += inline_start;
            let references = references.get(&sha1).copied().unwrap_or(0);
            blobs.push(Blob::new(resource, references, sha1));
        }
    }
    blobs.sort_by_key(|blob| blob.resource.offset);

    let sizes: HashMap<Sha1Hash, u64> =
        blobs.iter().map(|blob| (blob.sha1, blob.resource.original_bytes)).collect();
    let statistics = tree.statistics(|sha1| sizes.get(sha1).copied().unwrap_or(0));
    let image = xml::NewImageInfo { name: task.image_name.clone(), time: task.created, statistics };
    let os_xml = packs[0].index().xml().unwrap_or_default();
    let os_xml = String::from_utf8_lossy(os_xml).into_owned();
    let metadata = [tree.write()];
    let input = ClosingInput {
        tail_start: inline_start + inline.len() as u64,
        files: blobs,
        metadata: &metadata,
        codec,
        guid: task.wim_guid.as_ref().try_into().unwrap_or_default(),
        boot_index: 0,
        rpfix: task.rpfix,
    };
    let closing = Closing::plan(input, &tools.pool, |end| {
        xml::grafted(&os_xml, task.os_image_index, &image, end)
    });
    let closing = closing.map_err(TaskError::wim(&task.os_content_id))?;
    finish(task, &build, &packs, &layout, &inline, closing, tools)
}

/// Writes glue and recipe, and opens the composition.
fn finish(
    task: &v1::AssembleTask,
    build: &BuildId,
    packs: &[PackReader],
    layout: &Layout,
    inline: &[u8],
    mut closing: Closing,
    tools: &Tools,
) -> Result<v1::AssembleResult, TaskError> {
    let mut glue = GlueWriter::begin(packs, tools)?;
    glue.payload(layout)?;
    glue.covered(inline, layout.payload_end())?;
    let tail_start = layout.payload_end() + inline.len() as u64;
    let covered = closing.tail[..closing.covered].to_vec();
    glue.covered(&covered, tail_start)?;
    if task.integrity_table {
        let known = layout.known_chunks().map(|known| {
            let digests = packs[known.pack].index().chunk_digests()[known.pack_chunk as usize];
            (known.chunk, Sha1Hash(digests.sha1))
        });
        let hashes = glue.chunk_hashes(known, closing.integrity_chunks())?;
        closing.add_integrity(&hashes);
    }
    let rest = &closing.tail[closing.covered..];
    let glue = glue.finish(rest, &closing.header.write())?.finish()?;
    let recipe = layout
        .recipe(inline.len() as u64 + closing.tail.len() as u64)
        .map_err(|error| TaskError::BadTask(error.to_string()))?;
    if tools.is_cancelled() {
        return Err(TaskError::Cancelled);
    }
    tools.runtime.block_on(async {
        tools.objects.put_staged(&build.glue(), glue).await?;
        let encoded = recipe.encode();
        tools.objects.put_small(&build.recipe(), encoded, PutRule::Overwrite).await?;
        Ok::<_, TaskError>(())
    })?;
    let output = output_url(&task.output)?;
    let medium_bytes = recipe.total_bytes();
    let rules = tools.composer.part_rules(&output, &tools.objects);
    let parts = recipe.parts(&rules).map_err(|e| TaskError::BadTask(e.to_string()))?;
    let upload = tools.runtime.block_on(tools.composer.begin(&output, medium_bytes))?;
    Ok(v1::AssembleResult {
        medium_bytes,
        padding_bytes: layout.padding(),
        parts: part_ranges(&parts),
        upload: upload.into(),
    })
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

type InlineResource = (Sha1Hash, ResourceHeader);

/// Encodes the few small files that are on no distribution point; their offsets are still
/// relative to the first of them.
fn encode_inline(
    tree: &mut ImageTree,
    placements: &v1::Placements,
    task: &v1::AssembleTask,
    tools: &Tools,
) -> Result<(Vec<u8>, Vec<InlineResource>), TaskError> {
    let encoder = Encoder::new(codec_of(task.codec)?, tools.pool.clone());
    let mut sink = MemorySink::default();
    let mut resources: Vec<InlineResource> = Vec::new();
    for file in &placements.inline_files {
        let at = TaskError::wim;
        let sha1 = Sha1Hash::of(&file.content);
        if !file.content.is_empty() && !resources.iter().any(|(known, _)| *known == sha1) {
            let content = file.content.clone();
            let input = FileToEncode {
                bytes: content.len() as u64,
                open: Box::new(move || Ok(Box::new(std::io::Cursor::new(content.clone())))),
            };
            let encoded = encoder.encode(&[input], &mut sink, &Default::default());
            for encoded in encoded.map_err(|(_, error)| at(&file.path)(error))? {
                let resource = ResourceHeader {
                    offset: encoded.offset,
                    stored_bytes: encoded.stored_bytes,
                    original_bytes: encoded.original_bytes,
                    compressed: encoded.compressed,
                    ..Default::default()
                };
                resources.push((encoded.sha1, resource));
            }
        }
        let sha1 = if file.content.is_empty() { Sha1Hash::ZERO } else { sha1 };
        add_file(tree, &file.path, file.attributes, task.created, sha1, task.created)
            .map_err(at(&file.path))?;
    }
    Ok((sink.0, resources))
}

fn lay_out(
    packs: &[PackReader],
    owners: &HashMap<Sha1Hash, Owner>,
    references: &HashMap<Sha1Hash, u32>,
) -> Result<(Layout, Vec<Blob>), TaskError> {
    let mut owned: Vec<Vec<(Sha1Hash, ResourceEntry)>> = vec![Vec::new(); packs.len()];
    for (&sha1, owner) in owners {
        owned[owner.pack].push((sha1, owner.resource));
    }
    for resources in &mut owned {
        resources.sort_by_key(|(_, resource)| resource.offset);
    }
    let inputs: Vec<LayoutPack> = packs
        .iter()
        .zip(&owned)
        .map(|(pack, resources)| LayoutPack {
            key: *pack.key(),
            bytes: pack.index().pack_bytes(),
            resources: resources
                .iter()
                .map(|(_, resource)| Extent {
                    offset: resource.offset,
                    bytes: resource.stored_bytes,
                })
                .collect(),
        })
        .collect();
    let layout = Layout::plan(&inputs).map_err(|error| damaged(&error, &error.pack.to_string()))?;
    let mut blobs = Vec::with_capacity(owners.len());
    for (pack, resources) in owned.iter().enumerate() {
        for ((sha1, resource), &offset) in resources.iter().zip(layout.offsets(pack)) {
            let resource = ResourceHeader {
                offset,
                stored_bytes: resource.stored_bytes,
                original_bytes: resource.original_bytes,
                compressed: resource.compressed,
                ..Default::default()
            };
            blobs.push(Blob::new(resource, references[sha1], *sha1));
        }
    }
    Ok((layout, blobs))
}
