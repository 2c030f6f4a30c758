//! Where contents and generated files go in the volume.

use prestage_configmgr::content_library::ContentListing;
use prestage_media::{
    bcd, boot_files::GENERATED_STORES, bootstrap_ini::Bootstrap,
    unverified::MEDIA_LABEL_ON_PRESTAGED_MEDIA, volume,
};
use prestage_proto::v1;
use prestage_store::PackKey;

use crate::plan::{BuildPlan, PlannedContent};

/// `FILE_ATTRIBUTE_ARCHIVE`: what a new file has.
const ATTRIBUTE_ARCHIVE: u32 = 0x20;

/// A content's files and folders below `SMS/PKG`.
pub fn place_content(
    content: &PlannedContent,
    listing: &ContentListing,
    packs: Vec<PackKey>,
) -> v1::Placement {
    let folder = volume::package_folder(&content.folder);
    let below = |path: &str| format!("{folder}/{path}");
    let mut directories = vec![v1::PlacedDirectory { path: folder.clone(), modified: 0 }];
    directories.extend(
        listing
            .directories
            .iter()
            .map(|path| v1::PlacedDirectory { path: below(path), modified: 0 }),
    );
    let files = listing.files.iter().map(|file| v1::PlacedFile {
        path: below(&file.path),
        sha256: file.sha256.to_vec().into(),
        attributes: file.attributes,
        modified: file.modified,
        size: file.size,
    });
    v1::Placement {
        pack_keys: packs.iter().map(PackKey::to_string).collect(),
        files: files.collect(),
        directories,
        content_id: content.content_id.clone(),
    }
}

/// The files that are on no distribution point. `variables` is the finished `Variables.dat`.
pub fn inline_files(plan: &BuildPlan, variables: &[u8]) -> Vec<v1::InlineFile> {
    let file = |path: &str, content: Vec<u8>| v1::InlineFile {
        path: path.to_owned(),
        content: content.into(),
        attributes: ATTRIBUTE_ARCHIVE,
    };
    let bootstrap =
        Bootstrap { password_required: plan.password_protected, unattended: plan.unattended };
    let mut files = vec![
        file(volume::VARIABLES, variables.to_vec()),
        file(volume::BOOTSTRAP, bootstrap.to_bytes()),
    ];
    if MEDIA_LABEL_ON_PRESTAGED_MEDIA {
        files.push(file(volume::MEDIA_LABEL, volume::media_label("")));
    }
    let stores = GENERATED_STORES.iter();
    files.extend(stores.map(|store| file(store.target, bcd::store(store.firmware, plan.created))));
    files
}
