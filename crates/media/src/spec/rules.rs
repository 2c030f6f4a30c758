//! Rules on single values and between them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use url::Url;

use super::node::{Entry, Node};
use super::problem::Report;
use super::reader::Found;
use super::variable_names;
use super::{ManagementPoint, MediaMode};

/// What has been listed, and where, so that nothing is listed twice.
#[derive(Default)]
pub(super) struct Listed(BTreeMap<String, String>);

impl Listed {
    /// The values in order; one that was listed before is a problem. Case does not count.
    pub(super) fn unique<T: fmt::Display>(
        &mut self,
        values: Vec<Found<T>>,
        key: &str,
        report: &mut Report<'_>,
    ) -> Vec<T> {
        for found in &values {
            let text = found.value.to_string();
            if let Some(first) = self.0.get(&text.to_lowercase()) {
                let what = format!("{text} is listed already under {first}");
                report.problem(&found.span, key, what, "remove one of the two");
            } else {
                self.0.insert(text.to_lowercase(), key.to_owned());
            }
        }
        values.into_iter().map(|found| found.value).collect()
    }
}

/// A distribution point's server name.
pub(super) struct DistributionPointName(pub(super) String);

impl FromStr for DistributionPointName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "\"{text}\" is not a server's name: write the name alone, like dp1.corp.example, without \\\\ or https://"
        ))
    }
}

impl fmt::Display for DistributionPointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of at most so many characters, counted in UTF-16 as Windows counts them.
pub(super) fn line(found: &Found<String>, key: &str, limit: usize, report: &mut Report<'_>) {
    let characters = found.value.encode_utf16().count();
    if characters > limit {
        let what = format!("it has {characters} characters, and at most {limit} are stored");
        let advice = format!("shorten it by {}", characters - limit);
        report.problem(&found.span, key, what, advice);
    }
    if found.value.chars().any(char::is_control) {
        let what = "it has a control character (a tab or a line end)";
        report.problem(&found.span, key, what, "write it on one line");
    }
}

/// How many, which scheme, for the mode and the certificate.
pub(super) fn management_points(
    list: &Node,
    points: &[Found<ManagementPoint>],
    mode: Option<MediaMode>,
    self_signed: bool,
    report: &mut Report<'_>,
) {
    let key = "media.management_points";
    let count = match &list.value {
        super::node::Value::List(items) => items.len(),
        _ => return,
    };
    if count == 0 {
        report.problem(&list.span, key, "the list is empty", "name a management point");
    }
    if mode == Some(MediaMode::SiteBased) && count > 1 {
        let what =
            format!("site-based media use exactly one management point, and {count} are named");
        let advice = "keep one of them, or set mode = \"dynamic\"";
        report.problem(&list.span, key, what, advice);
    }
    if !self_signed {
        return;
    }
    for found in points.iter().filter(|found| found.value.is_https()) {
        let what = format!(
            "{} answers to HTTPS, which media with a self-signed certificate cannot use",
            found.value
        );
        let advice = "name a management point that answers to http://, or import a PKI certificate (security.certificate.pkcs12)";
        report.problem(&found.span, key, what, advice);
    }
}

/// What the variables file can carry; and a word about secrets in plain sight.
pub(super) fn variable_value(entry: &Entry, value: &str, key: &str, report: &mut Report<'_>) {
    let forbidden = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{7F}'..='\u{9F}'))
            || matches!(c, '\u{FFFE}' | '\u{FFFF}')
    };
    if value.chars().any(forbidden) {
        let what = "the value has a control character that the variables file cannot carry";
        report.problem(&entry.node.span, key, what, "remove it");
    }
    if !value.is_empty() && variable_names::sounds_secret(&entry.name) {
        report.warning(
            &entry.node.span,
            key,
            "by its name this value is a secret, and it stands in the spec in clear",
            "write { env = \"…\" } or { file = \"…\" } instead of the value",
        );
    }
}

/// A path, or a URL of a store that media can be written to.
pub(super) fn output_file(found: &Found<String>, report: &mut Report<'_>) {
    let problem = output_problem(&found.value);
    if let Some((what, advice)) = problem {
        report.problem(&found.span, "output.file", what, advice);
    }
}

fn output_problem(text: &str) -> Option<(String, &'static str)> {
    if text.trim().is_empty() {
        return Some(("it is empty".to_owned(), "name the file of the medium, like media.wim"));
    }
    if text.ends_with(['/', '\\']) {
        return Some(("it names a folder".to_owned(), "add the name of the file, like media.wim"));
    }
    if !text.contains("://") {
        return None;
    }
    let schemes = "write a path, or a URL that starts with file://, s3://, az:// or gs://";
    let Ok(url) = Url::parse(text) else {
        return Some(("it is not a URL".to_owned(), schemes));
    };
    if !matches!(url.scheme(), "file" | "s3" | "az" | "gs") {
        return Some((format!("media cannot be written to {}://", url.scheme()), schemes));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        let advice = "give credentials to the coordinator and the workers, not to the spec";
        return Some(("the URL carries credentials or a query".to_owned(), advice));
    }
    let has_store = url.scheme() == "file" || url.host_str().is_some_and(|host| !host.is_empty());
    if !has_store || url.path().trim_matches('/').is_empty() {
        let advice = "write bucket and key, like s3://media/w11.wim";
        return Some(("the URL lacks a bucket or a key".to_owned(), advice));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_of_known_stores_pass() {
        for text in [
            "media.wim",
            "/srv/media/w11.wim",
            r"D:\media\w11.wim",
            "s3://media/w11.wim",
            "az://container/a/b.wim",
            "gs://bucket/x.wim",
            "file:///srv/w11.wim",
        ] {
            assert_eq!(output_problem(text), None, "{text}");
        }
    }

    #[test]
    fn folders_other_schemes_and_credentials_do_not() {
        for text in [
            "",
            "/srv/media/",
            "https://host/x.wim",
            "s3://media",
            "s3:///x.wim",
            "s3://key:secret@media/x.wim",
            "s3://media/x.wim?X-Amz-Signature=1",
        ] {
            assert!(output_problem(text).is_some(), "{text}");
        }
    }
}
