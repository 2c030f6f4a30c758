//! `New-CMPrestageMedia`: every parameter of it (reference: section 1.7).

use std::collections::HashMap;

use time::{Date, macros::format_description};

use crate::ImportError;
use crate::draft::Draft;
use crate::powershell::{Statement, Value, parse};

const NAMES: [&str; 2] = ["new-cmprestagemedia", "new-cmprestagedmedia"];

const PARAMETERS: [&str; 36] = [
    "AllowUacPrompt",
    "AllowUnattended",
    "AllowUnknownMachine",
    "Application",
    "BootImage",
    "CertificateExpireTime",
    "CertificatePassword",
    "CertificatePath",
    "CertificateStartTime",
    "Comment",
    "Confirm",
    "CreatedBy",
    "DisableWildcardHandling",
    "DistributionPoint",
    "DriverPackage",
    "Force",
    "ForceWildcardHandling",
    "IncludeApplicationDependency",
    "ManagementPoint",
    "MediaMode",
    "MediaPassword",
    "NoAutoRun",
    "OperatingSystemImage",
    "OperatingSystemImageIndex",
    "Package",
    "Path",
    "PrestartCommand",
    "PrestartPackage",
    "SiteCode",
    "TaskSequence",
    "TemporaryFolder",
    "UserDeviceAffinity",
    "Variable",
    "Version",
    "WhatIf",
    "Verbose",
];

/// Values that variables stand for, in all of a text: lists of variables of lists become any number.
const VALUES_MAX: usize = 20_000;

/// The variables that a text sets.
#[derive(Default)]
struct Variables {
    values: HashMap<String, Value>,
    /// How many values were put in for them.
    put_in: usize,
}

impl Variables {
    fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_ascii_lowercase(), value);
    }

    /// The value of a variable, to be put in.
    fn get(&mut self, name: &str, line: usize) -> Result<Option<Value>, ImportError> {
        let Some(value) = self.values.get(&name.to_ascii_lowercase()) else {
            return Ok(None);
        };
        self.put_in = self.put_in.saturating_add(count(value));
        if self.put_in > VALUES_MAX {
            let problem = format!("its variables stand for more than {VALUES_MAX} values");
            return Err(ImportError::Syntax { line, problem });
        }
        Ok(Some(value.clone()))
    }
}

/// How many values a value has in it, itself among them.
fn count(value: &Value) -> usize {
    match value {
        Value::List(values) | Value::Command(values) => 1 + values.iter().map(count).sum::<usize>(),
        Value::Table(pairs) => 1 + pairs.iter().map(|(_, value)| count(value)).sum::<usize>(),
        _ => 1,
    }
}

/// The drafts of all calls of the cmdlet in a script.
pub(crate) fn drafts(text: &str) -> Result<Vec<Draft>, ImportError> {
    let mut variables = Variables::default();
    let mut drafts = Vec::new();
    for Statement { line, sets, words } in parse(text)? {
        let at = words.iter().position(|word| match word {
            Value::Text(word) => NAMES.contains(&word.to_ascii_lowercase().as_str()),
            _ => false,
        });
        if let Some(at) = at {
            let parameters = words.get(at + 1..).unwrap_or_default();
            drafts.push(draft(parameters, line, &mut variables)?);
        } else if let Some(name) = sets {
            let value = match words.as_slice() {
                [one] => one.clone(),
                _ => Value::Command(words),
            };
            variables.set(&name, value);
        }
    }
    Ok(drafts)
}

fn draft(words: &[Value], line: usize, variables: &mut Variables) -> Result<Draft, ImportError> {
    let mut draft = Draft::default();
    let mut words = words.iter().peekable();
    let mut pairs: Vec<(String, Value)> = Vec::new();
    while let Some(word) = words.next() {
        match word {
            Value::Parameter(name) => {
                let value =
                    words.next_if(|next| !matches!(next, Value::Parameter(_) | Value::Splat(_)));
                pairs.push((name.clone(), value.cloned().unwrap_or(Value::Bool(true))));
            }
            Value::Splat(name) => match variables.get(name, line)? {
                Some(Value::Table(table)) => pairs.extend(table),
                _ => draft.leave_out(
                    &format!("@{name}"),
                    "its table is not in the text; add the line that sets it",
                ),
            },
            _ => draft.leave_out(
                "a value without a parameter",
                "the cmdlet takes none; name its parameter",
            ),
        }
    }
    for (name, value) in pairs {
        let parameter = parameter(&name, line)?;
        let value = resolved(value, variables, line, 0)?;
        take(&mut draft, parameter, &value);
    }
    if draft.name.is_none() {
        draft.name = draft.output.as_deref().and_then(stem);
    }
    Ok(draft)
}

