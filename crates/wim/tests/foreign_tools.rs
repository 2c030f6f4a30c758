//! Our WIMs read by wimlib-imagex and 7-Zip, and wimlib's WIMs read by us.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Cursor;

use prestage_wim::{
    Sha1Hash,
    codec::{Codec, FileToEncode, Format},
    metadata::{ATTRIBUTE_REPARSE_POINT, ImageTree, NewEntry, Reparse},
    verify,
    writer::WimWriter,
    xml,
};
use support::{TIME, noise, open, pool, run, text};

fn file(content: Vec<u8>) -> FileToEncode {
    FileToEncode {
        bytes: content.len() as u64,
        open: Box::new(move || Ok(Box::new(Cursor::new(content.clone())))),
    }
}

/// Small, chunk-edge and many-window contents; text, noise, and both in one file.
fn contents() -> Vec<Vec<u8>> {
    let mut mixed = text(300_000, 7);
    mixed.extend(noise(20 << 20, 8));
    mixed.extend(text(100_000, 9));
    let mut late = noise(9 << 20, 10);
    late.extend(text(9 << 20, 11));
    vec![
        b"x".to_vec(),
        text(32_767, 1),
        text(32_768, 2),
        text(32_769, 3),
        noise(100_000, 4),
        text(8 << 20, 5),
        text((8 << 20) + 1, 6),
        mixed,
        late,
        vec![0; 30 << 20],
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn wimlib_and_7zip_read_what_we_write() {
    for (format, level) in [(Format::Lzx, 20), (Format::Xpress, 15)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ours.wim");
        let codec = Codec { format, chunk_bytes: 32_768, level };
        let mut writer = WimWriter::create(&path, codec, pool()).unwrap();
        let files: Vec<FileToEncode> = contents().into_iter().map(file).collect();
        let hashes = writer.add(&files).unwrap();
        let mut tree = ImageTree::new(&NewEntry::directory(TIME)).unwrap();
        for (number, content) in contents().iter().enumerate() {
            let sha1 = Sha1Hash::of(content);
            assert_eq!(hashes[number], sha1);
            tree.ensure_directory("a/b", &NewEntry::directory(TIME)).unwrap();
            tree.add(&format!("a/b/{number}.bin"), &NewEntry::file(0x20, TIME, sha1)).unwrap();
        }
        tree.ensure_directory("empty", &NewEntry::directory(TIME)).unwrap();
        let info = xml::NewImageInfo {
            name: "ours".into(),
            description: String::new(),
            time: TIME,
            statistics: tree.statistics(|sha1| writer.size_of(sha1)),
        };
        let empty = "<WIM><IMAGE INDEX=\"1\"></IMAGE></WIM>";
        writer.finish(&mut [tree], [7; 16], 0, |end| xml::grafted(empty, 1, &info, end)).unwrap();
        let name = path.to_str().unwrap();
        run("wimlib-imagex", &["verify", name]);
        run("7z", &["t", name]);
        let out = dir.path().join("out");
        run("wimlib-imagex", &["apply", name, "1", out.to_str().unwrap()]);
        for (number, content) in contents().iter().enumerate() {
            assert_eq!(&std::fs::read(out.join(format!("a/b/{number}.bin"))).unwrap(), content);
        }
        assert!(out.join("empty").is_dir());
        let verified = verify::verify(&open(&path).await, 2, |_| {}).await.unwrap();
        assert_eq!(verified.resources, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_byte_for_byte_wimlibs() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    // No chunk of these looks incompressible, so that wimlib and we take the same decisions.
    let contents = [text(32_769, 3), text((8 << 20) + 1, 6), text(20 << 20, 8), vec![0; 9 << 20]];
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(tree.join(number.to_string()), content).unwrap();
    }
    let theirs = dir.path().join("theirs.wim");
    let args = ["capture", tree.to_str().unwrap(), theirs.to_str().unwrap(), "--compress=LZX:20"];
    run("wimlib-imagex", &args);
    let ours = dir.path().join("ours.wim");
    let codec = Codec { format: Format::Lzx, chunk_bytes: 32_768, level: 20 };
    let mut writer = WimWriter::create(&ours, codec, pool()).unwrap();
    writer.add(&contents.iter().cloned().map(file).collect::<Vec<_>>()).unwrap();
    let mut wim = ImageTree::new(&NewEntry::directory(TIME)).unwrap();
    for (number, content) in contents.iter().enumerate() {
        let entry = NewEntry::file(0x20, TIME, Sha1Hash::of(content));
        wim.add(&number.to_string(), &entry).unwrap();
    }
    writer
        .finish(&mut [wim], [7; 16], 0, |_| Ok("<WIM><IMAGE INDEX=\"1\"/></WIM>".into()))
        .unwrap();
    let (theirs, ours) = (open(&theirs).await, open(&ours).await);
    let their_blobs = theirs.blobs_by_sha1();
    for (sha1, blob) in ours.blobs_by_sha1() {
        let their = their_blobs[&sha1].resource;
        assert_eq!(blob.resource.compressed, their.compressed);
        let our_bytes = blob.resource.offset..blob.resource.end().unwrap();
        let their_bytes = their.offset..their.end().unwrap();
        let our_bytes = ours.source().read(our_bytes).await.unwrap();
        assert_eq!(our_bytes, theirs.source().read(their_bytes).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wimlibs_metadata_survives_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    for (number, folder) in ["a", "a/Ünï", "a/日本語", "b", "leer"].iter().enumerate() {
        std::fs::create_dir_all(tree.join(folder)).unwrap();
        if *folder != "leer" {
            std::fs::write(tree.join(folder).join("file.txt"), vec![b'x'; number * 1000]).unwrap();
        }
    }
    std::fs::hard_link(tree.join("b/file.txt"), tree.join("a/link.txt")).unwrap();
    std::os::unix::fs::symlink("file.txt", tree.join("b/symlink")).unwrap();
    let path = dir.path().join("theirs.wim");
    let args = ["capture", tree.to_str().unwrap(), path.to_str().unwrap(), "--unix-data"];
    run("wimlib-imagex", &args);
    let wim = open(&path).await;
    let metadata = wim.metadata(1).await.unwrap();
    let mut parsed = ImageTree::parse(metadata.clone()).unwrap();
    assert_eq!(parsed.write(), metadata);
    let blobs = wim.blobs_by_sha1();
    let size = |sha1: &Sha1Hash| blobs.get(sha1).map_or(0, |blob| blob.resource.original_bytes);
    let statistics = parsed.statistics(size);
    let expected = format!(
        "<DIRCOUNT>{}</DIRCOUNT><FILECOUNT>{}</FILECOUNT><TOTALBYTES>{}</TOTALBYTES>\
         <HARDLINKBYTES>{}</HARDLINKBYTES>",
        statistics.directories,
        statistics.files,
        statistics.total_bytes,
        statistics.hard_link_bytes
    );
    assert!(wim.xml.contains(&expected), "{expected} in {}", wim.xml);
    verify::verify(&wim, 2, |_| {}).await.unwrap();
}

#[test]
fn awkward_entries_survive_a_graft() {
    let mut tree = ImageTree::new(&NewEntry::directory(TIME)).unwrap();
    let descriptor = tree.security.add(&[1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
    let windows = tree.ensure_directory("Windows", &NewEntry::directory(TIME)).unwrap();
    let mut awkward = NewEntry::file(0x20, TIME, Sha1Hash::of(b"data"));
    awkward.security_id = descriptor;
    awkward.short_name = Some("AWKWAR~1.TXT".into());
    awkward.named_streams = vec![("Zone.Identifier".into(), Sha1Hash::of(b"zone"))];
    awkward.tagged_items = [&1u32.to_le_bytes()[..], &16u32.to_le_bytes(), &[9; 16]].concat();
    tree.add("Windows/awkward name.txt", &awkward).unwrap();
    let mut junction = NewEntry::directory(TIME);
    junction.attributes |= ATTRIBUTE_REPARSE_POINT;
    junction.reparse = Some(Reparse { tag: 0xa000_0003, flags: 1, sha1: Sha1Hash::of(b"target") });
    tree.add("Documents and Settings", &junction).unwrap();
    let before = tree.write();
    let mut grafted = ImageTree::parse(before).unwrap();
    let original = grafted.find("windows/AWKWARD NAME.TXT").unwrap();
    let bytes = grafted.entry(original).bytes().to_vec();
    assert_eq!(tree.entry(windows).name_lossy(), "Windows");
    grafted.ensure_directory("SMS/PKG/PS100012", &NewEntry::directory(TIME)).unwrap();
    grafted.add("WINDOWS/added.txt", &NewEntry::file(0x20, TIME, Sha1Hash::of(b"new"))).unwrap();
    let error = grafted.add("windows/Awkward Name.TXT", &awkward).unwrap_err().to_string();
    assert!(error.contains("awkward name.txt"), "{error}");
    let mut again = ImageTree::parse(grafted.write()).unwrap();
    let survived = again.find("Windows/awkward name.txt").unwrap();
    assert_eq!(again.entry(survived).bytes(), bytes);
    assert_eq!(again.security.get(descriptor).unwrap().len(), 12);
    assert_eq!(
        again.entry(survived).short_name(),
        "AWKWAR~1.TXT".encode_utf16().collect::<Vec<_>>()
    );
    let names: Vec<String> = again.walk().map(|(path, _)| path).collect();
    let expected = [
        "",
        "Documents and Settings",
        "SMS",
        "SMS/PKG",
        "SMS/PKG/PS100012",
        "Windows",
        "Windows/added.txt",
        "Windows/awkward name.txt",
    ];
    assert_eq!(names, expected);
}
