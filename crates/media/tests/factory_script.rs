//! The script for disks with an EFI system partition: its edits fit the boot store of a medium.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use prestage_media::bcd::{Firmware, store};
use prestage_media::{boot_files, volume};

const SYSTEM: &str = "c12a7328-0000-4000-8000-00000000000a/11111111-2222-4333-8444-555555555555";
const WINDOWS: &str = "c12a7328-0000-4000-8000-00000000000a/66666666-7777-4888-8999-aaaaaaaaaaaa";

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/factory/apply-prestaged.cmd")
}

/// Runs a Python that has hivex (Debian's python3-hivex).
fn python(script: &str, arguments: &[&str]) -> String {
    let script = format!("{}/tests/{script}", env!("CARGO_MANIFEST_DIR"));
    let has_hivex = |python: &&str| {
        let output = Command::new(python).args(["-c", "import hivex"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_hivex);
    let python = python.expect("install the package python3-hivex");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_edited_store_names_partitions_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let hive = folder.path().join("BCD");
    std::fs::write(&hive, store(Firmware::Uefi, 1)).unwrap();
    let path = hive.to_str().unwrap();
    let drives = [format!("S:={SYSTEM}"), format!("W:={WINDOWS}")];
    let script = script();
    let arguments = [path, script.to_str().unwrap(), &drives[0], &drives[1]];
    assert_eq!(python("factory_bcdedit.py", &arguments).trim(), "4");
    let dump: serde_json::Value = serde_json::from_str(&python("hive_dump.py", &[path])).unwrap();
    let devices: Vec<(String, String)> = dump["keys"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| ["11000001", "21000001", "31000003"].iter().any(|e| key.ends_with(e)))
        .map(|(key, value)| (key.clone(), value["Element"][1].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(devices.len(), 4, "{devices:?}");
    for (key, device) in &devices {
        // The plain device lies at 0x10, that of a RAM disk at 0x44 (reference: section 6.4).
        let at = if device.len() == 0x58 * 2 { 0x10 } else { 0x44 };
        let block = &device[at * 2..(at + 0x48) * 2];
        assert!(block.starts_with("06000000000000004800000000000000"), "{key}: {block}");
        let windows = "66666666777788488999aaaaaaaaaaaa";
        assert_eq!(block.contains(windows), !key.contains("9dea862c"), "{key}: {block}");
    }
    // A store of a medium has no other device, so none of the kind "boot" is left.
    let text = dump.to_string();
    assert!(!text.contains("05000000000000004800000000000000"), "{text}");
}

#[test]
fn the_script_names_what_a_medium_has() {
    let text = std::fs::read_to_string(script()).unwrap();
    for path in [volume::BOOT_IMAGE, volume::VARIABLES, "EFI/Microsoft/Boot/BCD"] {
        assert!(text.contains(&format!(r"%WINDOWS%\{}", path.replace('/', r"\"))), "{path}");
    }
    assert!(boot_files::GENERATED_STORES.iter().any(|s| s.target == "EFI/Microsoft/Boot/BCD"));
}

#[test]
fn the_script_is_what_cmd_reads() {
    let bytes = std::fs::read(script()).unwrap();
    assert!(bytes.is_ascii(), "cmd reads it in the console's code page");
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "labels need CR LF");
    let jumps = text.split("goto ").skip(1).map(|rest| rest.split_whitespace().next().unwrap());
    for label in jumps {
        assert!(text.contains(&format!("\n:{label}\r")), "no label {label}");
    }
    // Every step that can fail is asked whether it did.
    for line in text.lines().filter(|line| {
        ["diskpart ", "dism ", "xcopy ", "bcdedit "].iter().any(|tool| line.starts_with(tool))
    }) {
        assert!(line.trim_end().ends_with("|| goto failed"), "{line}");
    }
}
