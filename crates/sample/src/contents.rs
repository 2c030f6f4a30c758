//! What is in each content but the drivers.

use std::path::{Path, PathBuf};

use crate::{
    SampleOptions,
    body::{Body, Pattern},
    drivers,
    identity::{self, Application, Package},
    image::{ARCHIVE, BASE_TIME, READ_ONLY, SECOND},
    software,
};

/// A content version.
pub(crate) struct Content {
    pub(crate) content_id: String,
    pub(crate) package_id: &'static str,
    pub(crate) version: u32,
    pub(crate) items: Vec<Item>,
}

/// A file or folder of a content.
pub(crate) struct Item {
    /// '/' between names.
    pub(crate) path: String,
    pub(crate) source: Source,
    /// `FILE_ATTRIBUTE_*`.
    pub(crate) attributes: u32,
    /// A FILETIME.
    pub(crate) modified: u64,
}

/// Where the bytes of an item come from.
pub(crate) enum Source {
    Folder,
    Body(Body),
    /// A file that is written already.
    File(PathBuf),
}

impl Item {
    /// A file; each path has a time of its own.
    pub(crate) fn file(path: impl Into<String>, body: Body) -> Self {
        Self::new(path.into(), Source::Body(body))
    }

    fn new(path: String, source: Source) -> Self {
        let seconds =
            path.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 10_000_000);
        Self { path, source, attributes: ARCHIVE, modified: BASE_TIME + seconds * SECOND }
    }
}

/// The WIMs that two of the contents hold.
pub(crate) struct ImageFiles<'a> {
    pub(crate) os: &'a Path,
    pub(crate) boot: &'a Path,
}

/// All contents of the site.
pub(crate) fn all(
    options: &SampleOptions,
    images: &ImageFiles<'_>,
    software: &[Package],
) -> Vec<Content> {
    let boot_name = format!("boot.{}.wim", identity::BOOT_IMAGE.id);
    let wim =
        |name: &str, path: &Path| vec![Item::new(name.to_owned(), Source::File(path.to_owned()))];
    let mut contents = vec![
        of_package(&identity::OS_IMAGE, wim("install.wim", images.os)),
        of_package(&identity::BOOT_IMAGE, wim(&boot_name, images.boot)),
        of_package(&identity::CLIENT, client(options.seed)),
        of_package(&identity::SCRIPTS, scripts(options.seed)),
        of_package(&identity::VENDOR_TOOLS, vendor_tools(options)),
        of_package(&identity::PRESTART, prestart()),
        of_package(&identity::DRIVERS, drivers::items(options)),
    ];
    let applications = identity::APPLICATIONS.iter().filter(|app| app.has_content());
    contents.extend(applications.map(|app| of_application(options, app)));
    let software = software.iter().enumerate();
    contents.extend(software.map(|(number, package)| {
        of_package(package, software::items(options, number, package.name))
    }));
    contents
}

fn of_package(package: &Package, items: Vec<Item>) -> Content {
    Content {
        content_id: package.content_id(),
        package_id: package.id,
        version: package.version,
        items,
    }
}

fn of_application(options: &SampleOptions, app: &Application) -> Content {
    let installer = format!("{}.msi", app.name);
    // Half of an installer is a cabinet.
    let half = (options.application_bytes / 2).max(1);
    let body = |pattern, name: &str| Body::generated(pattern, options.seed, name, half);
    let own = if options.packed_percent == 100 { Pattern::Installer } else { Pattern::Binary };
    let readme = format!("{} (sample)\nmsiexec /i \"{installer}\" /qn\n", app.name);
    Content {
        content_id: app.content_id(),
        package_id: app.package_id,
        version: 1,
        items: vec![
            Item::file(&installer, body(own, &installer)),
            Item::file("files/data1.cab", body(Pattern::Packed, app.name)),
            Item::file("files/Lizenz-Ü.txt", Body::text(&readme)),
        ],
    }
}

fn client(seed: u64) -> Vec<Item> {
    let file =
        |path: &str, bytes| Item::file(path, Body::generated(Pattern::Binary, seed, path, bytes));
    vec![
        file("ccmsetup.exe", 200_000),
        file("x64/client.msi", 600_000),
        file("x64/windowsupdateagent.exe", 100_000),
        Item::file("ccmsetup.cab", Body::generated(Pattern::Packed, seed, "ccmsetup.cab", 9_000)),
    ]
}

/// Scripts in the encodings that people save them in, an empty folder, an empty file.
fn scripts(seed: u64) -> Vec<Item> {
    let utf16: Vec<u8> = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<settings/>\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut read_only = Item::file("unattend/unattend.xml", Body::bytes(utf16));
    read_only.attributes = READ_ONLY | ARCHIVE;
    let mut items = vec![
        Item::file("Set-PowerPlan.ps1", Body::text("\u{feff}powercfg /setactive SCHEME_MIN\n")),
        Item::file("cleanup.cmd", Body::text("@echo off\nexit /b 0\n")),
        Item::file("marker.tag", Body::bytes([])),
        Item::file("Настройки/Настроить.ps1", Body::text("Write-Output 'готово'\n")),
        Item::file("日本語/設定.ps1", Body::text("Write-Output '完了'\n")),
        read_only,
        Item::new("Logs/empty on purpose".to_owned(), Source::Folder),
    ];
    items.extend((0..24).map(|number| {
        let path = format!("modules/Sample{number:02}/Sample{number:02}.psm1");
        let body = Body::generated(Pattern::Text, seed, &path, 2_000 + number * 700);
        Item::file(path, body)
    }));
    items
}

fn vendor_tools(options: &SampleOptions) -> Vec<Item> {
    let payload =
        Body::generated(Pattern::Packed, options.seed, "payload.cab", options.payload_bytes);
    let setup = Body::generated(Pattern::Binary, options.seed, "vendor setup.exe", 300_000);
    vec![
        Item::file("payload.cab", payload),
        Item::file("setup.exe", setup.clone()),
        // The same bytes under another name: one resource on the medium.
        Item::file("repair/setup.exe", setup),
        Item::file("setup.ini", Body::text("[Setup]\nSilent=1\n")),
    ]
}

fn prestart() -> Vec<Item> {
    let cmd = "@echo off\nrem A sample: asks for nothing and changes nothing.\necho Prestart of the Prestage sample\nexit /b 0\n";
    vec![
        Item::file("prestart.cmd", Body::text(cmd)),
        Item::file("prestart.hta", Body::text("<html><title>Sample</title></html>\n")),
    ]
}