/// The parameter that a name, perhaps shortened, means.
fn parameter(name: &str, line: usize) -> Result<&'static str, ImportError> {
    let starts = |known: &&str| {
        known.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    if let Some(exact) = PARAMETERS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(exact);
    }
    let found: Vec<&str> = PARAMETERS.iter().copied().filter(|known| starts(known)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        several => {
            let likely = match several {
                [] => String::new(),
                several => format!("; it could be -{}", several.join(" or -")),
            };
            Err(ImportError::UnknownParameter { line, name: name.to_owned(), likely })
        }
    }
}

/// A value with the variables that the text sets put in.
fn resolved(
    value: Value,
    variables: &mut Variables,
    line: usize,
    depth: usize,
) -> Result<Value, ImportError> {
    let mut within = |value| resolved(value, variables, line, depth + 1);
    Ok(match value {
        // A variable that is set to itself ends here.
        Value::Variable(name) if depth < 16 => match variables.get(&name, line)? {
            Some(value) => resolved(value, variables, line, depth + 1)?,
            None => Value::Variable(name),
        },
        Value::List(values) => {
            Value::List(values.into_iter().map(within).collect::<Result<_, _>>()?)
        }
        Value::Table(pairs) => {
            let pairs = pairs.into_iter().map(|(name, value)| Ok((name, within(value)?)));
            Value::Table(pairs.collect::<Result<_, ImportError>>()?)
        }
        other => other,
    })
}

fn take(draft: &mut Draft, parameter: &'static str, value: &Value) {
    match parameter {
        "TaskSequence" => draft.task_sequence = one_id(draft, parameter, value),
        "BootImage" => draft.boot_image = one_id(draft, parameter, value),
        "OperatingSystemImage" => draft.os_image = one_id(draft, parameter, value),
        "PrestartPackage" => draft.prestart_package = one_id(draft, parameter, value),
        "Application" => draft.applications = ids(draft, parameter, value),
        "Package" => draft.packages = ids(draft, parameter, value),
        "DriverPackage" => draft.driver_packages = ids(draft, parameter, value),
        "DistributionPoint" => draft.distribution_points = ids(draft, parameter, value),
        "ManagementPoint" => take_management_points(draft, parameter, value),
        "OperatingSystemImageIndex" => {
            draft.os_index = text(draft, parameter, value).and_then(|index| index.parse().ok());
        }
        "MediaMode" => draft.site_based = is(draft, parameter, value, "SiteBased"),
        "UserDeviceAffinity" => take_affinity(draft, parameter, value),
        "AllowUnattended" => draft.unattended = flag(value),
        "AllowUnknownMachine" => draft.unknown_computers = flag(value),
        "IncludeApplicationDependency" => draft.dependencies = flag(value),
        "CreatedBy" => draft.created_by = text(draft, parameter, value),
        "Version" => draft.version = text(draft, parameter, value),
        "Comment" => draft.comment = text(draft, parameter, value),
        "PrestartCommand" => draft.prestart = text(draft, parameter, value),
        "CertificatePath" => draft.certificate = text(draft, parameter, value),
        "CertificateStartTime" => draft.validity.0 = day(draft, parameter, value),
        "CertificateExpireTime" => draft.validity.1 = day(draft, parameter, value),
        "Path" => draft.output = text(draft, parameter, value),
        "TemporaryFolder" => draft.staging_folder = text(draft, parameter, value),
        "Variable" => take_variables(draft, value),
        _ => take_rest(draft, parameter),
    }
}

/// Parameters whose value is secret, or that mean nothing to a spec.
fn take_rest(draft: &mut Draft, parameter: &'static str) {
    match parameter {
        "MediaPassword" => {
            draft.password = true;
            let why = "passwords never stand in a spec: put it into the environment variable MEDIA_PASSWORD, and out of the script";
            draft.leave_out("-MediaPassword", why);
        }
        "CertificatePassword" => {
            let why = "passwords never stand in a spec: put it into the environment variable PFX_PASSWORD, and out of the script";
            draft.leave_out("-CertificatePassword", why);
        }
        "NoAutoRun" => draft.leave_out("-NoAutoRun", "media have no autorun.inf here"),
        "AllowUacPrompt" => draft.leave_out("-AllowUacPrompt", "no elevation is needed here"),
        "SiteCode" => draft.leave_out("-SiteCode", "the site is named by --site"),
        "Force" => {
            draft.leave_out("-Force", "an older medium is replaced when the new one is complete")
        }
        "WhatIf" => draft.leave_out("-WhatIf", "'prestage plan' shows what would be done"),
        other => draft.leave_out(&format!("-{other}"), "it concerns PowerShell alone"),
    }
}

fn flag(value: &Value) -> bool {
    !matches!(value, Value::Bool(false))
}

