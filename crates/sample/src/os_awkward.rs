//! The awkward things that real OS images hold, and that a media build must carry unchanged.

use crate::{
    SampleOptions,
    body::{Body, Pattern},
    image::{ARCHIVE, Entry, HIDDEN, Image, NOT_INDEXED, READ_ONLY, SYSTEM},
    random::Random,
    reparse::Link,
    security::Security,
};

/// Adds all of them.
pub(crate) fn add(image: &mut Image, options: &SampleOptions) {
    links(image, options.seed);
    streams(image);
    names(image, options.seed);
    attributes(image, options.seed);
    extremes(image, options);
}

/// Hard links over three folders, junctions, and symbolic links to a file and to a folder.
fn links(image: &mut Image, seed: u64) {
    let shared = Body::generated(Pattern::Binary, seed, "kernelbase", 300_000);
    let names = [
        "Windows/System32/kernelbase.dll",
        "Windows/System32/downlevel/api-ms-win-core-sample-l1-1-0.dll",
        "Windows/WinSxS/amd64_microsoft-windows-kernelbase_31bf3856ad364e35_10.0.26100.1742_none_5a3f0c1d2e4b6978/kernelbase.dll",
    ];
    let linked = Entry::file(shared.clone()).at(5, 6, 7);
    image.put_linked(&names.map(str::to_owned), linked);
    // The same bytes in a file of its own: it must not become a link.
    image.put("Windows/SysWOW64/kernelbase.dll", Entry::file(shared).at(8, 9, 10));
    // Two empty files that are links of each other.
    let empty = ["Windows/Logs/empty-a.log", "Windows/Logs/empty-b.log"];
    image.put_linked(&empty.map(str::to_owned), Entry::file(Body::bytes([])));
    let old = HIDDEN | SYSTEM | NOT_INDEXED;
    let junction = |target| Entry::link(Link::Junction(target), true).attributes(old);
    image.put("Documents and Settings", junction(r"C:\Users").short_name("DOCUME~1"));
    image.put(
        "ProgramData/Application Data",
        junction(r"C:\ProgramData").security(Security::Private),
    );
    let all_users = Entry::link(Link::Absolute(r"C:\ProgramData"), true);
    image.put("Users/All Users", all_users.attributes(old).short_name("ALLUSE~1"));
    let relative = Entry::link(Link::Relative(r"..\..\Windows\System32\license.rtf"), false);
    image.put(
        "Users/Public/licence link.rtf",
        relative.attributes(ARCHIVE).security(Security::Shared),
    );
}

/// Alternate data streams on a file, on an empty file, and on a folder.
fn streams(image: &mut Image) {
    let zone = Body::text("[ZoneTransfer]\nZoneId=3\nHostUrl=https://download.example/\n");
    let setup = Entry::file(Body::text("A file that came from the internet.\n"));
    // In the order that NTFS lists streams in.
    let setup =
        setup.stream("SmartScreen", Body::text("Anaheim")).stream("Zone.Identifier", zone.clone());
    image.put("Users/Public/Downloads/setup notes.txt", setup.security(Security::Shared));
    let hollow =
        Entry::file(Body::bytes([])).stream("only in a stream", Body::text("nothing else"));
    image.put("Users/Public/Downloads/hollow.txt", hollow.security(Security::Shared));
    let folder = Entry::folder().stream("notes on a folder", Body::text("A stream of a folder.\n"));
    image.put("Users/Public/Downloads", folder.security(Security::Shared).at(1, 2, 3));
    let marked = Entry::folder().stream("Zone.Identifier", zone);
    image.put("Users/Public/Marked and empty", marked.security(Security::Shared));
}

