//! From the tree to a spec.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use time::OffsetDateTime;

use super::model::first_index;
use super::node::{self, Node, Value};
use super::parse_security::{secret_source, security};
use super::problem::{Place, Problem, Report};
use super::reader::{Found, TableReader, parsed, text};
use super::rules::{self, DistributionPointName, Listed};
use super::variable_names;
use super::{
    CheckedSpec, CodecProfile, Customization, MediaCertificate, MediaMode, MediaPassword,
    MediaSettings, MediaSpec, OsImage, Output, PackageId, Prestart, SpecError, VariableValue,
};

/// No spec is larger, in bytes; a larger file is some other file.
const LARGEST_SPEC_BYTES: u64 = 4 * 1024 * 1024;

impl MediaSpec {
    /// Reads and checks a spec file. Relative paths of secret and certificate files are taken from
    /// the folder of the spec. `now` decides whether a certificate has expired.
    ///
    /// # Errors
    /// [`SpecError`] with every problem, one alone when the file cannot be read.
    pub fn load(path: &Path, now: OffsetDateTime) -> Result<CheckedSpec, SpecError> {
        let name = path.display().to_string();
        let text = read(path).map_err(|what| SpecError {
            problems: vec![Problem {
                place: Place { file: name.clone(), position: None },
                key: String::new(),
                what,
                advice: "name a media spec: a TOML file in UTF-8".to_owned(),
            }],
        })?;
        let mut checked = Self::parse(&name, &text, now)?;
        checked.spec.resolve_files(path.parent().unwrap_or(Path::new("")));
        Ok(checked)
    }

    /// Checks the text of a spec; `file` is what messages call it.
    ///
    /// # Errors
    /// [`SpecError`] with every problem.
    pub fn parse(file: &str, text: &str, now: OffsetDateTime) -> Result<CheckedSpec, SpecError> {
        let mut report = Report::new(file, text);
        let root = node::from_toml(text, &mut report);
        checked(&root, now, report)
    }

    /// Checks a spec that came as JSON, with the same rules.
    ///
    /// # Errors
    /// [`SpecError`] with every problem; their places have no line.
    pub fn from_json(json: &[u8], now: OffsetDateTime) -> Result<CheckedSpec, SpecError> {
        let mut report = Report::new("spec", "");
        match serde_json::from_slice(json) {
            Ok(value) => checked(&node::from_json(&value), now, report),
            Err(error) => {
                let what =
                    format!("this is not JSON (line {}, column {})", error.line(), error.column());
                report.problem(&None, "", what, "send a media spec as one JSON object");
                Err(report.finish().err().unwrap_or(SpecError { problems: Vec::new() }))
            }
        }
    }

