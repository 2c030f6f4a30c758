//! The OS image: two editions that share most files.

use crate::{
    SampleOptions,
    body::{Body, PLACEHOLDER, Pattern},
    image::{Entry, Image, READ_ONLY},
    image_xml::ImageDescription,
    os_awkward,
    random::Random,
    security::Security,
};

/// The index that the spec builds: the one with all that is awkward.
pub(crate) const ENTERPRISE_INDEX: u32 = 2;

const EDITIONS: [ImageDescription; 2] = [
    ImageDescription {
        name: "Windows 11 Pro sample",
        description: "A sample, not Windows: small tree, index 1",
        edition: "Professional",
        installation_type: "Client",
        system_root: "WINDOWS",
    },
    ImageDescription {
        name: "Windows 11 Enterprise sample",
        description: "A sample, not Windows: everything awkward (R&amp;D ring), index 2",
        edition: "Enterprise",
        installation_type: "Client",
        system_root: "WINDOWS",
    },
];

/// Name and description of each image, for the site's export.
pub(crate) fn names() -> impl Iterator<Item = (u32, &'static str)> {
    EDITIONS.iter().zip(1..).map(|(edition, index)| (index, edition.name))
}

/// Both images.
pub(crate) fn images(options: &SampleOptions) -> Vec<(Image, ImageDescription)> {
    let editions = EDITIONS.into_iter().zip(1..);
    editions
        .map(|(description, index)| (image(options, index, description.edition), description))
        .collect()
}

fn image(options: &SampleOptions, index: u32, edition: &'static str) -> Image {
    let mut image = Image::default();
    top_folders(&mut image);
    windows_tree(&mut image, options, index);
    edition_files(&mut image, options.seed, edition);
    if index == ENTERPRISE_INDEX {
        os_awkward::add(&mut image, options);
    }
    image
}

fn top_folders(image: &mut Image) {
    let open = || Entry::folder().security(Security::Root);
    image.put("Windows", Entry::folder().at(10, 20, 30));
    image.put("Program Files", Entry::folder().attributes(READ_ONLY).short_name("PROGRA~1"));
    let x86 = Entry::folder().attributes(READ_ONLY).short_name("PROGRA~2");
    image.put("Program Files (x86)", x86);
    let hidden = Entry::folder().attributes(crate::image::HIDDEN | crate::image::NOT_INDEXED);
    image.put("ProgramData", hidden.security(Security::Root).short_name("PROGRA~3"));
    image.put("Users", open().attributes(READ_ONLY));
    image.put("PerfLogs", Entry::folder().security(Security::Private));
}

/// What differs by edition beyond the generated tree.
fn edition_files(image: &mut Image, seed: u64, edition: &'static str) {
    let name = format!("{edition}Edition");
    let xml = format!("<?xml version=\"1.0\"?>\n<edition name=\"{edition}\" sample=\"true\"/>\n");
    image.put(format!("Windows/servicing/Editions/{name}.xml"), Entry::file(Body::text(&xml)));
    // The same path with other bytes, and a folder of its own.
    let licence = Body::generated(Pattern::Text, seed, &format!("licence {edition}"), 90_000);
    image.put("Windows/System32/license.rtf", Entry::file(licence));
    let own = Body::generated(Pattern::Binary, seed, &name, 200_000);
    image.put(format!("Windows/System32/spp/tokens/{edition}/pkeyconfig.xrm-ms"), Entry::file(own));
}

/// A place where generated files go: folder, name with `#` for the number, what is in it.
struct Place(&'static str, &'static str, Pattern);

const PLACES: [Place; 14] = [
    Place("Windows/System32", "sample#.dll", Pattern::Binary),
    Place("Windows/System32", "sample#.exe", Pattern::Binary),
    Place("Windows/System32/en-US", "sample#.dll.mui", Pattern::Text),
    Place("Windows/System32/drivers", "sample#.sys", Pattern::Binary),
    Place(
        "Windows/System32/DriverStore/FileRepository/sample.inf_amd64_#",
        "sample.inf",
        Pattern::Text,
    ),
    Place("Windows/SysWOW64", "sample#.dll", Pattern::Binary),
    Place("Windows/INF", "sample#.PNF", Pattern::Binary),
    Place("Windows/Fonts", "sample#.ttf", Pattern::Binary),
    Place(
        "Windows/servicing/Packages",
        "Microsoft-Windows-Sample-#-Package~31bf3856ad364e35~amd64~~10.0.26100.1742.mum",
        Pattern::Text,
    ),
    Place(
        "Windows/servicing/Packages",
        "Microsoft-Windows-Sample-#-Package~31bf3856ad364e35~amd64~~10.0.26100.1742.cat",
        Pattern::Packed,
    ),
    Place("Program Files/Sample Vendor/Component #", "component.dll", Pattern::Binary),
    Place("Program Files (x86)/Sample Vendor", "legacy#.dll", Pattern::Binary),
    Place("ProgramData/Sample/Cache", "entry#.json", Pattern::Text),
    Place(
        "Windows/WinSxS/Manifests",
        "amd64_sample-#_31bf3856ad364e35_10.0.26100.1742_none.manifest",
        Pattern::Text,
    ),
];

/// Files of skewed sizes all over the usual places. Of eleven, one is only in the first edition,
/// one only in the second, one has other bytes in each; and one has a second name in WinSxS.
fn windows_tree(image: &mut Image, options: &SampleOptions, index: u32) {
    let mut random = Random::named(options.seed, "Windows tree");
    let sizes = random.skewed_sizes(options.os_files, options.os_bytes);
    for (number, bytes) in sizes.into_iter().enumerate() {
        let part = number % 11;
        if (part, index) == (1, 2) || (part, index) == (2, 1) {
            continue;
        }
        let Place(folder, name, pattern) = &PLACES[number % PLACES.len()];
        let digits = format!("{number:05}");
        let path = format!("{folder}/{name}").replace('#', &digits);
        let variant = if part == 3 { index } else { 0 };
        let body = Body::generated(*pattern, options.seed, &format!("{path} {variant}"), bytes);
        let number = number as u64;
        let entry = Entry::file(body).at(number, 1_000 + number * 7, 100 + number * 3);
        if part == 4 {
            let name = path.rsplit('/').next().unwrap_or_default();
            let component = format!(
                "Windows/WinSxS/amd64_sample-{digits}_31bf3856ad364e35_10.0.26100.1742_none_{:016x}/{name}",
                Random::named(7, &path).next()
            );
            image.put_linked(&[path, component], entry);
        } else {
            image.put(path, entry);
        }
    }
    let kernel = format!("{PLACEHOLDER}The kernel of a real image would be here.\r\n");
    image.put("Windows/System32/ntoskrnl.exe", Entry::file(Body::bytes(kernel)));
}
