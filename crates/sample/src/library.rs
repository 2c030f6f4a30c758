//! The content libraries of both distribution points.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::Path,
};

use prestage_configmgr::content_library::{
    ContentListing,
    writer::{EntryBody, LibraryEntry, LibraryWriter},
};

use crate::{
    SampleError,
    contents::{Content, Item, Source},
    identity::{DP1, DP2, DistributionPoint},
};

/// Writes both libraries below `site`; returns the listing of each content by its ID.
///
/// What both hold is written once: the second library's `FileLib` is made of hard links where the
/// file system has them, so two cost the disk little more than one.
pub(crate) fn write(
    site: &Path,
    contents: &[Content],
) -> Result<HashMap<String, ContentListing>, SampleError> {
    let (shared, only_second): (Vec<_>, Vec<_>) =
        contents.iter().partition(|content| DP1.holds(content.package_id));
    let mut listings = HashMap::new();
    let mut add = |writer: &LibraryWriter, content: &Content| {
        let listing = add_content(writer, content)?;
        listings.insert(content.content_id.clone(), listing);
        Ok::<_, SampleError>(())
    };
    let [first, second] = [DP1, DP2].map(|point| site.join(library_folder(&point)));
    let writer = open(&first)?;
    for content in shared {
        add(&writer, content)?;
    }
    for part in ["PkgLib", "DataLib"] {
        mirror(&first.join(part), &second.join(part), false)?;
    }
    mirror(&first.join("FileLib"), &second.join("FileLib"), true)?;
    let writer = open(&second)?;
    for content in only_second {
        add(&writer, content)?;
    }
    Ok(listings)
}

/// Where a distribution point's library is, relative to the site.
pub(crate) fn library_folder(point: &DistributionPoint) -> String {
    format!("{}/SCCMContentLib", point.folder)
}

fn open(path: &Path) -> Result<LibraryWriter, SampleError> {
    LibraryWriter::new(path)
        .map_err(|source| SampleError::Library { content_id: path.display().to_string(), source })
}

fn add_content(writer: &LibraryWriter, content: &Content) -> Result<ContentListing, SampleError> {
    // Files are opened before any is read: only the few that are on disk need a handle.
    let entries: Vec<LibraryEntry<'_>> =
        content.items.iter().map(entry).collect::<Result<_, _>>()?;
    let added =
        writer.add_content(&content.content_id, content.package_id, content.version, entries);
    added.map_err(|source| SampleError::Library { content_id: content.content_id.clone(), source })
}

fn entry(item: &Item) -> Result<LibraryEntry<'_>, SampleError> {
    let body = match &item.source {
        Source::Folder => return Ok(LibraryEntry::directory(&item.path)),
        Source::Body(body) => EntryBody::Reader(body.open()),
        Source::File(path) => {
            EntryBody::Reader(Box::new(File::open(path).map_err(SampleError::io(path))?))
        }
    };
    Ok(LibraryEntry {
        path: item.path.clone(),
        body,
        attributes: item.attributes,
        modified: item.modified,
    })
}

/// Copies a folder. With `link`, files without an extension (the bodies in `FileLib`, which nobody
/// changes in place) become hard links if they can.
fn mirror(from: &Path, to: &Path, link: bool) -> Result<(), SampleError> {
    fs::create_dir_all(to).map_err(SampleError::io(to))?;
    for found in fs::read_dir(from).map_err(SampleError::io(from))? {
        let found = found.map_err(SampleError::io(from))?;
        let (source, target) = (found.path(), to.join(found.file_name()));
        if found.file_type().map_err(SampleError::io(&source))?.is_dir() {
            mirror(&source, &target, link)?;
            continue;
        }
        let linked =
            link && source.extension().is_none() && fs::hard_link(&source, &target).is_ok();
        if !linked {
            fs::copy(&source, &target).map_err(SampleError::io(&target))?;
        }
    }
    Ok(())
}
