use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use proptest::prelude::*;

use super::writer::{EntryBody, LibraryEntry, LibraryWriter};
use super::*;
use crate::text::samples;

fn write(root: &Path, version: u32, files: &[(&str, &[u8])]) -> ContentListing {
    let writer = LibraryWriter::new(root).unwrap();
    let entries = files.iter().map(|(path, body)| {
        let body = EntryBody::Reader(Box::new(Cursor::new(body.to_vec())));
        LibraryEntry::file(*path, body, 133_000_000_000_000_000)
    });
    writer.add_content(&format!("PS100012.{version}"), "PS100012", version, entries).unwrap()
}

#[test]
fn pkg_lib_says_which_version_is_current() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), 2, &[("a", b"old"), ("same", b"same")]);
    let written = write(root.path(), 3, &[("a", b"new"), ("same", b"same")]);
    let library = ContentLibrary::open(root.path()).unwrap();
    let entry = library.package("ps100012").unwrap().unwrap();
    let current = PackageEntry { version: Some(3), content_ids: vec!["PS100012.3".into()] };
    assert_eq!(entry, current);
    assert_eq!(library.versions_of("PS100012"), [2, 3]);
    assert_eq!(library.list("PS100012.3").unwrap(), written);
    assert_eq!(library.package("PS100099").unwrap(), None);
    assert!(matches!(library.list("PS100012.4"), Err(LibraryError::NoContent { .. })));
    let stored: Vec<_> = walk(&root.path().join("FileLib"));
    let bodies = stored.iter().filter(|name| !name.ends_with(".INI") && name.len() == 64).count();
    assert_eq!(bodies, 3, "the shared file is kept once: {stored:?}");
}

fn walk(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(walk(&path));
        }
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names
}

#[test]
fn applications_share_a_package_entry() {
    let root = tempfile::tempdir().unwrap();
    let writer = LibraryWriter::new(root.path()).unwrap();
    for (id, version) in [("Content_a.1", 1), ("Content_b.4", 4), ("Content_a.2", 2)] {
        writer.add_content(id, "PS100050", version, []).unwrap();
    }
    let library = ContentLibrary::open(root.path()).unwrap();
    let entry = library.package("PS100050").unwrap().unwrap();
    assert_eq!(entry.version, None);
    assert_eq!(entry.content_ids, ["Content_a.2", "Content_b.4"]);
}

#[test]
fn ini_files_may_be_in_any_encoding() {
    let root = tempfile::tempdir().unwrap();
    let written = write(root.path(), 3, &[("a.txt", b"body")]);
    let data = root.path().join("DataLib/PS100012.3/a.txt.INI");
    let text = fs::read_to_string(&data).unwrap().replace("\r\n", "\n");
    for (label, bytes) in samples::matrix(&text) {
        fs::write(&data, bytes).unwrap();
        let library = ContentLibrary::open(root.path()).unwrap();
        assert_eq!(library.list("PS100012.3").unwrap(), written, "{label}");
    }
}

#[test]
fn bad_entries_are_refused_with_their_place() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), 3, &[("a.txt", b"body")]);
    let folder = root.path().join("DataLib/PS100012.3");
    let good = fs::read(folder.join("a.txt.INI")).unwrap();
    let list = || ContentLibrary::open(root.path()).unwrap().list("PS100012.3");
    for name in ["..\\..\\evil.dll.INI", "con.INI", "a:b.INI", "x..INI", ".INI"] {
        fs::write(folder.join(name), &good).unwrap();
        let error = list().unwrap_err();
        assert!(matches!(error, LibraryError::Name { .. }), "{name}: {error}");
        assert!(error.to_string().contains("PS100012.3"), "{error}");
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::write(folder.join("A.TXT.INI"), &good).unwrap();
    assert!(matches!(list(), Err(LibraryError::Collision { .. })));
    fs::remove_file(folder.join("A.TXT.INI")).unwrap();
    fs::write(folder.join("Thumbs.db"), b"x").unwrap();
    assert!(matches!(list(), Err(LibraryError::Stray { .. })));
    fs::remove_file(folder.join("Thumbs.db")).unwrap();
    for (wrong, key) in [
        (String::from_utf8(good.clone()).unwrap().replace("Size=4", "Size=four"), "[File] Size"),
        (String::from_utf8(good.clone()).unwrap().replace("Hash=", "Hash=zz"), "[File] Hash"),
        ("[File]\r\n".to_owned(), "[File] Hash"),
    ] {
        fs::write(folder.join("a.txt.INI"), wrong).unwrap();
        assert!(list().unwrap_err().to_string().contains(key));
    }
}

