//! What a boot image must have is found when a medium is planned, before any work.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::PathBuf;

use serde_json::Value;
use support::{Demo, assert_clean, files_below, ok, prestage, refused, replace_everywhere, wimlib};

/// The boot image's file on the first distribution point.
fn boot_image(demo: &Demo) -> PathBuf {
    let library = demo.path("site/dp1/SCCMContentLib/FileLib");
    let mut files = files_below(&library).into_iter().map(|path| library.join(path));
    let is_boot_image = |path: &PathBuf| {
        std::fs::read(path).unwrap().starts_with(b"MSWIM\0")
            && wimlib(["info".as_ref(), path.as_os_str()]).contains("Windows PE")
    };
    files.find(is_boot_image).unwrap()
}

/// Removes files and folders from the boot image, everywhere.
fn without(demo: &Demo, paths: &[&str]) {
    let (file, copy) = (boot_image(demo), demo.path("boot.wim"));
    std::fs::copy(&file, &copy).unwrap();
    for path in paths {
        let command = format!("--command=delete --recursive '{path}'");
        wimlib(["update", copy.to_str().unwrap(), "1", &command]);
    }
    replace_everywhere(demo, &file, &std::fs::read(&copy).unwrap());
    std::fs::remove_file(copy).unwrap();
}

fn plan(demo: &Demo) -> Value {
    let (spec, data) = (demo.spec(), demo.path("data"));
    let args = ["plan", spec.to_str().unwrap(), "--json", "--data-dir", data.to_str().unwrap()];
    ok(&prestage(demo, args))
}

fn warnings(plan: &Value) -> Vec<&str> {
    plan["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[test]
fn a_boot_image_without_boot_files_is_refused_with_all_that_it_lacks() {
    let demo = Demo::new();
    without(
        &demo,
        &["/Windows/Boot/EFI", "/Windows/Boot/EFI_EX", "/Windows/Boot/DVD", "/sms/boot"],
    );
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    for part in
        ["PS100005", "'EFI/Boot/bootx64.efi'", "'boot/boot.sdi'", "sms/boot/boot.sdi", "ADK"]
    {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let packs = files_below(&demo.path("data")).into_iter().filter(|path| path.ends_with(".pack"));
    assert_eq!(packs.count(), 0, "work was done");
    assert_clean(&demo);
}

#[test]
fn drivers_are_listed_and_their_absence_is_a_warning() {
    let demo = Demo::new();
    let whole = plan(&demo);
    assert!(!warnings(&whole).iter().any(|warning| warning.contains("driver at all")));
    let drivers = whole["boot_drivers"].as_array().unwrap();
    let told: Vec<_> =
        drivers.iter().map(|one| [&one["inf"], &one["purpose"], &one["version"]]).collect();
    assert_eq!(
        told,
        [["e1dsample.inf", "network", "1.0.0.1"], ["nvmesample.inf", "storage", "1.0.0.1"]]
    );
    assert_eq!(drivers[0]["provider"], "Sample Vendor");
    without(&demo, &["/Windows/System32/DriverStore", "/Windows/INF/e1dsample.inf"]);
    let lacking = plan(&demo);
    let of_drivers: Vec<_> = warnings(&lacking)
        .into_iter()
        .filter(|warning| warning.contains("driver at all"))
        .collect();
    assert_eq!(of_drivers.len(), 1, "{of_drivers:?}");
    assert!(of_drivers[0].contains("PS100005 has no network driver"), "{of_drivers:?}");
    assert_eq!(lacking["boot_drivers"].as_array().unwrap().len(), 1);
}