fn text(draft: &mut Draft, parameter: &str, value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Variable(name) => {
            draft.leave_out(
                &format!("-{parameter}"),
                format!("${name} is not set in the text; write its value"),
            );
            None
        }
        _ => {
            draft.leave_out(
                &format!("-{parameter}"),
                "it is computed when the script runs; write its value",
            );
            None
        }
    }
}

fn is(draft: &mut Draft, parameter: &str, value: &Value, wanted: &str) -> bool {
    text(draft, parameter, value).is_some_and(|text| text.eq_ignore_ascii_case(wanted))
}

fn one_id(draft: &mut Draft, parameter: &str, value: &Value) -> Option<String> {
    ids(draft, parameter, value).pop()
}

/// What `Get-CM… -Id X` and the like name; what they look up by another name can't be known here.
fn ids(draft: &mut Draft, parameter: &str, value: &Value) -> Vec<String> {
    const BY_ID: [&str; 9] = [
        "id",
        "packageid",
        "tasksequencepackageid",
        "tasksequenceid",
        "modelname",
        "sitesystemservername",
        "drvierpackageid",
        "driverpackageid",
        "bootimageid",
    ];
    match value {
        Value::List(values) => {
            values.iter().flat_map(|value| ids(draft, parameter, value)).collect()
        }
        Value::Text(text) => vec![text.trim_start_matches('\\').to_owned()],
        Value::Command(words) => {
            let mut named = words.windows(2).filter_map(|pair| match pair {
                [Value::Parameter(name), Value::Text(value)] => Some((name, value)),
                _ => None,
            });
            let (mut by_id, mut told) = (None, Vec::new());
            for (name, value) in named.by_ref() {
                if BY_ID.contains(&name.to_ascii_lowercase().as_str()) {
                    by_id = Some(value.trim_start_matches('\\').to_owned());
                } else {
                    told.push(format!("-{name} '{value}'"));
                }
            }
            if by_id.is_none() {
                let what = if told.is_empty() { "a command".to_owned() } else { told.join(" ") };
                let why = format!("it is looked up by {what}; write its ID instead");
                draft.leave_out(&format!("-{parameter}"), why);
            }
            by_id.into_iter().collect()
        }
        other => text(draft, parameter, other).into_iter().collect(),
    }
}

fn take_management_points(draft: &mut Draft, parameter: &str, value: &Value) {
    let names = ids(draft, parameter, value);
    if names.iter().any(|name| !name.contains("://")) {
        let why = "the cmdlet does not say whether they speak HTTP or HTTPS: http:// is taken, correct it if that is wrong";
        draft.leave_out("-ManagementPoint (scheme)", why);
    }
    let address = |name: String| match name.contains("://") {
        true => name,
        false => format!("http://{name}"),
    };
    draft.management_points = names.into_iter().map(address).collect();
}

fn take_affinity(draft: &mut Draft, parameter: &str, value: &Value) {
    let text = text(draft, parameter, value).unwrap_or_default();
    draft.affinity = match text.to_ascii_lowercase().as_str() {
        "donotallow" => Some("do-not-allow"),
        "administratorapproval" => Some("administrator-approval"),
        "autoapproval" => Some("auto-approval"),
        _ => None,
    };
}

/// A day in RFC 3339. Other ways to write a date depend on the machine that the script ran on.
fn day(draft: &mut Draft, parameter: &str, value: &Value) -> Option<String> {
    let text = text(draft, parameter, value)?;
    let form = format_description!("[year]-[month]-[day]");
    let day = text.get(..10).and_then(|day| Date::parse(day, &form).ok());
    if day.is_none() {
        let why = format!("{text:?} may mean different days; write it as 2026-11-23T00:00:00Z");
        draft.leave_out(&format!("-{parameter}"), why);
    }
    day.map(|day| format!("{day}T00:00:00Z"))
}

/// Values that by their names are secrets stay out of the spec.
fn take_variables(draft: &mut Draft, value: &Value) {
    let Value::Table(pairs) = value else {
        return draft
            .leave_out("-Variable", "its table is not in the text; write @{ Name = 'value' }");
    };
    for (name, value) in pairs {
        let parameter = format!("Variable {name}");
        if prestage_media::spec::sounds_secret(name) {
            let why = format!(
                "by its name it is a secret: add {name} = {{ env = \"…\" }} under [customization.variables]"
            );
            draft.leave_out(&format!("-{parameter}"), why);
        } else if let Some(text) = text(draft, &parameter, value) {
            draft.variable(name, text);
        }
    }
}

/// The name of a file without folder and extension.
pub(crate) fn stem(path: &str) -> Option<String> {
    let file = path.rsplit(['\\', '/']).next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}