    fn resolve_files(&mut self, folder: &Path) {
        if let Some(MediaPassword::Given(source)) = &mut self.security.password {
            *source = source.clone().resolved_against(folder);
        }
        if let MediaCertificate::Pkcs12 { file, password } = &mut self.security.certificate {
            *file = folder.join(&file);
            *password = password.clone().resolved_against(folder);
        }
        for value in self.customization.variables.values_mut() {
            if let VariableValue::Secret(source) = value {
                *source = source.clone().resolved_against(folder);
            }
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("it cannot be read ({error})");
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > LARGEST_SPEC_BYTES {
        return Err(format!("it has {bytes} bytes, far more than any media spec"));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn checked(
    root: &Node,
    now: OffsetDateTime,
    mut report: Report<'_>,
) -> Result<CheckedSpec, SpecError> {
    let spec = spec(root, now, &mut report);
    let warnings = report.finish()?;
    // Whatever left the spec incomplete was reported, so this branch has problems to tell.
    spec.map(|spec| CheckedSpec { spec, warnings }).ok_or(SpecError { problems: Vec::new() })
}

fn spec(root: &Node, now: OffsetDateTime, report: &mut Report<'_>) -> Option<MediaSpec> {
    let mut table = TableReader::open(root, "", report)?;
    let mut listed = Listed::default();
    let name = name(&mut table, report);
    let task_sequence = package(&mut table, "task_sequence", &mut listed, report);
    let boot_image = package(&mut table, "boot_image", &mut listed, report);
    let os_image = os_image(&mut table, &mut listed, report);
    let applications = table.list("applications", report);
    let applications = listed.unique(applications, "applications", report);
    let packages = table.list("packages", report);
    let packages = listed.unique(packages, "packages", report);
    let driver_packages = table.list("driver_packages", report);
    let driver_packages = listed.unique(driver_packages, "driver_packages", report);
    let detect_application_dependencies =
        table.boolean("detect_application_dependencies", false, report);
    let distribution_points = distribution_points(&mut table, report);
    let media = table.required("media", "a section [media]", report);
    let security = security(&mut table, now, report);
    let customization = customization(&mut table, report);
    let output = output(&mut table, report);
    table.finish(report);
    let media = media.and_then(|node| media_settings(node, security.self_signed, report));
    Some(MediaSpec {
        name: name?,
        task_sequence: task_sequence?,
        boot_image: boot_image?,
        os_image: os_image?,
        applications,
        packages,
        driver_packages,
        detect_application_dependencies,
        distribution_points,
        media: media?,
        security: security.section?,
        customization: customization?,
        output: output?,
    })
}

fn name(table: &mut TableReader<'_>, report: &mut Report<'_>) -> Option<String> {
    let node = table.required("name", "a name for this medium, like name = \"w11\"", report)?;
    let found = text(node, "name", report)?;
    rules::line(&found, "name", 200, report);
    if found.value.trim().is_empty() {
        report.problem(&found.span, "name", "it is empty", "give the medium a name");
    }
    Some(found.value)
}

fn package(
    table: &mut TableReader<'_>,
    name: &'static str,
    listed: &mut Listed,
    report: &mut Report<'_>,
) -> Option<PackageId> {
    let example = format!("{name} = \"PS100012\"");
    let key = table.key(name);
    let node = table.required(name, &example, report)?;
    let found: Found<PackageId> = parsed(node, &key, report)?;
    listed.unique(vec![found], &key, report).pop()
}

fn os_image(
    table: &mut TableReader<'_>,
    listed: &mut Listed,
    report: &mut Report<'_>,
) -> Option<OsImage> {
    let example = "os_image = { package = \"PS100010\", index = 1 }";
    let node = table.required("os_image", example, report)?;
    let mut table = TableReader::open(node, "os_image", report)?;
    let package = package(&mut table, "package", listed, report);
    let index = table.number("index", 1..=u32::from(u16::MAX), report);
    table.finish(report);
    Some(OsImage { package: package?, index: index.map_or(first_index(), |found| found.value) })
}

fn distribution_points(table: &mut TableReader<'_>, report: &mut Report<'_>) -> Vec<String> {
    let key = "distribution_points";
    let example = "distribution_points = [\"dp1.corp.example\"]";
    let node = table.required(key, example, report);
    let points: Vec<Found<DistributionPointName>> = table.list(key, report);
    if let Some(Node { value: Value::List(items), span }) = node
        && items.is_empty()
    {
        report.problem(span, key, "the list is empty", "name at least one distribution point");
    }
    let points = Listed::default().unique(points, key, report);
    points.into_iter().map(|DistributionPointName(name)| name).collect()
}

fn media_settings(
    node: &Node,
    self_signed: bool,
    report: &mut Report<'_>,
) -> Option<MediaSettings> {
    let mut table = TableReader::open(node, "media", report)?;
    table.required("mode", "mode = \"dynamic\" or mode = \"site-based\"", report);
    let modes = [("dynamic", MediaMode::Dynamic), ("site-based", MediaMode::SiteBased)];
    let mode = table.choice("mode", &modes, report);
    let example = "management_points = [\"http://mp1.corp.example\"]";
    let list = table.required("management_points", example, report);
    let points = table.list("management_points", report);
    if let Some(list) = list {
        rules::management_points(list, &points, mode, self_signed, report);
    }
    let key = "media.management_points";
    let management_points = Listed::default().unique(points, key, report);
    let unattended = table.boolean("unattended", false, report);
    let mut limited = |name, characters| {
        let found = table.text(name, report)?;
        rules::line(&found, &table.key(name), characters, report);
        Some(found.value)
    };
    let created_by = limited("created_by", 50);
    let version = limited("version", 32);
    let comment = limited("comment", 127);
    table.finish(report);
    Some(MediaSettings { mode: mode?, management_points, unattended, created_by, version, comment })
}

fn customization(table: &mut TableReader<'_>, report: &mut Report<'_>) -> Option<Customization> {
    let Some(node) = table.node("customization") else {
        return Some(Customization::default());
    };
    let mut table = TableReader::open(node, "customization", report)?;
    let variables = table.table("variables", report);
    let variables = variables.map_or_else(BTreeMap::new, |table| self::variables(&table, report));
    // The outer option: the key is there; the inner one: it could be read.
    let prestart =
        table.node("prestart").map(|node| self::prestart(node, "customization.prestart", report));
    table.finish(report);
    let prestart = match prestart {
        Some(prestart) => Some(prestart?),
        None => None,
    };
    Some(Customization { variables, prestart })
}

fn variables(table: &TableReader<'_>, report: &mut Report<'_>) -> BTreeMap<String, VariableValue> {
    let mut variables = BTreeMap::new();
    let mut twins: HashMap<String, &str> = HashMap::new();
    for entry in table.all() {
        let key = table.key(&entry.name);
        if let Some((what, advice)) = variable_names::objection(&entry.name) {
            report.problem(&entry.name_span, &key, what, advice);
        }
        if let Some(twin) = twins.insert(entry.name.to_ascii_lowercase(), &entry.name) {
            let what = format!("it is the same variable as {twin}: case does not count");
            report.problem(&entry.name_span, &key, what, "remove one of them");
        }
        let value = match &entry.node.value {
            Value::Text(value) => {
                rules::variable_value(entry, value, &key, report);
                Some(VariableValue::Text(value.clone()))
            }
            Value::Table(_) => secret_source(&entry.node, &key, report).map(VariableValue::Secret),
            other => {
                let what = format!("this is {}", other.kind());
                let advice = "write the value as a string in quotes, or { env = \"…\" } or { file = \"…\" } for a secret";
                report.problem(&entry.node.span, &key, what, advice);
                None
            }
        };
        variables.extend(value.map(|value| (entry.name.clone(), value)));
    }
    variables
}

fn prestart(node: &Node, key: &str, report: &mut Report<'_>) -> Option<Prestart> {
    let mut table = TableReader::open(node, key, report)?;
    let key = table.key("command");
    let command = table
        .required("command", "command = \"cmd /c …\"", report)
        .and_then(|node| text(node, &key, report));
    if let Some(command) = &command {
        rules::line(command, &key, 2048, report);
        if command.value.trim().is_empty() {
            report.problem(&command.span, &key, "it is empty", "write a command line");
        }
    }
    let package_key = table.key("package");
    let package = table.node("package").and_then(|node| parsed(node, &package_key, report));
    table.finish(report);
    Some(Prestart { command: command?.value, package: package.map(|found| found.value) })
}

fn output(table: &mut TableReader<'_>, report: &mut Report<'_>) -> Option<Output> {
    let Some(node) = table.node("output") else {
        return Some(Output::default());
    };
    let mut table = TableReader::open(node, "output", report)?;
    let file = table.text("file", report);
    if let Some(file) = &file {
        rules::output_file(file, report);
    }
    let staging_folder = table.text("staging_folder", report);
    let integrity_table = table.boolean("integrity_table", true, report);
    let split = table.number("split_mib", 16..=4095, report);
    let profiles = [CodecProfile::Fast, CodecProfile::Balanced, CodecProfile::Thorough];
    let codec = table.choice("codec", &profiles.map(|p| (p.name(), p)), report);
    table.finish(report);
    Some(Output {
        file: file.map(|found| found.value),
        staging_folder: staging_folder.map(|found| found.value.into()),
        integrity_table,
        split_mib: split.map(|found| found.value),
        codec: codec.unwrap_or_default(),
    })
}
