//! What is inside the OS image and the boot image, as far as a plan must know it.

use std::sync::Arc;

use object_store::{local::LocalFileSystem, path::Path as StorePath};
use prestage_configmgr::{
    content_library::{self, ListedFile},
    resolve::ResolvedContent,
};
use prestage_wim::{ObjectSource, Wim, codec::Format, xml::ImageInfo};

/// A WIM file in an image package.
pub struct ImageFile {
    /// The file in the package.
    pub file: ListedFile,
    /// The chosen image.
    pub image: ImageInfo,
    /// The WIM's compression; `None` when nothing in it is compressed.
    pub format: Option<Format>,
    /// Its chunk size.
    pub chunk_bytes: u32,
    /// Whether its links are relative to its root.
    pub rpfix: bool,
}

/// Why an image package can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The package has no WIM file, or several.
    #[error(
        "{package} holds {found}, but an image package must hold exactly one .wim file: \
         see its source folder"
    )]
    NotOneWim {
        /// Content ID.
        package: String,
        /// What there is.
        found: String,
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
        /// For each distribution point, what is wrong.
        problems: String,
    },
}

/// Looks into the one WIM file of an image package.
pub async fn look_into(content: &ResolvedContent, index: u32) -> Result<ImageFile, ImageError> {
    let file = the_wim(content)?;
    let mut problems = Vec::new();
    for source in &content.sources {
        match open(&source.content_library, file).await {
            Ok(wim) => return describe(content, file, &wim, index),
            Err(problem) => problems.push(format!("{}: {problem}", source.distribution_point)),
        }
    }
    Err(ImageError::Unreadable {
        package: content.content_id.clone(),
        file: file.path.clone(),
        problems: problems.join("; "),
    })
}

fn the_wim(content: &ResolvedContent) -> Result<&ListedFile, ImageError> {
    let is_wim = |file: &&ListedFile| file.path.to_ascii_lowercase().ends_with(".wim");
    let wims: Vec<&ListedFile> = content.listing.files.iter().filter(is_wim).collect();
    match wims.as_slice() {
        [wim] => Ok(wim),
        [] => Err(ImageError::NotOneWim {
            package: content.content_id.clone(),
            found: "no .wim file".into(),
        }),
        several => {
            let names: Vec<&str> = several.iter().map(|file| file.path.as_str()).collect();
            let found = format!("{} .wim files ({})", several.len(), names.join(", "));
            Err(ImageError::NotOneWim { package: content.content_id.clone(), found })
        }
    }
}

async fn open(library: &std::path::Path, file: &ListedFile) -> Result<Wim, String> {
    let path = content_library::file_path(library, &file.sha256).map_err(|e| e.to_string())?;
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let path = StorePath::from_absolute_path(path).map_err(|error| error.to_string())?;
    let source = ObjectSource::open(Arc::new(LocalFileSystem::new()), path);
    let source = source.await.map_err(|error| error.to_string())?;
    Wim::open(Arc::new(source)).await.map_err(|error| error.to_string())
}

fn describe(
    content: &ResolvedContent,
    file: &ListedFile,
    wim: &Wim,
    index: u32,
) -> Result<ImageFile, ImageError> {
    let unreadable = |error: prestage_wim::WimError| ImageError::Unreadable {
        package: content.content_id.clone(),
        file: file.path.clone(),
        problems: error.to_string(),
    };
    let images = wim.images().map_err(unreadable)?;
    let Some(image) = images.iter().find(|image| image.index == index) else {
        let known = images.iter().map(|image| format!("{} ({})", image.index, image.name));
        return Err(ImageError::NoSuchIndex {
            package: content.content_id.clone(),
            file: file.path.clone(),
            index,
            images: known.collect::<Vec<_>>().join(", "),
        });
    };
    wim.metadata_blob(index).map_err(unreadable)?;
    Ok(ImageFile {
        file: file.clone(),
        image: image.clone(),
        format: wim.header.format,
        chunk_bytes: wim.header.chunk_bytes,
        rpfix: wim.header.rpfix,
    })
}
