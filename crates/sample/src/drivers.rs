//! The driver package: very many small files, some of them the same.

use crate::{
    SampleOptions,
    body::{Body, Pattern},
    contents::Item,
    random::Random,
};

/// Files of one driver's folder.
const FILES_A_DRIVER: usize = 16;
const CLASSES: [&str; 8] =
    ["Net", "SCSIAdapter", "Display", "MEDIA", "Bluetooth", "Camera", "System", "HIDClass"];

/// All files of it.
pub(crate) fn items(options: &SampleOptions) -> Vec<Item> {
    let mut random = Random::named(options.seed, "drivers");
    let sizes = random.skewed_sizes(options.driver_files, options.driver_bytes);
    sizes.into_iter().enumerate().map(|(number, bytes)| item(options.seed, number, bytes)).collect()
}

fn item(seed: u64, number: usize, bytes: u64) -> Item {
    let driver = number / FILES_A_DRIVER;
    let class = CLASSES[driver % CLASSES.len()];
    let name = format!("drv{driver:04}");
    let folder = format!("{class}/{name}_1.0.{driver}.1");
    let own = |extension: &str| format!("{folder}/{name}.{extension}");
    let generated = |pattern, path: &str| Body::generated(pattern, seed, path, bytes);
    match number % FILES_A_DRIVER {
        0 => Item::file(own("inf"), inf(&name, class, driver)),
        1 => Item::file(own("sys"), generated(Pattern::Binary, &own("sys"))),
        2 => Item::file(own("cat"), generated(Pattern::Packed, &own("cat"))),
        // Vendors put the same co-installer and licence beside every driver.
        3 => {
            let path = format!("{folder}/x64/WdfCoInstaller01011.dll");
            Item::file(path, Body::generated(Pattern::Binary, seed, "co-installer", 24_000))
        }
        4 => {
            let licence = Body::generated(Pattern::Text, seed, "driver licence", 6_000);
            Item::file(format!("{folder}/license.txt"), licence)
        }
        part @ 5..=9 => {
            let path = format!("{folder}/x64/{name}_{part}.dll");
            Item::file(&path, generated(Pattern::Binary, &path))
        }
        part => {
            let path = format!("{folder}/lang/{name}_{part:04}.mui");
            Item::file(&path, generated(Pattern::Text, &path))
        }
    }
}

fn inf(name: &str, class: &str, driver: usize) -> Body {
    Body::text(&format!(
        "; A sample, not a driver.\n[Version]\nSignature=\"$WINDOWS NT$\"\nClass={class}\n\
         Provider=%Vendor%\nDriverVer=01/15/2025,1.0.{driver}.1\nCatalogFile={name}.cat\n\n\
         [Manufacturer]\n%Vendor%=Models,NTamd64\n\n[Models.NTamd64]\n\
         %Device%=Install,PCI\\VEN_8086&DEV_{driver:04X}\n\n[Strings]\nVendor=\"Sample Vendor\"\n\
         Device=\"Sample device {driver}\"\n"
    ))
}
