//! The spec as its users meet it: files in, problems out.

use time::OffsetDateTime;
use time::macros::datetime;

use super::*;

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

#[test]
fn the_whole_contract_is_read() {
    let CheckedSpec { spec, warnings } = parse(FULL).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(spec.boot_image.as_str(), "PS100005");
    assert_eq!(spec.os_image.index, 3);
    assert_eq!(
        spec.distribution_points,
        ["dp1.corp.example", "dp2.corp.example"]
    );
    assert_eq!(spec.media.mode, MediaMode::Dynamic);
    assert!(spec.media.unattended && spec.security.unknown_computer_support);
    assert_eq!(spec.security.user_device_affinity.setting(), 1);
    assert_eq!(
        spec.security.certificate.validity(NOW),
        Some((
            datetime!(2026-11-22 0:00 UTC),
            datetime!(2027-11-22 0:00 UTC)
        ))
    );
    assert_eq!(spec.output.codec, CodecProfile::Thorough);
    assert_eq!(
        spec.customization
            .prestart
            .unwrap()
            .package
            .unwrap()
            .as_str(),
        "PS100040"
    );
}

#[test]
fn defaults_are_those_that_are_documented() {
    let CheckedSpec { spec, warnings } = parse(LEAST).unwrap();
    assert_eq!(spec.os_image.index, 1);
    assert_eq!(spec.security, Security::default());
    assert_eq!(spec.output, Output::default());
    assert!(spec.output.integrity_table && !spec.detect_application_dependencies);
    assert_eq!(
        spec.security.certificate.validity(NOW),
        Some((NOW, datetime!(2027-11-22 12:00 UTC)))
    );
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].what.contains("no password"), "{warnings:#?}");
}

#[test]
fn json_is_the_same_spec_by_the_same_rules() {
    for text in [FULL, LEAST] {
        let spec = parse(text).unwrap().spec;
        let json = serde_json::to_vec(&spec).unwrap();
        assert_eq!(MediaSpec::from_json(&json, NOW).unwrap().spec, spec);
        assert_eq!(serde_json::from_slice::<MediaSpec>(&json).unwrap(), spec);
    }
    let mut json = serde_json::to_value(parse(FULL).unwrap().spec).unwrap();
    json["media"]["created_by"] = "x".repeat(51).into();
    let error = MediaSpec::from_json(json.to_string().as_bytes(), NOW).unwrap_err();
    assert_eq!(error.problems[0].key, "media.created_by");
    assert_eq!(error.problems[0].place.to_string(), "spec");
    assert!(
        MediaSpec::from_json(b"{", NOW)
            .unwrap_err()
            .to_string()
            .contains("not JSON")
    );
}

#[test]
fn secrets_are_named_never_held() {
    let spec = parse(FULL).unwrap().spec;
    assert_eq!(
        spec.secrets(),
        [
            (
                "security.password".to_owned(),
                SecretSource::Env("MEDIA_PASSWORD".into())
            ),
            (
                "customization.variables.JoinPassword".to_owned(),
                SecretSource::File("join.pw".into())
            ),
        ]
    );
    assert!(
        !format!("{spec:?}").contains("UTC"),
        "values of variables are not shown"
    );
}

#[test]
fn all_problems_come_at_once_in_order_with_their_places() {
    let text = FULL
        .replace("\"PS100123\"", "\"XX\"")
        .replace("created_by", "create_by")
        .replace("\"dynamic\"", "\"dinamic\"")
        .replace("integrity_table = true", "integrity_table = \"yes\"");
    let error = parse(&text).unwrap_err();
    let places: Vec<_> = error
        .problems
        .iter()
        .map(|p| (p.place.to_string(), p.key.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("spec.toml:2:19".to_owned(), "task_sequence"),
            ("spec.toml:12:8".to_owned(), "media.mode"),
            ("spec.toml:15:1".to_owned(), "media.create_by"),
            ("spec.toml:32:19".to_owned(), "output.integrity_table"),
        ]
    );
    let shown = error.to_string();
    assert!(
        shown.starts_with(
            "spec.toml:2:19: task_sequence: \"XX\" is not a package ID\n    three characters"
        ),
        "{shown}"
    );
    assert!(shown.contains("did you mean created_by?"), "{shown}");
}

