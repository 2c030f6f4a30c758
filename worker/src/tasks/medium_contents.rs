//! The contents of the medium, and where the layout puts them.

use std::collections::HashMap;

use prestage_store::{
    layout::{CopyRule, Extent, Layout, LayoutError, LayoutPack, VolumeRoom},
    pack::{PackReader, ResourceEntry},
};
use prestage_wim::{Blob, ResourceHeader, Sha1Hash};

use super::owners::Owner;

/// The contents that each pack gives, by their offset in it.
pub struct MediumContents {
    by_pack: Vec<Vec<ResourceEntry>>,
    sizes: HashMap<Sha1Hash, u64>,
    references: HashMap<Sha1Hash, u32>,
}

impl MediumContents {
    /// The contents of `packs` packs. `references` says how often the tree names each.
    pub fn new(
        owners: HashMap<Sha1Hash, Owner>,
        packs: usize,
        references: HashMap<Sha1Hash, u32>,
    ) -> Self {
        let sizes = owners.iter().map(|(sha1, owner)| (*sha1, owner.resource.original_bytes));
        let sizes = sizes.collect();
        let mut by_pack: Vec<Vec<ResourceEntry>> = vec![Vec::new(); packs];
        for owner in owners.into_values() {
            by_pack[owner.pack].push(owner.resource);
        }
        for resources in &mut by_pack {
            resources.sort_by_key(|resource| resource.offset);
        }
        Self { by_pack, sizes, references }
    }

    /// How often the tree names a content.
    pub fn references(&self, sha1: &Sha1Hash) -> u32 {
        self.references.get(sha1).copied().unwrap_or(0)
    }

    /// Bytes of a content; `None` when no pack has it.
    pub fn size(&self, sha1: &Sha1Hash) -> Option<u64> {
        self.sizes.get(sha1).copied()
    }

    /// Lays the packs out.
    pub fn lay_out(
        &self,
        packs: &[PackReader],
        copy_rule: CopyRule,
        room: Option<VolumeRoom>,
    ) -> Result<Layout, LayoutError> {
        let extent = |resource: &ResourceEntry| Extent {
            offset: resource.offset,
            bytes: resource.stored_bytes,
        };
        let inputs: Vec<LayoutPack> = packs
            .iter()
            .zip(&self.by_pack)
            .map(|(pack, resources)| LayoutPack {
                key: *pack.key(),
                bytes: pack.index().pack_bytes(),
                resources: resources.iter().map(extent).collect(),
            })
            .collect();
        Layout::plan(&inputs, copy_rule, room)
    }

    /// The content that the layout names by positions of its pack and in the pack's list.
    pub fn content(&self, pack: usize, resource: usize) -> Sha1Hash {
        Sha1Hash(self.by_pack[pack][resource].sha1)
    }

    /// The resources of each volume at their places, by their offset.
    pub fn blobs(&self, layout: &Layout) -> Vec<Vec<Blob>> {
        let mut blobs = vec![Vec::new(); layout.volumes().len()];
        for (pack, resources) in self.by_pack.iter().enumerate() {
            for (resource, place) in resources.iter().zip(layout.places(pack)) {
                let sha1 = Sha1Hash(resource.sha1);
                let resource = ResourceHeader {
                    offset: place.offset,
                    stored_bytes: resource.stored_bytes,
                    original_bytes: resource.original_bytes,
                    compressed: resource.compressed,
                    ..Default::default()
                };
                blobs[place.volume].push(Blob::new(resource, self.references(&sha1), sha1));
            }
        }
        for blobs in &mut blobs {
            blobs.sort_by_key(|blob| blob.resource.offset);
        }
        blobs
    }
}
