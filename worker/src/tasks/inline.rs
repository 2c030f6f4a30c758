//! The few small files of a medium that are on no distribution point.

use prestage_proto::v1;
use prestage_wim::{
    Blob, ResourceHeader, Sha1Hash,
    codec::{Encoder, FileToEncode, MemorySink},
    metadata::ImageTree,
    tail::entries_bytes,
};

use super::{
    Tools, encode::codec_of, error::TaskError, graft::add_file, medium_contents::MediumContents,
};

/// Their resources, which follow the payload of the first volume.
pub struct InlineFiles {
    /// The resources' bytes.
    pub bytes: Vec<u8>,
    resources: Vec<(Sha1Hash, ResourceHeader)>,
}

impl InlineFiles {
    /// Encodes them and adds them to the tree.
    pub fn add_to(
        tree: &mut ImageTree,
        placements: &v1::Placements,
        task: &v1::AssembleTask,
        tools: &Tools,
    ) -> Result<Self, TaskError> {
        // They are in the task's message already, a few MiB at most.
        let encoder = Encoder::new(codec_of(task.codec)?, tools.pool.clone()).with_windows(1);
        let mut sink = MemorySink::default();
        let mut resources: Vec<(Sha1Hash, ResourceHeader)> = Vec::new();
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
        Ok(Self { bytes: sink.0, resources })
    }

    /// How many bytes they add to the volume at most, their entries in the blob table included.
    pub fn tail_bytes(&self) -> u64 {
        self.bytes.len() as u64 + entries_bytes(self.resources.len())
    }

    /// Bytes of a content; `None` when it is none of theirs.
    pub fn size(&self, sha1: &Sha1Hash) -> Option<u64> {
        let found = self.resources.iter().find(|(known, _)| known == sha1);
        found.map(|(_, resource)| resource.original_bytes)
    }

    /// Their entries when they start at `start`. A file that is in a pack too is referenced there.
    pub fn blobs(&self, start: u64, contents: &MediumContents) -> impl Iterator<Item = Blob> {
        let own = self.resources.iter().filter(|(sha1, _)| contents.size(sha1).is_none());
        own.map(move |&(sha1, resource)| {
            let resource = ResourceHeader { offset: start + resource.offset, ..resource };
            Blob::new(resource, contents.references(&sha1), sha1)
        })
    }
}