#[test]
fn unknown_keys_are_problems_in_every_table() {
    for (from, to, key) in [
        (
            "detect_application_dependencies",
            "detect_dependencies",
            "detect_dependencies",
        ),
        ("index = 3", "index = 3, idx = 1", "os_image.idx"),
        ("unattended", "unatended", "media.unatended"),
        (
            "unknown_computer_support",
            "unknown_computers",
            "security.unknown_computers",
        ),
        ("{ env = \"M", "{ x = 1, env = \"M", "security.password.x"),
        (
            "{ start =",
            "{ begin = 1, start =",
            "security.certificate.self_signed.begin",
        ),
        (
            "{ command =",
            "{ cmd = 1, command =",
            "customization.prestart.cmd",
        ),
        ("staging_folder", "staging-folder", "output.staging-folder"),
    ] {
        one_problem(from, to, key, "there is no such key");
    }
    assert!(
        problems("staging_folder", "staging-folder")[0]
            .advice
            .contains("staging_folder?")
    );
    assert!(
        problems("unattended", "zzz")[0]
            .advice
            .starts_with("known here: mode, ")
    );
}

#[test]
fn lengths_are_those_of_the_console() {
    let long = |characters| format!("\"{}\"", "x".repeat(characters));
    one_problem("\"OSD team\"", &long(51), "media.created_by", "at most 50");
    one_problem("\"2026.11\"", &long(33), "media.version", "at most 32");
    one_problem("\"ring 1\"", &long(128), "media.comment", "shorten it by 1");
    assert!(parse(&FULL.replace("\"OSD team\"", &long(50))).is_ok());
    assert!(parse(&FULL.replace("\"ring 1\"", &long(127))).is_ok());
}

#[test]
fn management_points_fit_mode_and_certificate() {
    let key = "media.management_points";
    one_problem(
        "\"dynamic\"",
        "\"site-based\"",
        key,
        "exactly one management point, and 2",
    );
    one_problem(
        "\"http://mp2.",
        "\"https://mp2.",
        key,
        "self-signed certificate",
    );
    one_problem(
        "\"http://mp2.corp.example\"",
        "\"HTTP://MP1.corp.example/\"",
        key,
        "already",
    );
    let shown = &problems("http://mp2.corp.example", "http://mp2.corp.example/SMS_MP")[0];
    assert_eq!(shown.key, "media.management_points[1]");
    assert!(shown.what.contains("it has a path"), "{shown}");
    let all = "\"http://mp1.corp.example\", \"http://mp2.corp.example\"";
    one_problem(all, "", key, "the list is empty");
}

#[test]
fn https_is_refused_for_the_default_certificate_too() {
    let error = parse(&LEAST.replace("http://", "https://")).unwrap_err();
    assert!(error.to_string().contains("self-signed"), "{error}");
}

#[test]
fn certificates_have_a_future_and_an_order() {
    let key = "security.certificate.self_signed.expiry";
    one_problem("2027-11-22T00", "2026-11-22T11", key, "expired already");
    one_problem(
        "start = 2026-11",
        "start = 2028-11",
        key,
        "before it starts",
    );
    one_problem(
        "2027-11-22T00:00:00Z",
        "2027-11-22",
        key,
        "not a date and time with an offset",
    );
    one_problem("2027-11-22T00:00:00Z", "true", key, "this is true or false");
    one_problem(
        "start = 2026-11-22T00:00:00Z, expiry = 2027-11-22T00:00:00Z",
        "start = 2025-01-01T00:00:00Z",
        "security.certificate.self_signed.start",
        "a year back",
    );
}

#[test]
fn a_password_in_the_spec_is_refused_and_not_repeated() {
    let problems = problems("{ env = \"MEDIA_PASSWORD\" }", "\"hunter2-hunter2\"");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].key, "security.password");
    assert!(problems[0].what.contains("version control"));
    assert!(!format!("{problems:?}").contains("hunter2"));
    one_problem(
        "{ env = \"MEDIA_PASSWORD\" }",
        "{}",
        "security.password",
        "no source",
    );
    one_problem(
        "{ env = \"M",
        "{ file = \"x\", env = \"M",
        "security.password",
        "two sources",
    );
}

