//! What is inside the OS image and the boot image, as far as a plan must know it.

use std::{collections::HashMap, io};

use prestage_configmgr::{
    content_library::ListedFile,
    resolve::{ContentKind, ResolvedContent},
};
use prestage_media::boot_files::Architecture;
use prestage_wim::{
    SpliceObstacle, Wim, WimError, codec::Format, metadata::ImageTree, xml::ImageInfo,
};
use sha2::{Digest, Sha256};

use super::{PlannedDriver, PlannedPart, boot_image, reading::Reading};

/// The WIM of an image package.
pub struct ImageFile {
    /// Its files in the package: one, or the parts of a split WIM in order.
    pub files: Vec<ListedFile>,
    /// The chosen image.
    pub image: ImageInfo,
    /// The WIM's compression; `None` when nothing in it is compressed.
    pub format: Option<Format>,
    /// Why its resources can't be taken over as they are.
    pub obstacle: Option<SpliceObstacle>,
    /// Whether its links are relative to its root.
    pub rpfix: bool,
    /// Bytes of the image's contents, each once.
    pub content_bytes: u64,
    /// A boot image's network and storage drivers.
    pub drivers: Vec<PlannedDriver>,
}

/// Why an image package can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The package has no WIM file, or several.
    #[error(
        "{package} holds {found}, but an image package must hold {wanted}: see its source folder"
    )]
    NotOneWim {
        /// Content ID.
        package: String,
        /// What there is.
        found: String,
        /// What there should be.
        wanted: &'static str,
    },
    /// No such index.
    #[error("image index {index} does not exist in {package} '{file}', which has {images}")]
    NoSuchIndex {
        /// Content ID.
        package: String,
        /// The WIM file.
        file: String,
        /// The index asked for.
        index: u32,
        /// What there is.
        images: String,
    },
    /// The WIM can't be read on any distribution point.
    #[error("{package} '{file}' can't be used: {problems}")]
    Unreadable {
        /// Content ID.
        package: String,
        /// The WIM file.
        file: String,
        /// For each distribution point, what is wrong; once if it is the same everywhere.
        problems: String,
    },
    /// A boot image that no medium starts from.
    #[error(
        "the boot image {package} '{file}' lacks {files}: use one made from the Windows ADK and \
         updated by the site"
    )]
    LacksBootFiles {
        /// Content ID.
        package: String,
        /// The WIM file.
        file: String,
        /// What the medium needs, and where it was looked for.
        files: String,
    },
    /// A boot image that no boot manager reads.
    #[error(
        "{package} '{file}' can't be a boot image: {obstacle}, and boot managers read only LZX \
         and XPRESS in chunks of 32 KiB; export it with 'dism /Export-Image /Compress:max'"
    )]
    NotBootable {
        /// Content ID.
        package: String,
        /// The WIM file.
        file: String,
        /// Why not.
        obstacle: SpliceObstacle,
    },
}

/// Looks into the one WIM of an image package; gives the chosen image's tree too.
pub async fn look_into(
    content: &ResolvedContent,
    index: u32,
    reading: Reading<'_>,
) -> Result<(ImageFile, ImageTree), ImageError> {
    let files = the_wim(content)?;
    let unreadable = |problems: String| ImageError::Unreadable {
        package: content.content_id.clone(),
        file: files[0].path.clone(),
        problems,
    };
    let mut problems = Vec::new();
    for source in &content.sources {
        let looked = async {
            let wim = reading.wim(source, &files).await?;
            describe(content, &files, &wim, index).await
        };
        let problem = match looked.await {
            Ok(described) => return described,
            // These are the same on every distribution point.
            Err(error @ (WimError::Set(_) | WimError::NotSupported { .. })) => {
                return Err(unreadable(error.to_string()));
            }
            Err(error) => format!("{}: {error}", source.distribution_point),
        };
        problems.push(problem);
    }
    Err(unreadable(problems.join("; ")))
}

