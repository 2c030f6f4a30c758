//! The boot image as `sources/boot.wim`, and the boot files taken out of it. Blocking.

use std::sync::Arc;

use bytes::Bytes;
use prestage_media::{
    boot_files::{Architecture, BootFile, boot_files},
    volume,
};
use prestage_proto::v1;
use prestage_store::pack::ResourceEntry;
use prestage_wim::{
    Blob, Wim,
    codec::{Codec, FileToEncode},
    metadata::{ATTRIBUTE_DIRECTORY, ImageTree},
};
use prost::Message;

use super::{
    Tools,
    content::{self, SourceProblem},
    encode::{self, MadePack, codec_of},
    error::TaskError,
    sink::PackSink,
    source_wim::{SourceWim, wim_problem},
};

/// A boot file is a few MiB; one of more is no boot file.
const BOOT_FILE_BYTES_MAX: u64 = 32 << 20;
/// All of them together, generously: room that is reserved on the disk.
const BOOT_FILES_BYTES: u64 = 128 << 20;

/// A file found in the boot image.
struct Found {
    file: &'static BootFileSource,
    blob: Blob,
    attributes: u32,
    modified: u64,
}

type BootFileSource = [&'static str];

/// Encodes the boot image and its boot files from the first source that has it right. The pack's
/// index carries, in place of a tree, the placement of its files.
pub fn boot(task: &v1::BootTask, tools: &Tools) -> Result<MadePack, TaskError> {
    let listed = task.wim.as_ref();
    let listed = listed.ok_or_else(|| TaskError::BadTask("it names no WIM".into()))?;
    let codec = codec_of(task.codec)?;
    content::from_first_good(&task.content_id, &task.sources, tools, |source| {
        let mut sink = PackSink::new(tools.pack_writer(listed.size + BOOT_FILES_BYTES)?);
        // First the whole file, so that its SHA-256 is checked before anything is taken out of it.
        let files = [content::to_encode(source, listed, tools)?];
        let whole = std::slice::from_ref(listed);
        let mut resources = encode::encode_listed(whole, &files, codec, &mut sink, tools)?;
        let wim = SourceWim::open(source, whole, tools)?.wim;
        let mut placement = v1::Placement {
            pack_keys: vec![task.pack_key.clone()],
            content_id: task.content_id.clone(),
            ..Default::default()
        };
        placement.files.push(v1::PlacedFile {
            path: volume::BOOT_IMAGE.into(),
            sha256: listed.sha256.clone(),
            attributes: listed.attributes,
            modified: listed.modified,
            size: listed.size,
        });
        let found = find_boot_files(&wim, listed, task, tools)?;
        encode_boot_files(&wim, listed, &found, codec, &mut sink, tools, |resource, found| {
            for target in found.file {
                placement.files.push(v1::PlacedFile {
                    path: (*target).to_owned(),
                    sha256: resource.sha256.map(|hash| hash.to_vec()).unwrap_or_default().into(),
                    attributes: found.attributes,
                    modified: found.modified,
                    size: resource.original_bytes,
                });
            }
            // The same file under another name (a font, the UEFI manager) is there already.
            if !resources.iter().any(|known| known.sha256 == resource.sha256) {
                resources.push(resource);
            }
        })?;
        let mut made = encode::finish(sink, resources, encode::facts(&task.content_id, codec))?;
        made.contents.tree = Some(placement.encode_to_vec());
        Ok(made)
    })
}

fn find_boot_files(
    wim: &Wim,
    listed: &v1::ListedFile,
    task: &v1::BootTask,
    tools: &Tools,
) -> Result<Vec<Found>, SourceProblem> {
    let problem = |error| wim_problem(listed, error);
    let mut tree = tools.runtime.block_on(wim.tree(task.image_index)).map_err(problem)?;
    let images = wim.images().map_err(problem)?;
    let image = images.iter().find(|image| image.index == task.image_index);
    let architecture = image.and_then(|image| image.architecture).unwrap_or(9);
    let architecture = Architecture::from_number(architecture).ok_or_else(|| {
        let what = format!("boot images of architecture {architecture}");
        let advice = "use an x64 or x86 boot image";
        TaskError::wim(&listed.path)(prestage_wim::WimError::NotSupported { what, advice })
    })?;
    let blobs = wim.blobs_by_sha1();
    let mut found = Vec::new();
    for file in boot_files(architecture) {
        match find_one(&mut tree, &file) {
            Some((sha1, attributes, modified)) => {
                let Some(&blob) = blobs.get(&sha1) else {
                    continue;
                };
                found.push(Found { file: file.targets, blob, attributes, modified });
            }
            None if file.required => {
                return Err(TaskError::BootFileMissing {
                    content_id: task.content_id.clone(),
                    candidates: file.sources.join(", "),
                    target: file.targets.join(", "),
                }
                .into());
            }
            None => {}
        }
    }
    Ok(found)
}

fn find_one(tree: &mut ImageTree, file: &BootFile) -> Option<(prestage_wim::Sha1Hash, u32, u64)> {
    file.sources.iter().find_map(|source| {
        let node = tree.find(source)?;
        let entry = tree.entry(node);
        let data = entry.streams().into_iter().find(|stream| stream.name.is_none())?;
        let is_file = entry.attributes() & ATTRIBUTE_DIRECTORY == 0 && !data.sha1.is_zero();
        is_file.then(|| (data.sha1, entry.attributes(), entry.times()[2]))
    })
}

fn encode_boot_files(
    wim: &Arc<Wim>,
    listed: &v1::ListedFile,
    found: &[Found],
    codec: Codec,
    sink: &mut PackSink,
    tools: &Tools,
    mut placed: impl FnMut(ResourceEntry, &Found),
) -> Result<(), SourceProblem> {
    let (encoder, _memory) = tools.encoder(codec)?;
    for one in found {
        let content = tools.runtime.block_on(async {
            wim.read_blob(&one.blob).await?.read_all(BOOT_FILE_BYTES_MAX).await
        });
        let content = Bytes::from(content.map_err(|error| wim_problem(listed, error))?);
        let file = FileToEncode {
            bytes: content.len() as u64,
            open: Box::new(move || Ok(Box::new(std::io::Cursor::new(content.clone())))),
        };
        let encoded = encoder
            .encode(&[file], sink, &Default::default())
            .map_err(|(_, error)| TaskError::wim(&listed.path)(error))?;
        for encoded in encoded {
            if encoded.sha1 != one.blob.sha1 {
                let problem = format!("'{}': a boot file in it is damaged", listed.path);
                return Err(SourceProblem::WrongContent(problem));
            }
            placed(encode::resource(&encoded), one);
        }
    }
    Ok(())
}
