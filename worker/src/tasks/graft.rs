//! The medium's tree: the OS image's, with everything else grafted in.

use std::collections::HashMap;

use prestage_proto::v1;
use prestage_store::pack::{PackReader, ResourceEntry};
use prestage_wim::{
    Sha1Hash, WimError,
    metadata::{ATTRIBUTE_DIRECTORY, ATTRIBUTE_REPARSE_POINT, ImageTree, NewEntry},
};

use super::error::TaskError;

/// Attributes of a content's file that go onto the medium: read-only, hidden, system, archive, and
/// "not content indexed". All others (compressed, sparse, offline, encrypted) say how the
/// distribution point stores it.
const ATTRIBUTES_KEPT: u32 = 0x1 | 0x2 | 0x4 | 0x20 | 0x2000;
/// `FILE_ATTRIBUTE_NORMAL`: what a file without any attribute has.
const ATTRIBUTE_NORMAL: u32 = 0x80;

/// Contents of packs by the SHA-256 that listings name them by.
pub type BySha256<'a> = HashMap<[u8; 32], &'a ResourceEntry>;

/// All contents of `packs`.
pub fn contents_by_sha256<'a>(packs: impl Iterator<Item = &'a PackReader>) -> BySha256<'a> {
    let resources = packs.flat_map(|pack| pack.index().resources());
    resources.filter_map(|resource| Some((resource.sha256?, resource))).collect()
}

/// Grafts one placement into the tree. Folders that it needs get the time `created`.
pub fn graft(
    tree: &mut ImageTree,
    placement: &v1::Placement,
    contents: &BySha256<'_>,
    created: u64,
) -> Result<(), TaskError> {
    let at = |error: WimError| TaskError::Wim { place: placement.content_id.clone(), error };
    for directory in &placement.directories {
        let time = if directory.modified == 0 { created } else { directory.modified };
        tree.ensure_directory(&directory.path, &NewEntry::directory(time)).map_err(at)?;
    }
    for file in &placement.files {
        let sha1 = if file.size == 0 {
            Sha1Hash::ZERO
        } else {
            let found = file.sha256.as_ref().try_into().ok();
            let found = found.and_then(|sha256: [u8; 32]| contents.get(&sha256));
            let found = found.ok_or_else(|| TaskError::Damaged {
                what: format!("the content of '{}' is in no pack of the build", file.path),
                place: placement.pack_keys.join(", "),
            })?;
            Sha1Hash(found.sha1)
        };
        add_file(tree, &file.path, file.attributes, file.modified, sha1, created).map_err(at)?;
    }
    Ok(())
}

/// Adds one file, with the folders that it needs.
pub fn add_file(
    tree: &mut ImageTree,
    path: &str,
    attributes: u32,
    modified: u64,
    sha1: Sha1Hash,
    created: u64,
) -> Result<(), WimError> {
    debug_assert_eq!(attributes & (ATTRIBUTE_DIRECTORY | ATTRIBUTE_REPARSE_POINT), 0, "{path}");
    if let Some((folder, _)) = path.rsplit_once('/') {
        tree.ensure_directory(folder, &NewEntry::directory(created))?;
    }
    let kept = attributes & ATTRIBUTES_KEPT;
    let attributes = if kept == 0 { ATTRIBUTE_NORMAL } else { kept };
    let time = if modified == 0 { created } else { modified };
    tree.add(path, &NewEntry::file(attributes, time, sha1)).map(drop)
}
