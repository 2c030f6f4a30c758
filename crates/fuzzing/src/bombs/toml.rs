//! TOML: specs and `site.toml`.

use super::{Row, nested, text};

pub(super) const BOMBS: &[Row] = &[
    ("spec_toml", "lists in lists", 100_000, |n| nested("a = ", "[", n, "]", "")),
    ("spec_toml", "tables in tables", 50_000, |n| nested("a = ", "{a=", n, "}", "")),
    ("spec_toml", "a key of many parts", 50_000, |n| text("a", n, |_| ".a".into(), " = 1")),
    ("spec_toml", "a header of many parts", 50_000, |n| text("[a", n, |_| ".a".into(), "]")),
    ("spec_toml", "headers that each go deeper", 300, |n| {
        text("", n, |n| format!("[a{}]\n", ".a".repeat(n)), "")
    }),
    ("spec_toml", "keys that nobody knows", 30_000, |n| text("", n, |n| format!("k{n} = 1\n"), "")),
    ("spec_toml", "a key again and again", 60_000, |n| text("", n, |_| "name = 1\n".into(), "")),
    ("spec_toml", "a long key that nobody knows", 400_000, |n| text("", n, |_| "n".into(), " = 1")),
    ("spec_toml", "tables of one list", 30_000, |n| text("", n, |_| "[[media]]\n".into(), "")),
    ("spec_toml", "variables", 20_000, |n| {
        text("[customization.variables]\n", n, |n| format!("v{n} = \"\"\n"), "")
    }),
    ("spec_toml", "packages", 30_000, |n| {
        text("packages = [", n, |n| format!("\"PS1{n:05X}\","), "]")
    }),
    ("spec_toml", "one package again and again", 30_000, |n| {
        text("packages = [", n, |_| "\"PS100012\",".into(), "]")
    }),
    ("spec_toml", "a string that is never closed", 400_000, |n| {
        text("a = \"\"\"", n, |_| "\"\" ".into(), "")
    }),
    ("site_file", "distribution points", 10_000, |n| {
        let site = "[site]\ncode = \"PS1\"\nadmin_service = \"adminservice\"\n";
        let point = |n| format!("[[distribution_point]]\nname = \"d{n}\"\nurl = \"http://d{n}\"\n");
        text(site, n, point, "")
    }),
    ("site_file", "lists in lists", 100_000, |n| nested("site = ", "[", n, "]", "")),
    ("site_file", "a header of many parts", 50_000, |n| text("[site", n, |_| ".a".into(), "]")),
];
