//! Distribution points that hide their content library, and show each content's files by names alone.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use prestage_access::Access;
use prestage_configmgr::{
    content_library::{ContentLibrary, ContentListing, open_file},
    distribution_point::{HttpLibrary, Shown},
};
use prestage_test_servers::apache::{Apache, Settings};
use support::{Demo, assert_clean, files_below, ok, refused};

const FILETIME_OF_1970: u64 = 116_444_736_000_000_000;

/// A distribution point's contents as folders with ordinary files in them.
fn laid_out(demo: &Demo, point: &str) -> PathBuf {
    let to = demo.path(&format!("{point}-by-name"));
    for (id, listing) in listings(demo, point) {
        for folder in &listing.directories {
            fs::create_dir_all(to.join(&id).join(folder)).unwrap();
        }
        for file in &listing.files {
            let path = to.join(&id).join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut written = fs::File::create(&path).unwrap();
            let mut bytes = open_file(&library(demo, point), &id, file).unwrap();
            std::io::copy(&mut bytes, &mut written).unwrap();
            let since_1970 = file.modified.saturating_sub(FILETIME_OF_1970) * 100;
            let modified = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(since_1970);
            written.set_modified(modified).unwrap();
        }
    }
    to
}

fn library(demo: &Demo, point: &str) -> PathBuf {
    demo.path(&format!("site/{point}/SCCMContentLib"))
}

fn listings(demo: &Demo, point: &str) -> BTreeMap<String, ContentListing> {
    let folder = library(demo, point);
    let opened = ContentLibrary::open(&folder).unwrap();
    let names = fs::read_dir(folder.join("DataLib")).unwrap();
    let names = names.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    names.map(|id| (id.clone(), opened.list(&id).unwrap())).collect()
}

fn apache(folder: &Path, html_listings: bool) -> Apache {
    let folders = vec![("/SMS_DP_SMSPKG$", folder)];
    Apache::start(&Settings { folders, html_listings, ..Settings::default() })
}

/// One distribution point at an address; the other by its path, or nowhere.
fn reach(demo: &Demo, point: &str, address: &str, other: bool) {
    let file = demo.path("site/site.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    let mut replace = |point: &str, by: &str| {
        let path = format!("content_library = \"{point}/SCCMContentLib\"");
        assert!(text.contains(&path), "{text}");
        text = text.replace(&path, by);
    };
    replace(point, &format!("url = \"{address}\""));
    if !other {
        let other = if point == "dp1" { "dp2" } else { "dp1" };
        replace(other, "content_library = \"gone\"");
    }
    fs::write(file, text).unwrap();
}

fn packs(demo: &Demo, data: &str) -> Vec<PathBuf> {
    let packs = files_below(&demo.path(data).join("objects/packs"));
    assert!(packs.len() > 5);
    packs
}

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn names_and_sizes_are_enough_beside_one_that_has_hashes() {
    for html_listings in [false, true] {
        let demo = Demo::new();
        ok(&demo.build("by-path.wim", "by-path", &[]));
        let server = apache(&laid_out(&demo, "dp1"), html_listings);
        reach(&demo, "dp1", &server.address, true);
        let output = demo.build("out.wim", "data", &[]);
        ok(&output);
        assert_eq!(packs(&demo, "data"), packs(&demo, "by-path"));
        let told = told(&output);
        assert!(!told.contains("hides its content library"), "nothing was read to plan: {told}");
        // It is the preferred one, so that contents came from it by their names.
        let requests = server.requests();
        let from_it = requests.lines().filter(|line| line.starts_with("GET"));
        assert!(from_it.filter(|line| line.ends_with(".cab 200")).count() > 0, "{requests}");
        assert_clean(&demo);
    }
}

#[test]
fn one_alone_is_read_whole_and_held_to_what_the_site_knows() {
    let demo = Demo::new();
    let folder = laid_out(&demo, "dp2");
    let server = apache(&folder, false);
    reach(&demo, "dp2", &server.address, false);
    let output = demo.build("out.wim", "data", &[]);
    ok(&output);
    let said = told(&output);
    assert!(
        said.contains("knows no hash to check PS100040.2 by")
            && said.contains("were read whole while planning"),
        "{said}"
    );
    // Of the same size, but another file than the site's hash is of.
    let package = folder.join("PS100032.1");
    let changed = package.join(&files_below(&package)[0]);
    let mut bytes = fs::read(&changed).unwrap();
    bytes[0] ^= 1;
    fs::write(changed, bytes).unwrap();
    let said = refused(&demo.build("other.wim", "data", &[]), 2);
    assert!(said.contains("its files come to package hash"), "{said}");
    assert!(!demo.path("other.wim").exists());
    assert_clean(&demo);
}

#[test]
fn what_differs_by_names_or_sizes_is_passed_over() {
    let demo = Demo::new();
    let folder = laid_out(&demo, "dp1");
    let longer = folder.join("PS100040.2/prestart.cmd");
    fs::write(&longer, "another size").unwrap();
    let server = apache(&folder, false);
    reach(&demo, "dp1", &server.address, true);
    let output = demo.build("out.wim", "data", &[]);
    ok(&output);
    let said = told(&output);
    assert!(said.contains("passed over for PS100040") && said.contains("has 12 bytes"), "{said}");
    fs::remove_file(longer).unwrap();
    let said = told(&demo.build("again.wim", "data", &[]));
    assert!(said.contains("passed over for PS100040"), "{said}");
    assert_clean(&demo);
}

/// Paths and sizes of a content, folders without a size.
type Facts = BTreeMap<String, Option<u64>>;

fn as_ours_has_it(address: &str, id: &str) -> Facts {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let base = address.parse().unwrap();
    let library = HttpLibrary::open(&base, &Access::anonymous(), runtime.handle()).unwrap();
    let Shown::Named(content) = library.show(id).unwrap() else { panic!("it shows DataLib") };
    let listing = library.read_whole(&content).unwrap();
    let files = listing.files.iter().map(|file| (file.path.clone(), Some(file.size)));
    files.chain(listing.directories.iter().map(|folder| (folder.clone(), None))).collect()
}

/// The same as Python's webdav4 lists it.
fn as_webdav4_has_it(address: &str, id: &str) -> Facts {
    let script = "import sys\nfrom webdav4.client import Client\nc = Client(sys.argv[1])\n\
        def walk(p):\n  for e in c.ls(p, detail=True):\n    d = e['type'] == 'directory'\n    \
        print(e['name'], '' if d else e['content_length'], sep='\\t')\n    \
        d and walk(e['name'])\nwalk('')\n";
    let url = format!("{address}/SMS_DP_SMSPKG$/{id}/");
    let output = Command::new("python3").args(["-c", script, &url]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "webdav4, which ./setup.sh tests installs: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let fact = |line: &str| {
        let (path, size) = line.split_once('\t').unwrap();
        (path.to_owned(), size.parse().ok())
    };
    text.lines().map(fact).collect()
}

#[test]
fn another_reader_of_listings_sees_the_same() {
    let demo = Demo::new();
    let server = apache(&laid_out(&demo, "dp1"), false);
    let mut seen = 0;
    for (id, listing) in listings(&demo, "dp1") {
        let ours = as_ours_has_it(&server.address, &id);
        assert_eq!(ours, as_webdav4_has_it(&server.address, &id), "{id}");
        seen += listing.files.len();
    }
    assert!(seen > 10);
}
