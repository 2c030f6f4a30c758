//! Which content a step names, and what it leaves to run time.

use std::collections::{HashMap, HashSet};

use super::command::{switch, words};
use super::condition::shortened;
use super::sequence::{Step, StepVariable};
use crate::ids::{application_model_name, is_package_id};

/// How a step uses the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContentUse {
    /// Applies it as the operating system. Prestaged media carry one such image.
    OperatingSystem,
    /// Applies it as a data image: carried like any package.
    DataImage,
    /// Anything else.
    Other,
}

/// What a step names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepTarget {
    /// A package of any kind, by upper-case ID; also another task sequence.
    Package(String),
    /// An application, by model name.
    Application(String),
}

/// The content that one step names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepContent {
    /// What it names, in order, each once.
    pub targets: Vec<(StepTarget, ContentUse)>,
    /// What it takes from variables or the catalogue, which cannot be known before run time.
    pub dynamic: Vec<String>,
}

/// The switches of the step executables that hold a package ID (reference: section 3.2).
const PACKAGE_SWITCHES: [&str; 11] = [
    "image",
    "install",
    "data",
    "config",
    "pkg",
    "run",
    "package",
    "upgrade",
    "clientpackageid",
    "tsid",
    "packageid",
];

/// Variables that hold package IDs, besides all whose name or property ends in `PackageID`.
const PACKAGE_VARIABLES: [&str; 5] = [
    "OSDDownloadDownloadPackages",
    "DownloadPackages",
    "ConfigFilePackage",
    "ClientPackage",
    "UsmtPackage",
];

/// What was found so far. One variable may name tens of thousands, so repetition is looked up.
#[derive(Default)]
struct Finder {
    content: StepContent,
    places: HashMap<StepTarget, usize>,
    told: HashSet<String>,
}

/// Finds the content that a step names in its command line and its variables.
pub fn step_content(step: &Step) -> StepContent {
    let mut found = Finder::default();
    let words = words(&step.action);
    let program = words.first().map(|program| program.to_ascii_lowercase()).unwrap_or_default();
    for word in &words {
        if let Some((name, value)) = switch(word) {
            from_switch(&mut found, step, &program, &name, value);
        }
    }
    for variable in &step.variables {
        from_variable(&mut found, step, variable);
    }
    if step.is_type("SetVariable")
        && let (Some(name), Some(value)) =
            (step.property("VariableName"), step.property("VariableValue"))
        && holds_packages(name)
    {
        packages(&mut found, step, name, value, ContentUse::Other);
    }
    if step.is_type("AutoApply") && !step.is_type("AutoApplyDriverPackage") {
        let what = "picks drivers from the driver catalogue by the computer's hardware";
        found.content.dynamic.push(what.to_owned());
    }
    if step.is_type("DownloadPackageContent") && found.content == StepContent::default() {
        let what = "downloads the packages that OSDDownloadDownloadPackages names";
        found.content.dynamic.push(what.to_owned());
    }
    found.content
}

fn from_switch(found: &mut Finder, step: &Step, program: &str, name: &str, value: &str) {
    match name {
        "app" => applications(found, value),
        "basevar" if !value.is_empty() => {
            let what = if program.contains("smsappinstall") { "applications" } else { "programs" };
            add_dynamic(found, format!("installs the {what} that variables {value}01, … name"));
        }
        _ if PACKAGE_SWITCHES.contains(&name) && takes(program, name) => {
            let first = value.split(',').next().unwrap_or_default();
            packages(found, step, &format!("/{name}"), first, content_use(step, name));
        }
        _ => {}
    }
}

/// Whether the switch is the step executable's own: what follows `smsswd.exe /run:…` is somebody's
/// command, which may have switches of the same names.
fn takes(program: &str, switch: &str) -> bool {
    match program.rsplit(['\\', '/']).next().unwrap_or_default() {
        name if name.starts_with("smsswd") => matches!(switch, "run" | "pkg"),
        name => ["osd", "sms", "ts"].iter().any(|prefix| name.starts_with(prefix)),
    }
}

fn from_variable(found: &mut Finder, step: &Step, variable: &StepVariable) {
    let applies = |name: &str| holds_packages(name);
    if applies(&variable.property) || applies(&variable.name) {
        let usage = content_use(step, "");
        packages(found, step, &variable.name, &variable.value, usage);
    } else if step.is_type("InstallApplication") {
        applications(found, &variable.value);
    }
}

fn holds_packages(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with("packageid")
        || PACKAGE_VARIABLES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A data image is told by its switch, or by the step's type where the command is not at hand.
fn content_use(step: &Step, switch: &str) -> ContentUse {
    match switch {
        "data" => ContentUse::DataImage,
        "image" => ContentUse::OperatingSystem,
        "" if step.is_type("ApplyDataImage") => ContentUse::DataImage,
        "" if step.is_type("ApplyOperatingSystem") => ContentUse::OperatingSystem,
        _ => ContentUse::Other,
    }
}

fn packages(found: &mut Finder, step: &Step, place: &str, value: &str, usage: ContentUse) {
    // Told with each package that is not known.
    let place = shortened(place);
    for part in value.split([',', ';', ' ']).map(str::trim).filter(|part| !part.is_empty()) {
        if is_package_id(part) {
            add_target(found, StepTarget::Package(part.to_ascii_uppercase()), usage);
        } else if part.contains('%') {
            let what = if step.is_type("Download") { "downloads" } else { "uses" };
            add_dynamic(found, format!("{what} the package that {part} names ({place})"));
        }
    }
}

fn applications(found: &mut Finder, value: &str) {
    for part in value.split([',', ';']).map(str::trim) {
        if let Some(model) = application_model_name(part) {
            add_target(found, StepTarget::Application(model), ContentUse::Other);
        } else if part.contains('%') {
            add_dynamic(found, format!("installs the application that {part} names"));
        }
    }
}

/// One use of a target is kept; the variable of a step repeats what its command says.
fn add_target(found: &mut Finder, target: StepTarget, usage: ContentUse) {
    let targets = &mut found.content.targets;
    let place = *found.places.entry(target.clone()).or_insert(targets.len());
    match targets.get_mut(place) {
        Some((_, known)) => *known = (*known).min(usage),
        None => targets.push((target, usage)),
    }
}

fn add_dynamic(found: &mut Finder, what: String) {
    if found.told.insert(what.clone()) {
        found.content.dynamic.push(what);
    }
}