#[test]
fn file_lib_is_checked_and_may_be_on_another_drive() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("SCCMContentLib");
    let written = write(&root, 3, &[("a.txt", b"body")]);
    let hash = written.files[0].sha256;
    let path = file_path(&root, &hash).unwrap();
    let moved = parent.path().join("SCCMContentLibE/FileLib").join(&hex::encode_upper(hash)[..4]);
    fs::create_dir_all(&moved).unwrap();
    fs::rename(&path, moved.join(path.file_name().unwrap())).unwrap();
    assert_eq!(ContentLibrary::open(&root).unwrap().list("PS100012.3").unwrap(), written);
    let mut body = String::new();
    let mut reader = open_file(&root, "PS100012.3", &written.files[0]).unwrap();
    reader.read_to_string(&mut body).unwrap();
    assert_eq!((body.as_str(), reader.is_verified()), ("body", true));

    let moved = moved.join(path.file_name().unwrap());
    fs::write(&moved, b"BODY").unwrap();
    let mut reader = open_file(&root, "PS100012.3", &written.files[0]).unwrap();
    let error = reader.read_to_string(&mut body).unwrap_err();
    let mismatch = VerifyingReader::<fs::File>::mismatch(&error).unwrap();
    assert_eq!(mismatch.file, "PS100012.3/a.txt");
    fs::write(&moved, b"longer body").unwrap();
    let list = || ContentLibrary::open(&root).unwrap().list("PS100012.3");
    assert!(matches!(list(), Err(LibraryError::SizeDiffers { expected: 4, found: 11, .. })));
    fs::remove_file(&moved).unwrap();
    assert!(matches!(list(), Err(LibraryError::FileMissing { .. })));
}

#[test]
fn a_folder_that_is_no_library_says_so() {
    let root = tempfile::tempdir().unwrap();
    let error = ContentLibrary::open(root.path()).unwrap_err();
    assert!(matches!(error, LibraryError::NotALibrary { missing: "PkgLib", .. }));
    let error = ContentLibrary::open(&root.path().join("absent")).unwrap_err();
    assert!(matches!(error, LibraryError::Io { .. }));
}

#[test]
fn the_writer_refuses_what_leads_out() {
    let root = tempfile::tempdir().unwrap();
    let writer = LibraryWriter::new(root.path()).unwrap();
    let entry = || [LibraryEntry::file("../x", EntryBody::Bytes(b""), 0)];
    assert!(writer.add_content("PS100012.1", "PS100012", 1, entry()).is_err());
    assert!(writer.add_content("../x", "PS100012", 1, []).is_err());
}

fn name() -> impl Strategy<Value = String> {
    // No dots: a folder "x.INI" beside a file "x" has no place in DataLib on a real volume either.
    "[a-zA-Zäß字😀 _-]{1,9}[a-z0-9]"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read_back(
        files in prop::collection::btree_map(
            prop::collection::vec(name(), 1..4),
            (prop::collection::vec(any::<u8>(), 0..80), any::<u32>(), any::<u64>()),
            0..12,
        ),
        folders in prop::collection::vec(prop::collection::vec(name(), 1..4), 0..4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let writer = LibraryWriter::new(root.path()).unwrap();
        let entries = files.iter().map(|(path, (body, attributes, modified))| LibraryEntry {
            path: path.join("/"),
            body: EntryBody::Bytes(body),
            attributes: *attributes,
            modified: *modified,
        });
        let folders = folders.iter().map(|path| LibraryEntry::directory(path.join("/")));
        let written = match writer.add_content("PS100012.7", "PS100012", 7, entries.chain(folders)) {
            Ok(written) => written,
            // Random names may well collide without case.
            Err(LibraryError::Collision { .. }) => return Ok(()),
            Err(error) => panic!("{error}"),
        };
        let read = ContentLibrary::open(root.path()).unwrap().list("PS100012.7").unwrap();
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(read.hash.clone(), Some(hex::encode_upper(package_hash(&read))));
        for file in &read.files {
            let mut body = Vec::new();
            open_file(root.path(), "PS100012.7", file).unwrap().read_to_end(&mut body).unwrap();
            let key: Vec<String> = file.path.split('/').map(str::to_owned).collect();
            prop_assert_eq!(&body, &files[&key].0);
        }
    }
}
