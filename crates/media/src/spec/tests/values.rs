//! Rules on values and between them.

use super::*;

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
    one_problem("\"dynamic\"", "\"site-based\"", key, "exactly one management point, and 2");
    one_problem("\"http://mp2.", "\"https://mp2.", key, "self-signed certificate");
    one_problem("\"http://mp2.corp.example\"", "\"HTTP://MP1.corp.example/\"", key, "already");
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
    one_problem("start = 2026-11", "start = 2028-11", key, "before it starts");
    one_problem("2027-11-22T00:00:00Z", "2027-11-22", key, "not a date and time with an offset");
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
    one_problem("{ env = \"MEDIA_PASSWORD\" }", "{}", "security.password", "no source");
    one_problem("{ env = \"M", "{ file = \"x\", env = \"M", "security.password", "two sources");
}

#[test]
fn no_password_is_said_and_nothing_else_with_it() {
    let key = "security.password";
    let given = "password    = { env = \"MEDIA_PASSWORD\" }";
    one_problem(given, "", key, "nothing is said of the media password");
    one_problem(given, &format!("{given}\nno_password = true"), key, "and no_password = true");
    one_problem(given, "password = { generate = false }", key, "no source");
    let none = MediaSpec::parse("s", &FULL.replace(given, "no_password = true"), NOW).unwrap().spec;
    assert!(none.security.no_password && none.security.password.is_none());
    let made = FULL.replace(given, "password = { generate = true }");
    let made = MediaSpec::parse("s", &made, NOW).unwrap().spec;
    assert!(made.generates_password());
    assert!(made.secrets().iter().all(|(name, _)| name != MEDIA_PASSWORD));
    let json = serde_json::to_vec(&made).unwrap();
    assert_eq!(MediaSpec::from_json(&json, NOW).unwrap().spec, made);
}

const SELF_SIGNED: &str =
    "self_signed = { start = 2026-11-22T00:00:00Z, expiry = 2027-11-22T00:00:00Z }";

#[test]
fn only_an_imported_certificate_serves_https() {
    let imported = "pkcs12 = { file = \"media.pfx\", password = { env = \"PFX\" } }";
    let secure = FULL.replace("http://mp1", "https://mp1");
    let told = MediaSpec::parse("s", &secure, NOW).unwrap_err().problems;
    assert_eq!((told.len(), told[0].key.as_str()), (1, "media.management_points"), "{told:#?}");
    let spec = MediaSpec::parse("s", &secure.replace(SELF_SIGNED, imported), NOW).unwrap().spec;
    assert_eq!(spec.certificate_file(), Some(std::path::Path::new("media.pfx")));
    let secret = (PKCS12_PASSWORD.to_owned(), SecretSource::Env("PFX".into()));
    assert!(spec.secrets().contains(&secret));
    let literal = "pkcs12 = { file = \"media.pfx\", password = \"hunter2\" }";
    one_problem(SELF_SIGNED, literal, PKCS12_PASSWORD, "version control");
    one_problem(SELF_SIGNED, "pkcs12 = { file = \"m.pfx\" }", PKCS12_PASSWORD, "missing");
}

#[test]
fn volumes_have_a_size_that_fat32_takes() {
    for size in ["9", "4096", "\"3800\""] {
        let line = format!("split_mib = {size}\ncodec =");
        assert_eq!(problems("codec =", &line)[0].key, "output.split_mib");
    }
    one_problem("codec =", "split_mib = 9\ncodec =", "output.split_mib", "from 16 to 4095");
    let split = parse(&FULL.replace("codec =", "split_mib = 3800\ncodec =")).unwrap();
    assert_eq!(split.spec.output.split_mib, Some(3800));
}

#[test]
fn variables_have_names_that_work_and_values_that_can_be_written() {
    let set = |name: &str, value: &str| {
        problems("OSDTimeZone = \"UTC\"", &format!("\"{name}\" = {value}"))
    };
    for (name, value, part) in [
        ("1x", "\"v\"", "not a variable name"),
        ("_SMSTSMediaType", "\"v\"", "belong to Configuration Manager"),
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
    one_problem("[\"PS100031\"]", "[\"PS100031\", \"ps100031\"]", "packages", "already under");
    one_problem("[\"PS100077\"]", "[\"PS100031\"]", "driver_packages", "under packages");
    one_problem("[\"PS100031\"]", "[\"PS100005\"]", "packages", "under boot_image");
    one_problem("\"dp2.corp.example\"", "\"DP1.corp.example\"", "distribution_points", "already");
}

#[test]
fn single_values_are_checked() {
    one_problem("index = 3", "index = 0", "os_image.index", "0 does not fit here");
    one_problem("index = 3", "index = \"3\"", "os_image.index", "this is a string");
    one_problem("\"w11-latitude-7450\"", "\" \"", "name", "it is empty");
    one_problem("\"thorough\"", "\"best\"", "output.codec", "\"fast\", \"balanced\"");
    one_problem("\"administrator-approval\"", "1", "security.user_device_affinity", "1 does not");
}

#[test]
fn a_file_that_is_no_spec_has_a_hundred_problems_told() {
    let text: String = (0..2_000).map(|n| format!("k{n} = 1\n")).collect();
    let problems = parse(&text).unwrap_err().problems;
    assert_eq!(problems.len(), 101);
    assert!(problems[100].what.contains("more problems"), "{}", problems[100]);
}

#[test]
fn many_variables_take_time_by_their_number() {
    let variables: String = (0..40_000).map(|n| format!("V{n} = \"x\"\n")).collect();
    let checked = parse(&format!("{LEAST}[customization.variables]\n{variables}")).unwrap();
    assert_eq!(checked.spec.customization.variables.len(), 40_000);
}
