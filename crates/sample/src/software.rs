//! Packages of software for measurements: an installer, and a program that is installed by copying.

use crate::{
    SampleOptions,
    body::{Body, Pattern},
    contents::Item,
    random::Random,
};

/// Bytes for which one file more is made, so that there are many small ones.
const BYTES_A_FILE: u64 = 96 << 10;

/// The files of package `number`.
pub(crate) fn items(options: &SampleOptions, number: usize, name: &str) -> Vec<Item> {
    let packed = options.package_bytes * options.packed_percent / 100;
    let mut items = installers(options, number, name, packed);
    let bytes = options.package_bytes - packed;
    let mut random = Random::named(options.seed, name);
    let sizes = random.skewed_sizes((bytes / BYTES_A_FILE) as usize, bytes);
    items.extend(sizes.into_iter().enumerate().map(|(place, bytes)| {
        let (path, pattern) = match place % 5 {
            0 => (format!("program/locale/strings{place:04}.xml"), Pattern::Text),
            1 | 2 => (format!("program/bin/module{place:04}.dll"), Pattern::Binary),
            3 => {
                (format!("program/plug-ins/{}/plug-in{place:04}.dll", place % 17), Pattern::Binary)
            }
            _ => (format!("program/help/topic{place:04}.txt"), Pattern::Text),
        };
        generated(options, name, path, pattern, bytes)
    }));
    items
}

/// What is compressed already, as vendors pack it.
fn installers(options: &SampleOptions, number: usize, name: &str, bytes: u64) -> Vec<Item> {
    let file = |path: &str, pattern, percent: u64| {
        generated(options, name, path.to_owned(), pattern, (bytes * percent / 100).max(1))
    };
    let main = match number % 4 {
        0 => file("setup.msi", Pattern::Installer, 70),
        1 => file("setup.exe", Pattern::Installer, 70),
        2 => file("layout/install.esd", Pattern::Packed, 70),
        _ => file("packages/software.zip", Pattern::Packed, 70),
    };
    vec![main, file("data1.cab", Pattern::Packed, 20), file("media/film.mp4", Pattern::Packed, 10)]
}

fn generated(
    options: &SampleOptions,
    name: &str,
    path: String,
    pattern: Pattern,
    bytes: u64,
) -> Item {
    let body = Body::generated(pattern, options.seed, &format!("{name}/{path}"), bytes);
    Item::file(path, body)
}
