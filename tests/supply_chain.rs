//! What the documents say of the sources is so: the list of `unsafe`, the limits, the tests of the threat model.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files of the product and its tests, below the root.
fn sources() -> Vec<String> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git is needed");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.lines().filter(|file| root().join(file).exists()).map(str::to_owned);
    files.collect()
}

/// The cells of a table's rows, without its head.
fn rows(document: &str) -> Vec<Vec<String>> {
    let lines = document.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        cells.collect::<Vec<_>>()
    };
    lines.map(cells).collect()
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

#[test]
fn the_list_of_unsafe_places_is_complete() {
    let mut found = BTreeMap::new();
    for file in sources() {
        if file == "tests/supply_chain.rs" {
            continue;
        }
        let code = read(&file);
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let places = code.filter(|line| {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.into_iter().any(|word| word == "unsafe") && !line.contains("--unsafe")
        });
        let places = places.count();
        if places > 0 {
            found.insert(file, places);
        }
    }
    let listed = rows(&read("docs/unsafe.md"));
    let listed: BTreeMap<String, usize> = listed
        .iter()
        .filter_map(|row| Some((unquoted(&row[0]).to_owned(), row[1].parse().ok()?)))
        .collect();
    assert_eq!(found, listed, "left: the sources, right: docs/unsafe.md");
}

/// Constants that bound what comes from outside, by file and name: `(file, name) → value`.
fn limits() -> BTreeMap<(String, String), String> {
    let mut limits = BTreeMap::new();
    let is_product = |file: &&String| {
        (file.starts_with("crates/") || file.contains("src/"))
            && file.contains("/src/")
            && !["tests.rs", "/tests/", "crates/sample", "crates/test-servers", "crates/fuzzing"]
                .iter()
                .any(|part| file.contains(part))
    };
    for file in sources().iter().filter(is_product) {
        for line in read(file).lines() {
            let line =
                line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            let Some(rest) = line.trim_start_matches("pub ").strip_prefix("const ") else {
                continue;
            };
            let (Some((name, rest)), true) = (rest.split_once(':'), line.ends_with(';')) else {
                continue;
            };
            let marks = ["_MAX", "_LIMIT", "LARGEST_", "MAX_"];
            if !marks.iter().any(|mark| name.contains(mark)) || name.contains("MILLIBITS") {
                continue;
            }
            let value = rest.split_once('=').map(|(_, value)| value).unwrap_or_default();
            let value = value.trim().trim_end_matches(';').to_owned();
            limits.insert((file.clone(), name.to_owned()), value);
        }
    }
    limits
}

#[test]
fn the_limits_are_those_of_the_sources() {
    let listed: BTreeMap<(String, String), String> = rows(&read("docs/limits.md"))
        .into_iter()
        .filter(|row| row.len() == 4 && row[0].starts_with('`'))
        .map(|row| {
            let (file, name) = unquoted(&row[0]).split_once(' ').unwrap();
            ((file.to_owned(), name.to_owned()), unquoted(&row[1]).to_owned())
        })
        .collect();
    let found = limits();
    let line = |(file, name): &(String, String)| {
        format!("{file} {name} = {}", found[&(file.clone(), name.clone())])
    };
    let missing: Vec<String> =
        found.keys().filter(|key| !listed.contains_key(*key)).map(line).collect();
    assert!(missing.is_empty(), "docs/limits.md lacks:\n{}", missing.join("\n"));
    let stale: Vec<_> =
        listed.iter().filter(|(key, value)| found.get(*key) != Some(*value)).collect();
    assert!(stale.is_empty(), "docs/limits.md says otherwise than the sources:\n{stale:#?}");
}

/// The names of all functions, by file.
fn functions() -> BTreeMap<String, BTreeSet<String>> {
    let mut functions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources() {
        let code = read(&file);
        let names = code.lines().filter_map(|line| {
            let line = line.trim();
            let name = line.trim_start_matches("async ").strip_prefix("fn ")?;
            Some(name.split(['(', '<']).next()?.to_owned())
        });
        functions.entry(file.clone()).or_default().extend(names);
    }
    functions
}

/// Checks that a cell names tests (`FILE::TEST`), one at least, and that they exist.
fn check_proof(proof: &str, functions: &BTreeMap<String, BTreeSet<String>>) {
    let mut named = 0;
    for quoted in proof.split('`').skip(1).step_by(2) {
        let (file, name) =
            quoted.split_once("::").unwrap_or_else(|| panic!("{quoted}: FILE::TEST"));
        let known = functions.get(file).unwrap_or_else(|| panic!("{file} is not there: {proof}"));
        assert!(known.contains(name), "{file} has no test {name}");
        named += 1;
    }
    assert!(named > 0, "no test: {proof}");
}

#[test]
fn every_threat_has_a_control_and_a_test_that_exists() {
    let functions = functions();
    let threats = rows(&read("docs/threat-model.md"));
    let threats: Vec<_> =
        threats.iter().filter(|row| row.len() == 4 && row[0] != "threat").collect();
    assert!(threats.len() >= 20, "{} threats", threats.len());
    for threat in threats {
        match threat[2].strip_prefix("accepted: ") {
            Some(reason) => assert!(reason.len() > 20, "{threat:?}"),
            None => check_proof(&threat[2], &functions),
        }
    }
}

#[test]
fn every_promise_and_failure_mode_has_a_test_that_exists() {
    let functions = functions();
    let rows = rows(&read("docs/reliability.md"));
    let promises = (1..=10).map(|number| format!("P{number} "));
    let failures = (1..=34).map(|number| format!("{number} "));
    for name in promises.chain(failures) {
        // The first table of promises says how the simulation sees them.
        let row = rows.iter().find(|row| row[0].starts_with(&name));
        let row = row.unwrap_or_else(|| panic!("docs/reliability.md has no row for {name}"));
        check_proof(&row[row.len() - 1], &functions);
    }
    let found = rows.iter().filter(|row| row.len() == 3 && row[2].contains("::"));
    found.for_each(|row| check_proof(&row[2], &functions));
}
