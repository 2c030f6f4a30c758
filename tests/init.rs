//! The wizard's questions at a real terminal, and the spec that comes of the answers.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
};

use support::{Demo, binary, command, ok, prestage, refused};

const ENTER: &str = "\r";

fn interview(demo: &Demo, answers: &[(&str, &str)], spec: &Path) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/interview.py");
    let answers = serde_json::to_string(answers).unwrap();
    let site = demo.site();
    let arguments: [&OsStr; 7] = [
        script.as_ref(),
        answers.as_ref(),
        binary().as_ref(),
        "init".as_ref(),
        spec.as_os_str(),
        "--site".as_ref(),
        site.as_os_str(),
    ];
    Command::new("python3").args(arguments).env("HOME", demo.dir.path()).output().unwrap()
}

#[test]
fn a_whole_interview_gives_a_spec_that_can_be_planned() {
    let demo = Demo::new();
    let spec = demo.path("w11.toml");
    // Space chooses, the arrow goes down.
    let first_two = " \u{1b}[B \r";
    let long = format!("{}{ENTER}", "x".repeat(51));
    let answers: Vec<(&str, &str)> = vec![
        ("Allow unattended", "y\r"),
        ("Dynamic or site-based", ENTER),
        ("Created by", &long),
        ("at most 50 are stored", ""),
        ("Created by", "OSD team\r"),
        ("Version", ENTER),
        ("Comment", ENTER),
        ("Media file", "out/w11.wim\r"),
        ("unknown computer support", "y\r"),
        ("with a password", ENTER),
        (".pfx", ENTER),
        ("User device affinity", ENTER),
        ("Task sequence", ENTER),
        ("application dependencies", ENTER),
        ("Boot image", ENTER),
        ("Management points", first_two),
        ("Operating system image", ENTER),
        ("Image index", ENTER),
        ("Further applications", ENTER),
        ("Further packages", ENTER),
        ("Further driver packages", ENTER),
        ("Distribution points", first_two),
        ("Prestart command", ENTER),
    ];
    let output = interview(&demo, &answers, &spec);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let (site, data) = (demo.site(), demo.path("data"));
    let plan: [&OsStr; 7] = [
        "--json".as_ref(),
        "plan".as_ref(),
        spec.as_os_str(),
        "--site".as_ref(),
        site.as_os_str(),
        "--data-dir".as_ref(),
        data.as_os_str(),
    ];
    let planned = command(&demo).args(plan).env("MEDIA_PASSWORD", demo.password()).output();
    let planned = ok(&planned.unwrap());
    assert_eq!(planned["task_sequence"]["id"], "PS100123");
    assert_eq!(planned["about"]["created_by"], "OSD team");
    assert_eq!(planned["media"]["management_points"].as_array().unwrap().len(), 2);
}

#[test]
fn leaving_in_the_middle_writes_nothing() {
    let demo = Demo::new();
    let spec = demo.path("w11.toml");
    let answers = [("Allow unattended", "y\r"), ("Dynamic or site-based", "\u{3}")];
    let output = interview(&demo, &answers, &spec);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!spec.exists());
    let arguments: [&OsStr; 2] = ["init".as_ref(), spec.as_os_str()];
    let said = refused(&prestage(&demo, arguments), 2);
    assert!(said.contains("nobody at a terminal") && said.contains("import-cmdlet"), "{said}");
}
