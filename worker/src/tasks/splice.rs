//! Taking an OS image over. Blocking but for the small structures.
//!
//! Where its resources can be taken as they are, each file of the WIM is read once, from its
//! beginning to its end: every byte goes into its SHA-256, the bytes of wanted resources go into
//! the pack too. Nothing but the image's metadata is decompressed. Other images are encoded anew
//! ([`super::reencode`]).

use std::{collections::HashSet, io::Read};

use prestage_proto::v1;
use prestage_store::pack::{PackContents, PackFacts, PackWriteError, PackWriter, ResourceEntry};
use prestage_wim::{Blob, Wim, WimError, metadata::ImageTree};
use sha2::{Digest, Sha256};

use super::{
    Tools,
    content::{self, SourceProblem, sha256_of, wrong_hash},
    encode::{self, MadePack, codec_of},
    error::TaskError,
    reencode::reencode,
    source_wim::{SourceWim, WimFile, unreadable},
};

/// Bytes read at once where nothing is copied.
const PIECE: usize = 1 << 20;

/// An OS image's pack, and how it was made.
pub struct Spliced {
    /// The pack, with the image's tree and XML data in its index.
    pub made: MadePack,
    /// File resources whose content was looked at: none, unless the image was encoded anew.
    pub file_resources_decompressed: u64,
}

/// Makes the pack from the first source that has the WIM right.
pub fn splice(task: &v1::SpliceTask, tools: &Tools) -> Result<Spliced, TaskError> {
    content::from_first_good(&task.content_id, &task.sources, tools, |source| {
        let opened = SourceWim::open(source, &task.wim, tools)?;
        let wim = opened.wim.clone();
        let metadata = tools.runtime.block_on(wim.metadata(task.image_index));
        let metadata = metadata.map_err(|error| opened.problem(error))?;
        let wanted = wanted_blobs(&wim, &metadata).map_err(|error| opened.problem(error))?;
        let (mut made, facts) = if task.codec.is_some() {
            let codec = codec_of(task.codec)?;
            let made = reencode(&opened, wanted, codec, tools)?;
            (made, encode::facts(&task.content_id, codec))
        } else {
            let content_id = task.content_id.clone();
            let codec = "as in the OS image".into();
            let facts = PackFacts { content_id, codec, ..PackFacts::default() };
            (copy_wanted(&opened, wanted, tools)?, facts)
        };
        made.contents.facts = facts;
        made.contents.tree = Some(metadata);
        made.contents.xml = Some(wim.xml.clone().into_bytes());
        Ok(Spliced { made, file_resources_decompressed: wim.file_resources_decompressed() })
    })
}

/// The contents that the image names, each once.
fn wanted_blobs(wim: &Wim, metadata: &[u8]) -> prestage_wim::Result<Vec<Blob>> {
    let tree = ImageTree::parse(metadata.to_vec())?;
    let references = tree.references();
    let mut seen = HashSet::new();
    let files = wim.blobs.iter().filter(|blob| !blob.resource.metadata);
    let wanted: Vec<Blob> = files
        .filter(|blob| references.contains_key(&blob.sha1) && seen.insert(blob.sha1))
        .copied()
        .collect();
    if let Some(missing) = references.keys().find(|sha1| !seen.contains(sha1)) {
        return Err(WimError::Malformed {
            structure: "blob table",
            offset: wim.header.blob_table.offset,
            problem: format!("the content {missing} of a file is in no resource"),
        });
    }
    Ok(wanted)
}

fn copy_wanted(
    opened: &SourceWim<'_>,
    mut wanted: Vec<Blob>,
    tools: &Tools,
) -> Result<MadePack, SourceProblem> {
    if let Some(obstacle) = opened.wim.splice_obstacle() {
        let problem = format!("an image that can't be spliced was to be: {obstacle}");
        return Err(TaskError::BadTask(problem).into());
    }
    wanted.sort_by_key(|blob| (blob.part, blob.resource.offset));
    let mut stored = 0;
    for number in 1..=opened.wim.header.parts {
        stored += opened.part(number)?.listed.size;
    }
    let mut copier = Copier { writer: tools.pack_writer(stored)?, resources: Vec::new(), tools };
    let mut bytes_read = 0;
    for number in 1..=opened.wim.header.parts {
        let here = wanted.iter().filter(|blob| blob.part == number);
        let part = opened.part(number)?;
        copier.part(part, here)?;
        bytes_read += part.listed.size;
    }
    let pack = copier.writer.finish().map_err(TaskError::from)?;
    let contents = PackContents {
        pack_bytes: pack.bytes(),
        chunk_digests: pack.chunk_digests().to_vec(),
        resources: copier.resources,
        ..PackContents::default()
    };
    Ok(MadePack { pack, contents, bytes_read })
}

/// Copies resources into a pack.
struct Copier<'a> {
    writer: PackWriter,
    resources: Vec<ResourceEntry>,
    tools: &'a Tools,
}

impl Copier<'_> {
    /// Copies those of one file, in the order of their offsets.
    fn part<'a>(
        &mut self,
        part: &WimFile<'_>,
        wanted: impl Iterator<Item = &'a Blob>,
    ) -> Result<(), SourceProblem> {
        let (mut file, listed) = (part.open()?, part.listed);
        let mut hasher = Sha256::new();
        let mut at = 0;
        for blob in wanted {
            let start = blob.resource.offset;
            let end = start.saturating_add(blob.resource.stored_bytes);
            if start < at {
                let problem = "two resources overlap".to_owned();
                return Err(SourceProblem::WrongContent(format!("'{}': {problem}", listed.path)));
            }
            hash_next(&mut file, start - at, &mut hasher, listed, self.tools)?;
            let offset = self.writer.position();
            let tools = self.tools;
            self.writer
                .copy_from(&mut file, end - start, |bytes| {
                    hasher.update(bytes);
                    tools.advance(bytes.len() as u64);
                })
                .map_err(|error| match error {
                    PackWriteError::Source(error) => unreadable(listed, error),
                    error => TaskError::from(error).into(),
                })?;
            self.resources.push(ResourceEntry {
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
        hash_next(&mut file, listed.size.saturating_sub(at), &mut hasher, listed, self.tools)?;
        check_sha256(hasher, listed)
    }
}

/// Reads a whole file of a WIM and checks its SHA-256.
pub fn hash_part(part: &WimFile<'_>, tools: &Tools) -> Result<(), SourceProblem> {
    let mut hasher = Sha256::new();
    hash_next(&mut part.open()?, part.listed.size, &mut hasher, part.listed, tools)?;
    check_sha256(hasher, part.listed)
}

fn check_sha256(hasher: Sha256, listed: &v1::ListedFile) -> Result<(), SourceProblem> {
    let actual: [u8; 32] = hasher.finalize().into();
    if actual == sha256_of(listed)? { Ok(()) } else { Err(wrong_hash(listed, &actual)) }
}

/// Hashes the next bytes, which the image doesn't use.
fn hash_next(
    file: &mut dyn Read,
    bytes: u64,
    hasher: &mut Sha256,
    listed: &v1::ListedFile,
    tools: &Tools,
) -> Result<(), SourceProblem> {
    let mut piece = vec![0; PIECE.min(bytes as usize)];
    let mut left = bytes;
    while left > 0 {
        let wanted = piece.len().min(left as usize);
        file.read_exact(&mut piece[..wanted]).map_err(|error| unreadable(listed, error))?;
        hasher.update(&piece[..wanted]);
        left -= wanted as u64;
        tools.advance(wanted as u64);
        if tools.is_cancelled() {
            return Err(TaskError::Cancelled.into());
        }
    }
    Ok(())
}
