//! Reading: shapes, places, defaults, JSON.

use super::*;

#[test]
fn the_whole_contract_is_read() {
    let CheckedSpec { spec, warnings } = parse(FULL).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(spec.boot_image.as_str(), "PS100005");
    assert_eq!(spec.os_image.index, 3);
    assert_eq!(spec.distribution_points, ["dp1.corp.example", "dp2.corp.example"]);
    assert_eq!(spec.media.mode, MediaMode::Dynamic);
    assert!(spec.media.unattended && spec.security.unknown_computer_support);
    assert_eq!(spec.security.user_device_affinity.setting(), 1);
    assert_eq!(
        spec.security.certificate.validity(NOW),
        Some((datetime!(2026-11-22 0:00 UTC), datetime!(2027-11-22 0:00 UTC)))
    );
    assert_eq!(spec.output.codec, CodecProfile::Thorough);
    assert_eq!(spec.customization.prestart.unwrap().package.unwrap().as_str(), "PS100040");
}

#[test]
fn defaults_are_those_that_are_documented() {
    let CheckedSpec { spec, warnings } = parse(LEAST).unwrap();
    assert_eq!(spec.os_image.index, 1);
    assert_eq!(spec.security, Security { no_password: true, ..Security::default() });
    assert_eq!(spec.output, Output::default());
    assert!(spec.output.integrity_table && !spec.detect_application_dependencies);
    assert_eq!(
        spec.security.certificate.validity(NOW),
        Some((NOW, datetime!(2027-11-22 12:00 UTC)))
    );
    assert_eq!(warnings, []);
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
    assert!(MediaSpec::from_json(b"{", NOW).unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn secrets_are_named_never_held() {
    let spec = parse(FULL).unwrap().spec;
    assert_eq!(
        spec.secrets(),
        [
            ("security.password".to_owned(), SecretSource::Env("MEDIA_PASSWORD".into())),
            (
                "customization.variables.JoinPassword".to_owned(),
                SecretSource::File("join.pw".into())
            ),
        ]
    );
    assert!(!format!("{spec:?}").contains("UTC"), "values of variables are not shown");
}

#[test]
fn all_problems_come_at_once_in_order_with_their_places() {
    let text = FULL
        .replace("\"PS100123\"", "\"XX\"")
        .replace("created_by", "create_by")
        .replace("\"dynamic\"", "\"dinamic\"")
        .replace("integrity_table = true", "integrity_table = \"yes\"");
    let error = parse(&text).unwrap_err();
    let places: Vec<_> =
        error.problems.iter().map(|p| (p.place.to_string(), p.key.as_str())).collect();
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
        ("detect_application_dependencies", "detect_dependencies", "detect_dependencies"),
        ("index = 3", "index = 3, idx = 1", "os_image.idx"),
        ("unattended", "unatended", "media.unatended"),
        ("unknown_computer_support", "unknown_computers", "security.unknown_computers"),
        ("{ env = \"M", "{ x = 1, env = \"M", "security.password.x"),
        ("{ start =", "{ begin = 1, start =", "security.certificate.self_signed.begin"),
        ("{ command =", "{ cmd = 1, command =", "customization.prestart.cmd"),
        ("staging_folder", "staging-folder", "output.staging-folder"),
    ] {
        one_problem(from, to, key, "there is no such key");
    }
    assert!(problems("staging_folder", "staging-folder")[0].advice.contains("staging_folder?"));
    assert!(problems("unattended", "zzz")[0].advice.starts_with("known here: mode, "));
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
            "media",
            "security.password"
        ]
    );
    assert!(error.problems[1].advice.contains("PS100012"));
}

#[test]
fn broken_toml_is_reported_with_everything_else() {
    let error = parse(&LEAST.replace("name = \"least\"", "name = = 1")).unwrap_err();
    assert!(error.problems.iter().any(|p| p.what.contains("not TOML")), "{error}");
}

#[test]
fn files_that_a_spec_names_belong_to_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spec.toml");
    std::fs::write(&path, FULL).unwrap();
    let spec = MediaSpec::load(&path, NOW).unwrap().spec;
    assert_eq!(spec.secrets()[1].1, SecretSource::File(folder.path().join("join.pw")));
    let error = MediaSpec::load(&folder.path().join("absent.toml"), NOW).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn one_wrong_key_does_not_hide_another_in_its_section() {
    let text = FULL
        .replace("{ env = \"MEDIA_PASSWORD\" }", "\"hunter2\"")
        .replace("user_device_affinity", "device_affinity")
        .replace("http://mp2", "https://mp2")
        .replace("{ command = \"cmd /c prestart.cmd\",", "{ x = 1,")
        .replace("[output]", "nothing = 1\n[output]");
    let error = parse(&text).unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "media.management_points",
            "security.password",
            "security.device_affinity",
            "customization.prestart.command",
            "customization.prestart.x",
            "customization.nothing",
        ]
    );
}
