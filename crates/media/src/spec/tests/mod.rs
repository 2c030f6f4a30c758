//! The spec as its users meet it: files in, problems out.

use time::OffsetDateTime;
use time::macros::datetime;

use super::*;

mod reading;
mod values;

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

const FULL: &str = r#"name = "w11-latitude-7450"
task_sequence   = "PS100123"
boot_image      = "ps100005"
os_image        = { package = "PS100010", index = 3 }
applications    = ["ScopeId_0A/Application_96736260-a934"]
packages        = ["PS100031"]
driver_packages = ["PS100077"]
detect_application_dependencies = true
distribution_points = ["dp1.corp.example", "dp2.corp.example"]

[media]
mode = "dynamic"
management_points = ["http://mp1.corp.example", "http://mp2.corp.example"]
unattended = true
created_by = "OSD team"
version    = "2026.11"
comment    = "ring 1"

[security]
unknown_computer_support = true
password    = { env = "MEDIA_PASSWORD" }
certificate = { self_signed = { start = 2026-11-22T00:00:00Z, expiry = 2027-11-22T00:00:00Z } }
user_device_affinity = "administrator-approval"

[customization]
variables = { OSDTimeZone = "UTC", JoinPassword = { file = "join.pw" } }
prestart  = { command = "cmd /c prestart.cmd", package = "PS100040" }

[output]
file = "s3://media/w11-latitude-7450.wim"
staging_folder = "/var/tmp/prestage"
integrity_table = true
codec = "thorough"
"#;

const LEAST: &str = r#"name = "least"
task_sequence = "PS100123"
boot_image = "PS100005"
os_image = { package = "PS100010" }
distribution_points = ["dp1"]
[media]
mode = "site-based"
management_points = ["http://mp1"]
[security]
no_password = true
"#;

fn parse(text: &str) -> Result<CheckedSpec, SpecError> {
    MediaSpec::parse("spec.toml", text, NOW)
}

/// The problems of `FULL` with one text replaced.
fn problems(from: &str, to: &str) -> Vec<Problem> {
    assert_eq!(FULL.matches(from).count(), 1, "{from} must occur once");
    parse(&FULL.replace(from, to)).expect_err(to).problems
}

/// Asserts exactly one problem, with this key and a message with this text.
fn one_problem(from: &str, to: &str, key: &str, part: &str) {
    let problems = problems(from, to);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let shown = problems[0].to_string();
    assert_eq!(problems[0].key, key, "{shown}");
    assert!(shown.contains(part), "{shown}");
    assert!(problems[0].place.position.is_some(), "{shown}");
}
