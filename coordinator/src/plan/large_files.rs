//! Files that may not fit into the volumes of a split medium.

use prestage_configmgr::{Resolution, content_library::ListedFile, resolve::ResolvedContent};

/// Warns of files that are larger than a volume: no volume takes part of a file, and how far it
/// shrinks is known only when it is encoded.
pub fn large_files(split_mib: Option<u32>, resolution: &Resolution) -> Vec<String> {
    let Some(split_mib) = split_mib else {
        return Vec::new();
    };
    let volume = u64::from(split_mib) << 20;
    // Of the OS image, the volume's files are on the medium, not the WIM.
    let contents = std::iter::once(&resolution.boot_image).chain(&resolution.contents);
    contents
        .flat_map(|content| content.listing.files.iter().map(move |file| (content, file)))
        .filter(|(_, file)| file.size > volume)
        .map(|(content, file)| warning(content, file, split_mib))
        .collect()
}

fn warning(content: &ResolvedContent, file: &ListedFile, split_mib: u32) -> String {
    format!(
        "'{}' of {} ({}) has {} bytes: a volume of split_mib = {split_mib} takes it only if it \
         shrinks below that; the build fails otherwise",
        file.path, content.content_id, content.name, file.size
    )
}
