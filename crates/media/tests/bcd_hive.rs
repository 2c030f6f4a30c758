//! The boot stores, read back by hivex, which shares no code with the writer.

use std::collections::BTreeMap;
use std::process::Command;

use prestage_media::bcd::{Firmware, hive, store};
use serde::Deserialize;

type Fault = Box<dyn std::error::Error>;

const MODIFIED: u64 = 134_000_000_000_000_000;

const MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
const LOADER: &str = "{7619dcc9-fafe-11d9-b411-000476eba25f}";
const RAMDISK: &str = "{ae5534e0-a924-466c-b836-758539a3ee3a}";
const GLOBAL: &str = "{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}";
const LOADER_SETTINGS: &str = "{6efb52bf-1766-41db-a6b3-0ee5eff72bd7}";

#[derive(Deserialize)]
struct Dump {
    root: String,
    #[serde(default)]
    modified: u64,
    #[serde(default)]
    last_modified: u64,
    keys: BTreeMap<String, BTreeMap<String, (u32, String)>>,
}

/// A reader of hives: its module, what brings it, and the script that prints a hive with it.
struct Reader {
    module: &'static str,
    package: &'static str,
    script: &'static str,
}

const HIVEX: Reader = Reader {
    module: "hivex",
    package: "Debian's python3-hivex",
    script: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hive_dump.py"),
};
const PYTHON_REGISTRY: Reader = Reader {
    module: "Registry",
    package: "Python's python-registry",
    script: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hive_registry.py"),
};

/// A Python with the module: the system's own has Debian's packages even where another comes
/// first.
fn python_with(reader: &Reader) -> Result<&'static str, Fault> {
    let import = format!("import {}", reader.module);
    let has_module = |python: &&str| {
        let output = Command::new(python).args(["-c", &import]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let pythons = ["python3", "/usr/bin/python3"];
    pythons.into_iter().find(has_module).ok_or_else(|| format!("install {}", reader.package).into())
}

fn dump(bytes: &[u8]) -> Result<Dump, Fault> {
    dump_by(&HIVEX, bytes)
}

fn dump_by(reader: &Reader, bytes: &[u8]) -> Result<Dump, Fault> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hive");
    std::fs::write(&path, bytes)?;
    let output = Command::new(python_with(reader)?).arg(reader.script).arg(&path).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{} refused the hive: {said}", reader.module).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn wide(text: &str) -> String {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    hex::encode(bytes)
}

fn text(text: &str) -> (u32, String) {
    (1, wide(&format!("{text}\0")))
}

fn list(item: &str) -> (u32, String) {
    (7, wide(&format!("{item}\0\0")))
}

fn integer(number: u64) -> (u32, String) {
    (3, hex::encode(number.to_le_bytes()))
}

fn yes() -> (u32, String) {
    (3, "01".to_owned())
}

fn boot_device() -> (u32, String) {
    let bytes =
        format!("{}05000000000000004800000000000000{}", "00".repeat(0x10), "00".repeat(0x38));
    (3, bytes)
}

/// Written out from the reference, field by field.
fn ramdisk_device() -> (u32, String) {
    let bytes = [
        "e03455ae24a96c46b836758539a3ee3a",
        "00000000 01000000 a0000000 00000000",
        "03000000 00000000 00000000 00000000 00000000 00000000",
        "01000000 78000000 05000000",
        "05000000 00000000 48000000 00000000",
        &"00".repeat(0x38),
        &wide("\\sources\\boot.wim\0"),
    ];
    (3, bytes.concat().replace(' ', ""))
}

fn loader_elements(file: &str) -> Vec<(&'static str, (u32, String))> {
    vec![
        ("11000001", ramdisk_device()),
        ("12000002", text(&format!(r"\windows\system32\boot\{file}"))),
        ("12000004", text("Windows PE")),
        ("12000005", text("en-US")),
        ("14000006", list(LOADER_SETTINGS)),
        ("21000001", ramdisk_device()),
        ("22000002", text(r"\windows")),
        ("25000020", integer(0)),
        ("26000010", yes()),
        ("26000022", yes()),
    ]
}

