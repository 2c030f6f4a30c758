//! Taking an OS image's resources over as they are. Blocking but for the small structures.
//!
//! The WIM file is read once, from its beginning to its end: every byte goes into its SHA-256, the
//! bytes of wanted resources go into the pack too. Nothing but the image's metadata is
//! decompressed.

use std::{collections::HashSet, fs::File, ops::Range, sync::Arc, sync::atomic::Ordering};

use object_store::{local::LocalFileSystem, path::Path as StorePath};
use prestage_proto::v1;
use prestage_store::pack::{PackContents, PackFacts, PackWriter, ResourceEntry};
use prestage_wim::{Blob, ObjectSource, Wim, metadata::ImageTree};
use sha2::{Digest, Sha256};

use super::{
    Tools,
    content::{self, SourceProblem, sha256_of, wrong_hash},
    encode::MadePack,
    error::TaskError,
};

/// Bytes read at once where nothing is copied.
const PIECE: usize = 1 << 20;

/// A spliced pack, and the proof that it was one.
pub struct Spliced {
    /// The pack, with the image's tree and XML data in its index.
    pub made: MadePack,
    /// File resources whose content was looked at: none.
    pub file_resources_decompressed: u64,
}

/// Splices from the first source that has the WIM right.
pub fn splice(task: &v1::SpliceTask, tools: &Tools) -> Result<Spliced, TaskError> {
    let listed = task.wim.as_ref();
    let listed = listed.ok_or_else(|| TaskError::BadTask("it names no WIM".into()))?;
    content::from_first_good(&task.content_id, &task.sources, |source| {
        let path = content::locate(source, listed)?;
        let file = File::open(&path)
            .map_err(|error| SourceProblem::Unreadable(format!("'{}': {error}", listed.path)))?;
        let wim = open_wim(&path, listed, tools)?;
        let metadata = tools
            .runtime
            .block_on(wim.metadata(task.image_index))
            .map_err(|error| wim_problem(listed, error))?;
        let wanted = wanted_blobs(&wim, &metadata).map_err(|error| wim_problem(listed, error))?;
        let writer = tools.pack_writer()?;
        let made = copy_wanted(&file, listed, &wanted, writer, tools)?;
        let mut made = made;
        made.contents.tree = Some(metadata);
        made.contents.xml = Some(wim.xml.clone().into_bytes());
        made.contents.facts = PackFacts {
            content_id: task.content_id.clone(),
            codec: "as in the OS image".into(),
            ..PackFacts::default()
        };
        Ok(Spliced { made, file_resources_decompressed: wim.file_resources_decompressed() })
    })
}

/// Opens the WIM at `path` by ranges.
pub fn open_wim(
    path: &std::path::Path,
    listed: &v1::ListedFile,
    tools: &Tools,
) -> Result<Arc<Wim>, SourceProblem> {
    let opened = tools.runtime.block_on(async {
        let path = StorePath::from_absolute_path(path).map_err(object_store::Error::from)?;
        let source = ObjectSource::open(Arc::new(LocalFileSystem::new()), path).await?;
        Wim::open(Arc::new(source)).await
    });
    opened.map(Arc::new).map_err(|error| wim_problem(listed, error))
}

/// A damaged copy may be whole elsewhere; a WIM that can't be spliced is the same everywhere.
pub fn wim_problem(listed: &v1::ListedFile, error: prestage_wim::WimError) -> SourceProblem {
    use prestage_wim::WimError::{Malformed, Truncated, WrongHash};
    match error {
        Malformed { .. } | Truncated { .. } | WrongHash { .. } => {
            SourceProblem::WrongContent(format!("'{}' is damaged: {error}", listed.path))
        }
        error => TaskError::wim(listed.path.clone())(error).into(),
    }
}

/// The resources that the image names, by their offset in the WIM.
fn wanted_blobs(wim: &Wim, metadata: &[u8]) -> prestage_wim::Result<Vec<Blob>> {
    let tree = ImageTree::parse(metadata.to_vec())?;
    let references = tree.references();
    let mut seen = HashSet::new();
    let files = wim.blobs.iter().filter(|blob| !blob.resource.metadata);
    let mut wanted: Vec<Blob> = files
        .filter(|blob| references.contains_key(&blob.sha1) && seen.insert(blob.sha1))
        .copied()
        .collect();
    if let Some(missing) = references.keys().find(|sha1| !seen.contains(sha1)) {
        return Err(prestage_wim::WimError::Malformed {
            structure: "blob table",
            offset: wim.header.blob_table.offset,
            problem: format!("the content {missing} of a file is in no resource"),
        });
    }
    wanted.sort_by_key(|blob| blob.resource.offset);
    Ok(wanted)
}

fn copy_wanted(
    file: &File,
    listed: &v1::ListedFile,
    wanted: &[Blob],
    mut writer: PackWriter,
    tools: &Tools,
) -> Result<MadePack, SourceProblem> {
    let mut hasher = Sha256::new();
    let mut at = 0;
    let mut resources = Vec::with_capacity(wanted.len());
    for blob in wanted {
        let start = blob.resource.offset;
        let end = blob.resource.end().map_err(|error| wim_problem(listed, error))?;
        if start < at {
            let problem = "two resources overlap".to_owned();
            return Err(SourceProblem::WrongContent(format!("'{}': {problem}", listed.path)));
        }
        hash_range(file, at..start, &mut hasher, listed, tools)?;
        let offset = writer.position();
        writer
            .copy_from(file, start..end, |bytes| {
                hasher.update(bytes);
                tools.progress.bytes_done.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            })
            .map_err(TaskError::from)?;
        resources.push(ResourceEntry {
            sha1: blob.sha1.0,
            sha256: None,
            offset,
            stored_bytes: blob.resource.stored_bytes,
            original_bytes: blob.resource.original_bytes,
            compressed: blob.resource.compressed,
        });
        at = end;
        if tools.is_cancelled() {
            return Err(TaskError::Cancelled.into());
        }
    }
    hash_range(file, at..listed.size, &mut hasher, listed, tools)?;
    let actual: [u8; 32] = hasher.finalize().into();
    if actual != sha256_of(listed)? {
        return Err(wrong_hash(listed, &actual));
    }
    let pack = writer.finish().map_err(TaskError::from)?;
    let contents = PackContents {
        pack_bytes: pack.bytes(),
        chunk_digests: pack.chunk_digests().to_vec(),
        resources,
        ..PackContents::default()
    };
    Ok(MadePack { pack, contents, bytes_read: listed.size })
}

/// Hashes bytes that the image doesn't use.
fn hash_range(
    file: &File,
    range: Range<u64>,
    hasher: &mut Sha256,
    listed: &v1::ListedFile,
    tools: &Tools,
) -> Result<(), SourceProblem> {
    use std::os::unix::fs::FileExt;
    let mut piece = vec![0; PIECE.min((range.end - range.start) as usize)];
    let mut at = range.start;
    while at < range.end {
        let wanted = piece.len().min((range.end - at) as usize);
        file.read_exact_at(&mut piece[..wanted], at).map_err(|error| {
            SourceProblem::WrongContent(format!("'{}' at byte {at}: {error}", listed.path))
        })?;
        hasher.update(&piece[..wanted]);
        at += wanted as u64;
        tools.progress.bytes_done.fetch_add(wanted as u64, Ordering::Relaxed);
        if tools.is_cancelled() {
            return Err(TaskError::Cancelled.into());
        }
    }
    Ok(())
}
