//! JSON: specs, and AdminService's answers.

use super::{Row, nested, text};

pub(super) const BOMBS: &[Row] = &[
    ("spec_json", "lists in lists", 200_000, |n| nested("", "[", n, "]", "")),
    ("spec_json", "tables in tables", 100_000, |n| nested("", "{\"a\":", n, "}", "")),
    ("spec_json", "keys that nobody knows", 30_000, |n| {
        text("{\"a\":1", n, |n| format!(",\"k{n}\":1"), "}")
    }),
    ("spec_json", "a key again and again", 60_000, |n| {
        text("{\"name\":1", n, |_| ",\"name\":1".into(), "}")
    }),
    ("spec_json", "a long key that nobody knows", 400_000, |n| {
        text("{\"", n, |_| "n".into(), "\":1}")
    }),
    ("spec_json", "packages", 30_000, |n| {
        text("{\"packages\":[\"\"", n, |n| format!(",\"PS1{n:05X}\""), "]}")
    }),
    ("spec_json", "numbers of many digits", 400_000, |n| {
        text("{\"name\":1", n, |_| "0".into(), "}")
    }),
    ("admin_service", "lists in lists", 200_000, |n| nested("", "[", n, "]", "")),
    ("admin_service", "tables in tables", 100_000, |n| nested("", "{\"value\":", n, "}", "")),
    ("admin_service", "rows with nothing in them", 20_000, |n| {
        text("[{}", n, |_| ",{}".into(), "]")
    }),
    ("admin_service", "properties of a row", 20_000, |n| {
        text("[{\"a\":1", n, |n| format!(",\"k{n}\":1"), "}]")
    }),
    ("admin_service", "a row whose XML nests", 20_000, |n| {
        let xml = format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        text("[{\"CI_ID\":1,\"SDMPackageXML\":\"", 1, |_| xml.clone(), "\"}]")
    }),
    ("admin_service", "deployment types of an application", 10_000, |n| {
        let xml = "<AppMgmtDigest><Application>";
        let one =
            |n| format!("<DeploymentTypes><DeploymentType LogicalName='d{n}'/></DeploymentTypes>");
        let before = format!(
            "[{{\"CI_ID\":1,\"ModelName\":\"ScopeId_1/Application_1\",\"SDMPackageXML\":\"{xml}"
        );
        text(&before, n, one, "</Application></AppMgmtDigest>\"}]")
    }),
];