/// Every key of a store with its values.
fn expected(loader: &str) -> BTreeMap<String, BTreeMap<String, (u32, String)>> {
    let manager = vec![
        ("11000001", boot_device()),
        ("12000004", text("Windows Boot Manager")),
        ("12000005", text("en-US")),
        ("14000006", list(GLOBAL)),
        ("23000003", text(LOADER)),
        ("24000001", list(LOADER)),
        ("25000004", integer(0)),
    ];
    let ramdisk = vec![("31000003", boot_device()), ("32000004", text(r"\boot\boot.sdi"))];
    let objects = [
        (MANAGER, "02001010", manager),
        (LOADER, "03002010", loader_elements(loader)),
        (RAMDISK, "00000030", ramdisk),
        (GLOBAL, "00001020", vec![]),
        (LOADER_SETTINGS, "03002020", vec![("14000006", list(GLOBAL))]),
    ];
    let one = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
    let mut keys = BTreeMap::from([
        ("\\".to_owned(), BTreeMap::new()),
        (r"\Objects".to_owned(), BTreeMap::new()),
        (
            r"\Description".to_owned(),
            BTreeMap::from([
                ("KeyName".to_owned(), text("BCD00000001")),
                ("TreatAsSystem".to_owned(), (4, "01000000".to_owned())),
            ]),
        ),
    ]);
    for (guid, kind, elements) in objects {
        let object = format!(r"\Objects\{guid}");
        keys.insert(object.clone(), BTreeMap::new());
        keys.insert(format!(r"{object}\Description"), one("Type", (4, kind.to_owned())));
        keys.insert(format!(r"{object}\Elements"), BTreeMap::new());
        for (element, value) in elements {
            keys.insert(format!(r"{object}\Elements\{element}"), one("Element", value));
        }
    }
    keys
}

#[test]
fn hivex_finds_every_element_of_both_stores_and_nothing_else() -> Result<(), Fault> {
    for (firmware, loader) in [(Firmware::Bios, "winload.exe"), (Firmware::Uefi, "winload.efi")] {
        let dump = dump(&store(firmware, MODIFIED))?;
        assert_eq!(dump.root, "NewStoreRoot");
        assert_eq!((dump.modified, dump.last_modified), (MODIFIED, MODIFIED));
        let expected = expected(loader);
        for (path, values) in &expected {
            assert_eq!(dump.keys.get(path), Some(values), "{firmware:?}: {path}");
        }
        let extra: Vec<_> = dump.keys.keys().filter(|key| !expected.contains_key(*key)).collect();
        assert!(extra.is_empty(), "{firmware:?}: {extra:?}");
    }
    Ok(())
}

#[test]
fn a_second_reader_finds_the_same() -> Result<(), Fault> {
    for (firmware, loader) in [(Firmware::Bios, "winload.exe"), (Firmware::Uefi, "winload.efi")] {
        let dump = dump_by(&PYTHON_REGISTRY, &store(firmware, MODIFIED))?;
        assert_eq!(dump.root, "NewStoreRoot");
        assert_eq!(dump.keys, expected(loader), "{firmware:?}");
    }
    Ok(())
}

#[test]
fn hivexregedit_exports_the_store() -> Result<(), Fault> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("BCD");
    std::fs::write(&path, store(Firmware::Uefi, MODIFIED))?;
    let output = Command::new("hivexregedit")
        .args(["--export", "--unsafe-printable-strings"])
        .arg(&path)
        .arg("\\")
        .output()
        .map_err(|error| format!("install the package libwin-hivex-perl: {error}"))?;
    let exported = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let loader = r#""Element"=str(1):"\windows\system32\boot\winload.efi""#;
    assert!(exported.contains(loader), "{exported}");
    assert_eq!(exported.matches(r"\Description]").count(), 6, "{exported}");
    Ok(())
}

#[test]
fn hivexsh_walks_to_an_element() -> Result<(), Fault> {
    let folder = tempfile::tempdir()?;
    let hive = folder.path().join("BCD");
    let script = folder.path().join("script");
    std::fs::write(&hive, store(Firmware::Bios, MODIFIED))?;
    std::fs::write(
        &script,
        format!("cd \\Objects\\{LOADER}\\Elements\\12000002\nlsval Element\n"),
    )?;
    let output = Command::new("hivexsh")
        .arg("-f")
        .arg(&script)
        .arg(&hive)
        .output()
        .map_err(|error| format!("install the package libhivex-bin: {error}"))?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown.trim(), r"\windows\system32\boot\winload.exe", "{output:?}");
    Ok(())
}

#[test]
fn deep_and_wide_hives_are_read_back_too() -> Result<(), Fault> {
    let mut root = hive::Key::new("Root");
    for index in 0..300 {
        let data = vec![0x5A; index * 7];
        let value = hive::Value::binary("V", data);
        root = root.with_key(hive::Key::new(format!("k{index:03}")).with_value(value));
    }
    let dump = dump(&hive::write(&root, 1))?;
    assert_eq!(dump.keys.len(), 301);
    for index in [0_usize, 1, 2, 299] {
        let value = &dump.keys[&format!("\\k{index:03}")]["V"];
        assert_eq!(value, &(3, "5a".repeat(index * 7)), "{index}");
    }
    Ok(())
}
