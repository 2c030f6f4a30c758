//! The section `[security]`.

use time::OffsetDateTime;

use super::node::{Node, Value};
use super::problem::Report;
use super::reader::{Found, TableReader};
use super::{
    GeneratedPassword, MEDIA_PASSWORD, MediaCertificate, MediaPassword, Security,
    UserDeviceAffinity,
};
use prestage_secret::SecretSource;

const NO_LITERAL: &str = "a password must not stand in the spec: specs are kept under version control and travel to the coordinator";
const NAME_A_SOURCE: &str = "write { env = \"NAME_OF_A_VARIABLE\" } or { file = \"path\" }, and change the password if this file was ever shared";

/// The section as far as it could be read. Rules elsewhere ask whether the certificate is
/// self-signed even when another key of the section is wrong, so that all problems come at once.
pub(super) struct ReadSecurity {
    pub(super) section: Option<Security>,
    pub(super) self_signed: bool,
}

/// Reads the section, or its defaults when it is absent.
pub(super) fn security(
    table: &mut TableReader<'_>,
    now: OffsetDateTime,
    report: &mut Report<'_>,
) -> ReadSecurity {
    let root_span = table.span().clone();
    let Some(node) = table.node("security") else {
        report_no_password(&root_span.map(|span| span.start..span.start), report);
        return ReadSecurity { section: Some(Security::default()), self_signed: true };
    };
    let Some(mut table) = TableReader::open(node, "security", report) else {
        return ReadSecurity { section: None, self_signed: true };
    };
    let unknown_computer_support = table.boolean("unknown_computer_support", false, report);
    let no_password = table.boolean("no_password", false, report);
    let password = password(&mut table, no_password, report);
    let certificate = match table.node("certificate") {
        Some(node) => certificate(node, now, report),
        None => Some(MediaCertificate::default()),
    };
    let affinity = table.choice("user_device_affinity", &AFFINITIES, report);
    table.finish(report);
    let self_signed = matches!(certificate, Some(MediaCertificate::SelfSigned { .. }));
    let section = password.zip(certificate).map(|(password, certificate)| Security {
        unknown_computer_support,
        password,
        no_password,
        certificate,
        user_device_affinity: affinity.unwrap_or_default(),
    });
    ReadSecurity { section, self_signed }
}

const AFFINITIES: [(&str, UserDeviceAffinity); 3] = [
    ("do-not-allow", UserDeviceAffinity::DoNotAllow),
    ("administrator-approval", UserDeviceAffinity::AdministratorApproval),
    ("auto-approval", UserDeviceAffinity::AutoApproval),
];

/// The password's source or none; the outer `None` when what stands there is wrong.
fn password(
    table: &mut TableReader<'_>,
    none_wanted: bool,
    report: &mut Report<'_>,
) -> Option<Option<MediaPassword>> {
    let Some(node) = table.node("password") else {
        if !none_wanted {
            report_no_password(table.span(), report);
        }
        return Some(None);
    };
    if none_wanted {
        let what = "there is a password, and no_password = true";
        report.problem(&node.span, MEDIA_PASSWORD, what, "remove one of the two");
    }
    if let Value::Table(entries) = &node.value
        && entries.iter().any(|entry| entry.name == "generate")
    {
        return generated_password(node, report).map(Some);
    }
    secret_source(node, MEDIA_PASSWORD, report).map(|source| Some(MediaPassword::Given(source)))
}

fn generated_password(node: &Node, report: &mut Report<'_>) -> Option<MediaPassword> {
    let mut table = TableReader::open(node, MEDIA_PASSWORD, report)?;
    let generate = table.boolean("generate", true, report);
    table.finish(report);
    if !generate {
        let advice = "write generate = true, or name a source with env or file";
        report.problem(&node.span, MEDIA_PASSWORD, "it names no source", advice);
    }
    Some(MediaPassword::Generated(GeneratedPassword { generate }))
}

fn report_no_password(span: &super::problem::Span, report: &mut Report<'_>) {
    report.problem(
        span,
        MEDIA_PASSWORD,
        "nothing is said of the media password, without which the medium's variables and certificate are encrypted with a key that is public",
        "set password = { env = \"MEDIA_PASSWORD\" } or { generate = true }, or no_password = true if everyone who can read the medium may use it",
    );
}