/// The files of the package's WIM. What of a package is not a WIM is passed over.
fn the_wim(content: &ResolvedContent) -> Result<Vec<&ListedFile>, ImageError> {
    let boots = content.kind == ContentKind::BootImage;
    let (kinds, wanted): (&[&str], _) = match boots {
        true => (&["wim"], "exactly one .wim file"),
        false => (&["wim", "esd", "swm"], "one .wim or .esd file, or the .swm files of one WIM"),
    };
    let kind_of = |file: &ListedFile| {
        let (_, kind) = file.path.rsplit_once('.')?;
        kinds.iter().find(|known| kind.eq_ignore_ascii_case(known)).copied()
    };
    let wims: Vec<&ListedFile> =
        content.listing.files.iter().filter(|file| kind_of(file).is_some()).collect();
    let all_parts = wims.iter().all(|file| kind_of(file) == Some("swm"));
    if wims.len() == 1 || all_parts && !wims.is_empty() {
        return Ok(wims);
    }
    let names: Vec<&str> = wims.iter().map(|file| file.path.as_str()).collect();
    let found = match names.len() {
        0 => format!("no .{} file", kinds.join(", .")),
        count => format!("{count} of them ({})", names.join(", ")),
    };
    Err(ImageError::NotOneWim { package: content.content_id.clone(), found, wanted })
}

/// The outer error is the distribution point's, the inner one the request's.
async fn describe(
    content: &ResolvedContent,
    files: &[&ListedFile],
    wim: &Wim,
    index: u32,
) -> Result<Result<(ImageFile, ImageTree), ImageError>, WimError> {
    let (package, first) = (content.content_id.clone(), files[0].path.clone());
    let images = wim.images()?;
    let Some(image) = images.iter().find(|image| image.index == index) else {
        let known = images.iter().map(|image| format!("{} ({})", image.index, image.name));
        let images = known.collect::<Vec<_>>().join(", ");
        return Ok(Err(ImageError::NoSuchIndex { package, file: first, index, images }));
    };
    let obstacle = wim.splice_obstacle();
    if let (ContentKind::BootImage, Some(obstacle)) = (content.kind, obstacle) {
        return Ok(Err(ImageError::NotBootable { package, file: first, obstacle }));
    }
    let metadata = wim.metadata(index).await?;
    let blobs = wim.blobs_by_sha1();
    let parsed = prestage_threads::off_thread(move || {
        let tree = ImageTree::parse(metadata)?;
        let bytes = content_bytes(&tree, &blobs);
        Ok::<_, WimError>((tree, bytes))
    });
    let (mut tree, content_bytes) = parsed.await.map_err(io::Error::other)??;
    let mut drivers = Vec::new();
    if content.kind == ContentKind::BootImage {
        let architecture = image.architecture.and_then(Architecture::from_number);
        let lacking = architecture.and_then(|known| boot_image::lacking(&mut tree, known));
        if let Some(files) = lacking {
            return Ok(Err(ImageError::LacksBootFiles { package, file: first, files }));
        }
        drivers = boot_image::drivers(wim, &mut tree).await?;
    }
    let file = ImageFile {
        files: in_part_order(files, wim),
        image: image.clone(),
        format: wim.header.format,
        obstacle,
        rpfix: wim.header.rpfix,
        content_bytes,
        drivers,
    };
    Ok(Ok((file, tree)))
}

fn content_bytes(
    tree: &ImageTree,
    blobs: &HashMap<prestage_wim::Sha1Hash, prestage_wim::Blob>,
) -> u64 {
    let references = tree.references();
    let named = references.keys().filter_map(|sha1| blobs.get(sha1));
    named.map(|blob| blob.resource.original_bytes).sum()
}

fn in_part_order(files: &[&ListedFile], wim: &Wim) -> Vec<ListedFile> {
    let names = wim.parts().iter().map(|part| part.source.name());
    names
        .filter_map(|name| files.iter().find(|file| file.path == name))
        .map(|file| (*file).clone())
        .collect()
}

/// The parts of a split WIM as a plan names them; none of a WIM in one file.
pub fn planned_parts(files: &[ListedFile]) -> Vec<PlannedPart> {
    if files.len() == 1 {
        return Vec::new();
    }
    let part = |file: &ListedFile| PlannedPart {
        path: file.path.clone(),
        bytes: file.size,
        sha256: hex::encode(file.sha256),
    };
    files.iter().map(part).collect()
}

/// What identifies a WIM's bytes: its SHA-256, or that of its parts' in order.
pub fn wim_sha256(files: &[ListedFile]) -> String {
    match files {
        [one] => hex::encode(one.sha256),
        parts => {
            let mut hasher = Sha256::new();
            parts.iter().for_each(|part| hasher.update(part.sha256));
            hex::encode(hasher.finalize())
        }
    }
}