#[test]
fn what_is_not_supported_yet_says_so_after_its_own_check() {
    one_problem(
        "self_signed = { start = 2026-11-22T00:00:00Z, expiry = 2027-11-22T00:00:00Z }",
        "pkcs12 = { file = \"media.pfx\", password = { env = \"PFX\" } }",
        "security.certificate.pkcs12",
        "not supported yet",
    );
    let both = problems(
        "self_signed = { start = 2026-11-22T00:00:00Z, expiry = 2027-11-22T00:00:00Z }",
        "pkcs12 = { file = \"media.pfx\", password = \"hunter2\" }",
    );
    assert_eq!(both.len(), 2, "{both:#?}");
    one_problem(
        "codec =",
        "split_mib = 3800\ncodec =",
        "output.split_mib",
        "not supported yet",
    );
    one_problem(
        "codec =",
        "split_mib = 9\ncodec =",
        "output.split_mib",
        "from 16 to 4095",
    );
}

#[test]
fn variables_have_names_that_work_and_values_that_can_be_written() {
    let set = |name: &str, value: &str| {
        problems("OSDTimeZone = \"UTC\"", &format!("\"{name}\" = {value}"))
    };
    for (name, value, part) in [
        ("1x", "\"v\"", "not a variable name"),
        (
            "_SMSTSMediaType",
            "\"v\"",
            "belong to Configuration Manager",
        ),
        ("SMSTSMP", "\"v\"", "sets this variable itself"),
        ("joinpassword", "\"v\"", "the same variable as joinpassword"),
        ("X", "5", "this"),
        ("X", "\"\\u0001\"", "control character"),
    ] {
        let problems = set(name, value);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].to_string().contains(part), "{}", problems[0]);
    }
    let warned = parse(&FULL.replace("OSDTimeZone = \"UTC\"", "ApiToken = \"abc\"")).unwrap();
    assert_eq!(warned.warnings[0].key, "customization.variables.ApiToken");
    assert!(!format!("{warned:?}").contains("abc"));
}

#[test]
fn nothing_is_listed_twice() {
    one_problem(
        "[\"PS100031\"]",
        "[\"PS100031\", \"ps100031\"]",
        "packages",
        "already under",
    );
    one_problem(
        "[\"PS100077\"]",
        "[\"PS100031\"]",
        "driver_packages",
        "under packages",
    );
    one_problem(
        "[\"PS100031\"]",
        "[\"PS100005\"]",
        "packages",
        "under boot_image",
    );
    one_problem(
        "\"dp2.corp.example\"",
        "\"DP1.corp.example\"",
        "distribution_points",
        "already",
    );
}

#[test]
fn single_values_are_checked() {
    one_problem(
        "index = 3",
        "index = 0",
        "os_image.index",
        "0 does not fit here",
    );
    one_problem(
        "index = 3",
        "index = \"3\"",
        "os_image.index",
        "this is a string",
    );
    one_problem("\"w11-latitude-7450\"", "\" \"", "name", "it is empty");
    one_problem(
        "\"thorough\"",
        "\"best\"",
        "output.codec",
        "\"fast\", \"balanced\"",
    );
    one_problem(
        "\"administrator-approval\"",
        "1",
        "security.user_device_affinity",
        "1 does not",
    );
}

#[test]
fn missing_keys_are_named_with_an_example() {
    let error = parse("").unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "name",
            "task_sequence",
            "boot_image",
            "os_image",
            "distribution_points",
            "media"
        ]
    );
    assert!(error.problems[1].advice.contains("PS100012"));
}

#[test]
fn broken_toml_is_reported_with_everything_else() {
    let error = parse(&LEAST.replace("name = \"least\"", "name = = 1")).unwrap_err();
    assert!(
        error.problems.iter().any(|p| p.what.contains("not TOML")),
        "{error}"
    );
}

#[test]
fn files_that_a_spec_names_belong_to_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spec.toml");
    std::fs::write(&path, FULL).unwrap();
    let spec = MediaSpec::load(&path, NOW).unwrap().spec;
    assert_eq!(
        spec.secrets()[1].1,
        SecretSource::File(folder.path().join("join.pw"))
    );
    let error = MediaSpec::load(&folder.path().join("absent.toml"), NOW).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
