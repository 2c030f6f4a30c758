//! What a medium proves itself by and is protected with: imported certificates, new passwords.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/certificate.rs"]
mod certificate;
mod support;

use std::{ffi::OsStr, os::unix::fs::PermissionsExt, process::Output};

use certificate::imported_certificate;
use support::{Demo, assert_clean, files_below, media_certificate, ok, refused, tool, variables};

const PFX_PASSWORD: &str = "Pfx-Password-of-the-test";

/// A sample whose spec imports a certificate that an authority of its own issued.
fn with_certificate(usage: &str) -> Demo {
    let demo = Demo::new();
    imported_certificate(&demo, usage, PFX_PASSWORD);
    demo
}

/// Nothing that was written holds the text, in UTF-8 or UTF-16, but the files that are its own.
fn assert_nowhere(demo: &Demo, secret: &str, output: &Output, own: &[&str]) {
    let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let holds = |bytes: &[u8]| {
        [secret.as_bytes(), &wide].iter().any(|form| bytes.windows(form.len()).any(|w| w == *form))
    };
    assert!(!holds(&output.stdout) && !holds(&output.stderr), "the command told it");
    for path in files_below(demo.dir.path()) {
        let name = path.to_str().unwrap();
        let looked = name.ends_with(".wim") || name.contains("FileLib") || own.contains(&name);
        assert!(looked || !holds(&std::fs::read(demo.path(name)).unwrap()), "{name} holds it");
    }
}

#[test]
fn a_pki_certificate_serves_https_and_stays_secret() {
    let demo = with_certificate("clientAuth");
    let output = demo.build("out.wim", "data", &[]);
    ok(&output);
    let variables = variables(&demo, &demo.path("out.wim"), &demo.password());
    let points = "https://mp1.corp.example*http://mp2.corp.example";
    assert_eq!(variables["SMSTSLocationMPs"], points);
    let root = demo.path("root.der");
    let (from, to) = (demo.path("root.crt"), root.to_str().unwrap());
    let convert = ["x509", "-in", from.to_str().unwrap(), "-outform", "DER", "-out", to];
    tool("openssl", "openssl", convert);
    let root = hex::encode_upper(std::fs::read(root).unwrap());
    assert_eq!(
        variables["_SMSTSRootCACerts"], root,
        "without it HTTPS is not trusted at first boot"
    );
    let shown = media_certificate(&demo, &variables);
    for part in ["BEGIN PRIVATE KEY", "subject=CN = OSD media", "subject=CN = Corp Root"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let manifest = std::fs::read_to_string(demo.path("out.wim.manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["certificate"]["kind"], "pki");
    assert_eq!(manifest["certificate"]["issuer"], "CN=Corp Root");
    assert_nowhere(&demo, PFX_PASSWORD, &output, &["site/pfx-password.txt"]);
    assert_clean(&demo);
}

#[test]
fn everything_wrong_with_certificate_password_and_site_is_told_at_once() {
    let demo = with_certificate("serverAuth");
    std::fs::write(demo.path("site/media-password.txt"), "short").unwrap();
    demo.edit_spec("boot_image      = \"PS100005\"", "boot_image      = \"PS1000FF\"");
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    for part in ["client authentication", "the media password has 5 characters", "PS1000FF"] {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    std::fs::write(demo.path("site/pfx-password.txt"), "another").unwrap();
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("its password does not open it") && !said.contains("another"), "{said}");
    std::fs::remove_file(demo.path("site/media.pfx")).unwrap();
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("site/media.pfx") && said.contains("pkcs12.file"), "{said}");
    assert!(!demo.path("out.wim").exists());
    assert_clean(&demo);
}

#[test]
fn a_new_password_is_kept_once_where_it_was_asked_for() {
    let demo = Demo::new();
    demo.edit_spec("{ file = \"media-password.txt\" }", "{ generate = true }");
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("--new-password FILE"), "nobody would see it: {said}");
    let file = demo.path("new-password.txt");
    let more = ["--new-password", file.to_str().unwrap()];
    let output = demo.build("out.wim", "data", &more);
    ok(&output);
    let password = std::fs::read_to_string(&file).unwrap();
    let password = password.trim_end();
    assert!(password.chars().count() >= 25);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(variables(&demo, &demo.path("out.wim"), password)["_SMSTSMediaType"], "OEMMedia");
    assert_nowhere(&demo, password, &output, &["new-password.txt"]);
    let again = refused(&demo.build("again.wim", "data", &more), 2);
    assert!(again.contains("is there already"), "{again}");
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), password, "it was written over");
    let shown = demo.build("shown.wim", "data", &["--new-password", "-"]);
    ok(&shown);
    let told = String::from_utf8_lossy(&shown.stderr);
    let told: Vec<&str> = told.split("shown this once: ").skip(1).collect();
    let [told] = told[..] else { panic!("told {} times", told.len()) };
    let told = told.lines().next().unwrap();
    assert_eq!(variables(&demo, &demo.path("shown.wim"), told)["_SMSTSMediaType"], "OEMMedia");
}

#[test]
fn no_password_is_a_decision() {
    let demo = Demo::new();
    demo.edit_spec("password    = { file = \"media-password.txt\" }\n", "");
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("spec.toml:") && said.contains("no_password = true"), "{said}");
    demo.edit_spec("[security]\n", "[security]\nno_password = true\n");
    let output = demo.build("out.wim", "data", &[]);
    ok(&output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the medium has no password: whoever gets hold of it"), "{told}");
    let medium = demo.path("out.wim");
    let arguments: [&OsStr; 3] = ["inspect".as_ref(), medium.as_os_str(), "--json".as_ref()];
    let shown = ok(&support::prestage(&demo, arguments));
    assert_eq!(shown["bootstrap"]["PasswordRequired"], "false");
}