/// Names in several scripts, outside of the basic plane, with signs of all kinds, and very long.
fn names(image: &mut Image, seed: u64) {
    let folder = "Users/Public/Documents";
    let long = format!("{}.txt", "a long name ".repeat(18).trim_end());
    // As many bytes as other systems allow a name, so that the sample can be applied there too.
    let wide = "名".repeat(80);
    let names = [
        "Привет, мир.txt",
        "日本語の説明書.txt",
        "مرحبا بالعالم.txt",
        "שלום.txt",
        "ไทย.txt",
        "Ελληνικά ΑΣΣ.txt",
        "Straße Übergröße.txt",
        "e\u{301}t\u{e9}.txt",
        "🚀 rocket 👩‍💻.txt",
        "İıſK.txt",
        "100% [a] {b} 'c' & d;e,f=g+h~i`j!k@l#m$n^o(p).txt",
        " leading space.txt",
        "no extension",
        ".dotfile",
        "UPPER and lower.TXT",
        &long,
        &wide,
    ];
    for (number, name) in names.iter().enumerate() {
        let bytes = 100 + 731 * number as u64;
        let body = Body::generated(Pattern::Text, seed, name, bytes);
        image.put(format!("{folder}/{name}"), Entry::file(body).security(Security::Shared));
    }
    let folders = "Windows/System32/Συστήματα/システム/Система";
    image.put(format!("{folders}/deep.txt"), Entry::file(Body::text("deep\n")));
    let deep =
        (1..=12).map(|level| format!("/a folder of the level {level:02}")).collect::<String>();
    image.put(
        format!("Users/Public{deep}/over 260 characters from the root.txt"),
        Entry::file(Body::text("far\n")),
    );
    let short = Entry::file(Body::text("8.3\n")).short_name("LONGFI~1.TXT");
    image.put("Windows/long file with a short name.txt", short);
}

/// Attributes, descriptors, an object ID, and times that differ.
fn attributes(image: &mut Image, seed: u64) {
    let file = |text: &str| Entry::file(Body::text(text));
    image
        .put("Windows/bootstat.dat", file("boot status\n").attributes(READ_ONLY | HIDDEN | SYSTEM));
    let ini = Body::bytes(
        "[.ShellClassInfo]\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
    );
    let hidden = Entry::file(ini).attributes(HIDDEN | SYSTEM | ARCHIVE);
    image.put("Users/Public/desktop.ini", hidden.security(Security::Shared));
    let mut identified =
        file("Links to this file follow it by its object ID.\n").security(Security::Shared);
    identified.object_id = Some(Random::named(seed, "object id").guid());
    image.put("Users/Public/identified.txt", identified);
    for hive in ["SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT"] {
        let body = Body::generated(Pattern::Text, seed, hive, 65_536);
        let hive = format!("Windows/System32/config/{hive}");
        image.put(hive, Entry::file(body).security(Security::Private).at(50, 4_000_000, 3_000_000));
    }
    image.put("Windows/System32/config", Entry::folder().security(Security::Private));
    // A file from the year 1601 and one from far in the future.
    let mut old = file("as old as can be\n");
    old.times = [1, 1, 1];
    image.put("Windows/old.txt", old);
    let mut future = file("from 2199\n");
    future.times = [188_850_000_000_000_000, 188_850_000_000_000_001, 188_850_000_000_000_002];
    image.put("Windows/future.txt", future);
}

/// Nothing at all, a byte, sizes around a chunk's, and a file of very many chunks.
fn extremes(image: &mut Image, options: &SampleOptions) {
    image.put("Windows/System32/empty.dat", Entry::file(Body::bytes([])));
    image.put("Windows/Temp", Entry::folder().security(Security::Shared));
    image.put("Windows/System32/one byte.dat", Entry::file(Body::bytes([0x55])));
    for bytes in [32_767, 32_768, 32_769, 65_536] {
        let name = format!("chunk edge {bytes}.dat");
        let body = Body::generated(Pattern::Binary, options.seed, &name, bytes);
        image.put(format!("Windows/System32/{name}"), Entry::file(body));
    }
    let packed = Body::generated(Pattern::Packed, options.seed, "winre", 700_000);
    let hidden = HIDDEN | SYSTEM | NOT_INDEXED;
    image.put("Windows/System32/Recovery/Winre.wim", Entry::file(packed).attributes(hidden));
    let large =
        Body::generated(Pattern::Zeros, options.seed, "over 4 GiB", options.large_file_bytes);
    let name = "ProgramData/Sample/stands for a file over 4 GiB.vhdx";
    image.put(name, Entry::file(large).security(Security::Private));
}
