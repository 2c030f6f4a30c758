//! A content library: INI files of `PkgLib` and `DataLib`, and the names of the latter's files.
//!
//! The input is cut at lines that begin with `#`: the package's INI, then the content's INI, then
//! any number of listed files, each a line with its name and its INI after it.

use prestage_configmgr::content_library::{ContentLibrary, ContentListing};

use crate::scratch::Scratch;

const PACKAGE: &str = "PS100012";
/// Every run makes real files, so not too many.
const FILES_MAX: usize = 16;

pub(super) fn check(input: &[u8]) {
    let scratch = Scratch::new();
    let mut sections = sections(input);
    scratch.folder("FileLib");
    scratch.write("PkgLib/PS100012.INI", sections.next().unwrap_or_default());
    scratch.write("DataLib/PS100012.3.INI", sections.next().unwrap_or_default());
    scratch.folder("DataLib/PS100012.3");
    for section in sections.take(FILES_MAX) {
        listed_file(&scratch, section);
    }
    let Ok(library) = ContentLibrary::open(scratch.path()) else {
        panic!("a library with all of its folders opens");
    };
    if let Ok(Some(package)) = library.package(PACKAGE) {
        assert!(package.content_ids.len() <= input.len());
    }
    if let Ok(listing) = library.list("PS100012.3") {
        assert_stable(listing);
    }
}

fn sections(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut fresh = true;
    input.split(move |&byte| {
        let cut = fresh && byte == b'#';
        fresh = byte == b'\n';
        cut
    })
}

/// A listed file whose bytes are in `FileLib` too, where its INI names a hash.
fn listed_file(scratch: &Scratch, section: &[u8]) {
    let end = section.iter().position(|&byte| byte == b'\n').unwrap_or(section.len());
    let (name, ini) = section.split_at(end);
    let name = String::from_utf8_lossy(name).trim().replace('\0', "");
    scratch.write(&format!("DataLib/PS100012.3/{name}.INI"), ini);
    let text = String::from_utf8_lossy(ini);
    let hash = text.lines().find_map(|line| line.trim().strip_prefix("Hash="));
    let hash = hash.filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    if let Some(hash) = hash.map(str::to_ascii_uppercase) {
        let folder = hash.get(..4).unwrap_or_default();
        scratch.write(&format!("FileLib/{folder}/{hash}"), b"");
    }
}

/// The same files in another order, by way of JSON, are the same listing.
fn assert_stable(listing: ContentListing) {
    let text = serde_json::to_string(&listing).unwrap_or_default();
    let again: Option<ContentListing> = serde_json::from_str(&text).ok();
    assert_eq!(again.as_ref(), Some(&listing), "written and read again");
    let ContentListing { content_id, files, directories, hash } = listing.clone();
    let reversed = ContentListing::new(
        content_id,
        files.into_iter().rev().collect(),
        directories.into_iter().rev().collect(),
        hash,
    );
    assert_eq!(reversed.map(|other| other.digest()).ok(), Some(listing.digest()));
}