/// Reads `{ env = … }` or `{ file = … }`. What was written instead is never repeated.
pub(super) fn secret_source(
    node: &Node,
    key: &str,
    report: &mut Report<'_>,
) -> Option<SecretSource> {
    if matches!(node.value, Value::Text(_)) {
        report.problem(&node.span, key, NO_LITERAL, NAME_A_SOURCE);
        return None;
    }
    let mut table = TableReader::open(node, key, report)?;
    let variable = table.text("env", report);
    let file = table.text("file", report);
    let source = match (variable, file) {
        (Some(variable), None) => named(&variable, "env", key, report).map(SecretSource::Env),
        (None, Some(file)) => {
            named(&file, "file", key, report).map(|path| SecretSource::File(path.into()))
        }
        (found, other) => {
            let count =
                if found.is_some() && other.is_some() { "two sources" } else { "no source" };
            let what = format!("it names {count}");
            report.problem(&node.span, key, what, "write either env or file");
            None
        }
    };
    table.finish(report);
    source
}

fn named(found: &Found<String>, name: &str, key: &str, report: &mut Report<'_>) -> Option<String> {
    let usable = !found.value.is_empty()
        && !found.value.contains('\0')
        && (name != "env" || !found.value.contains('='));
    if usable {
        return Some(found.value.clone());
    }
    let key = format!("{key}.{name}");
    report.problem(&found.span, &key, "this is no name", "name a variable or a file");
    None
}

fn certificate(
    node: &Node,
    now: OffsetDateTime,
    report: &mut Report<'_>,
) -> Option<MediaCertificate> {
    let key = "security.certificate";
    let mut table = TableReader::open(node, key, report)?;
    let own = table.table("self_signed", report);
    let imported = table.table("pkcs12", report);
    let certificate = match (own, imported) {
        (Some(own), None) => self_signed(own, now, report),
        (None, Some(imported)) => pkcs12(imported, report),
        (own, imported) => {
            let both = own.is_some() && imported.is_some();
            let what = if both { "it names two certificates" } else { "it names no certificate" };
            report.problem(
                &node.span,
                key,
                what,
                "write either self_signed = {} or pkcs12 = { … }",
            );
            None
        }
    };
    table.finish(report);
    certificate
}

fn self_signed(
    mut table: TableReader<'_>,
    now: OffsetDateTime,
    report: &mut Report<'_>,
) -> Option<MediaCertificate> {
    let start = table.moment("start", report);
    let expiry = table.moment("expiry", report);
    let key = table.key("expiry");
    if let Some(expiry) = &expiry {
        let begins = start.as_ref().map_or(now, |start| start.value);
        if expiry.value <= now {
            let what = "the certificate has expired already, so no management point would answer";
            report.problem(&expiry.span, &key, what, "choose a day in the future");
        } else if expiry.value <= begins {
            let what = "the certificate expires before it starts";
            report.problem(&expiry.span, &key, what, "choose an expiry after the start");
        }
    }
    let span = start.as_ref().map_or_else(|| table.span().clone(), |start| start.span.clone());
    let start_key = table.key("start");
    table.finish(report);
    let certificate = MediaCertificate::SelfSigned {
        start: start.map(|found| found.value),
        expiry: expiry.as_ref().map(|found| found.value),
    };
    // A start more than a year ago with no expiry has expired by the default.
    if expiry.is_none() && certificate.validity(now).is_some_and(|(_, expiry)| expiry <= now) {
        let what =
            "it lies a year back or more, and without an expiry the certificate lives a year";
        report.problem(&span, &start_key, what, "choose a later start, or an expiry in the future");
    }
    Some(certificate)
}

fn pkcs12(mut table: TableReader<'_>, report: &mut Report<'_>) -> Option<MediaCertificate> {
    let (file_key, password_key) = (table.key("file"), table.key("password"));
    let file = table
        .required("file", "file = \"media.pfx\"", report)
        .and_then(|node| super::reader::text(node, &file_key, report))
        .and_then(|found| named(&found, "file", "security.certificate.pkcs12", report));
    let password = table
        .required("password", "password = { env = \"PFX_PASSWORD\" }", report)
        .and_then(|node| secret_source(node, &password_key, report));
    table.finish(report);
    Some(MediaCertificate::Pkcs12 { file: file?.into(), password: password? })
}
