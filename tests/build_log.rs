//! The build log: the steps of the wizard's own, no value of a variable in it, there after the fact.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::ffi::OsStr;

use serde_json::Value;
use support::{Demo, files_below, ok, prestage, refused};

/// The log of the newest build, and its file.
fn log(demo: &Demo) -> (Value, String) {
    let data = demo.path("data");
    let data: [&OsStr; 2] = ["--data-dir".as_ref(), data.as_os_str()];
    let builds = ok(&prestage(demo, ["--json".as_ref(), "list".as_ref(), data[0], data[1]]));
    let id = builds["builds"][0]["build_id"].as_str().unwrap().to_owned();
    let file = demo.path("saved.log");
    let arguments: [&OsStr; 5] =
        ["--json".as_ref(), "log".as_ref(), id.as_ref(), "--save".as_ref(), file.as_os_str()];
    let log = ok(&prestage(demo, arguments.into_iter().chain(data)));
    (log, std::fs::read_to_string(file).unwrap())
}

fn texts(log: &Value) -> Vec<&str> {
    log["entries"].as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap()).collect()
}

/// Entries as a log viewer sees them: whatever stands between the marks.
fn entries_of_file(file: &str) -> Vec<&str> {
    let entries = file.split("<![LOG[").skip(1);
    entries.map(|entry| entry.split_once("]LOG]!><time=\"").unwrap().0).collect()
}

#[test]
fn a_build_tells_its_steps_and_no_value() {
    let demo = Demo::new();
    demo.edit_spec("OSDTimeZone = \"UTC\"", "OSDTimeZone = \"Z0NE-VALUE\"");
    demo.edit_spec("command = \"", "command = \"set-zone.cmd /zone:Z0NE-VALUE && ");
    ok(&demo.build("out/w11.wim", "data", &[]));
    let (log, file) = log(&demo);
    let texts = texts(&log);
    let order = [
        "Media creation process that was started by",
        "Creating prestaged media",
        "Task sequence PS100123",
        "Boot image PS100005",
        "OS image PS100010",
        "Content ",
        "Setting TS environment variable OSDTimeZone = ********",
        "Prestart command: set-zone.cmd /zone:******** && ",
        "Began ",
        "Finished ",
        "Media creation completed",
        "CreateTsMedia finished with error code 0x00000000",
    ];
    let mut rest = texts.iter();
    for step in order {
        assert!(rest.any(|text| text.starts_with(step)), "no '{step}' in its place in {texts:#?}");
    }
    for secret in ["Z0NE-VALUE", &demo.password()] {
        assert!(!file.contains(secret) && !log.to_string().contains(secret), "{secret}");
        assert!(texts.iter().all(|text| !text.contains(secret)));
    }
    assert_eq!(entries_of_file(&file), texts, "the file says the same");
    let beside = std::fs::read_to_string(demo.path("out/w11.wim.log")).unwrap();
    assert_eq!(beside, file, "and so does the one beside the medium");
}

#[test]
fn a_build_that_failed_says_why() {
    let demo = Demo::new();
    for point in ["dp1", "dp2"] {
        let library = demo.path(&format!("site/{point}/SCCMContentLib/FileLib"));
        for path in files_below(&library).into_iter().map(|path| library.join(path)) {
            let mut bytes = std::fs::read(&path).unwrap();
            if bytes.len() >= 3 << 20 {
                bytes[1_000_000] ^= 1;
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
    refused(&demo.build("out.wim", "data", &[]), 1);
    let (log, _) = log(&demo);
    let last = log["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["severity"], "error");
    let text = last["text"].as_str().unwrap();
    assert!(text.starts_with("Failed to create media: ") && text.contains("SHA-256"), "{text}");
    assert!(!demo.path("out.wim.log").exists(), "a log beside no medium");
}

#[test]
fn a_build_that_nobody_knows_has_no_log() {
    let demo = Demo::new();
    let data = demo.path("data");
    let arguments: [&OsStr; 4] =
        ["log".as_ref(), "nobody's".as_ref(), "--data-dir".as_ref(), data.as_os_str()];
    let said = refused(&prestage(&demo, arguments), 2);
    assert!(
        said.contains("there is no build 'nobody's'") && said.contains("prestage list"),
        "{said}"
    );
}
