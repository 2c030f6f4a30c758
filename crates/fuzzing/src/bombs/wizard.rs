//! Lines of PowerShell and `CreateMedia.exe`.

use super::{Row, nested, text};

const CMDLET: &str = "New-CMPrestageMedia -Path x.wim ";

pub(super) const BOMBS: &[Row] = &[
    ("wizard_lines", "commands in commands", 100_000, |n| nested(CMDLET, "(", n, ")", "")),
    ("wizard_lines", "tables in tables", 100_000, |n| nested("$t = ", "@{a=", n, "}", "")),
    ("wizard_lines", "lists in lists", 100_000, |n| nested("$t = ", "@(", n, ")", "")),
    ("wizard_lines", "continued lines", 100_000, |n| text(CMDLET, n, |_| "`\n".into(), "")),
    ("wizard_lines", "continued lines of the program", 60_000, |n| {
        text("CreateMedia.exe ", n, |_| "^\r\n".into(), "")
    }),
    ("wizard_lines", "a list of a command", 60_000, |n| {
        text(&format!("{CMDLET}-Package 'a'"), n, |_| ",'a'".into(), "")
    }),
    ("wizard_lines", "variables of variables of variables", 2_000, |n| {
        let list = |name: usize| vec![format!("$v{name}"); n / 8].join(",");
        let set = |name: usize| format!("$v{} = {}\n", name + 1, list(name));
        let call = format!("{CMDLET}-Package $v8\n");
        text("$v0 = 'PS100012'\n", 8, set, &call)
    }),
    ("wizard_lines", "a table as parameters, again and again", 8_000, |n| {
        let pairs: String = (0..n).map(|n| format!("p{n}=1;")).collect();
        text(&format!("$t = @{{{pairs}}}\n{CMDLET}"), n, |_| "@t ".into(), "")
    }),
    ("wizard_lines", "a list as a parameter, again and again", 8_000, |n| {
        let list = vec!["'PS100012'"; n].join(",");
        text(&format!("$l = {list}\n{CMDLET}"), n, |_| "-Package $l ".into(), "")
    }),
    ("wizard_lines", "a long variable of many lines", 8_000, |n| {
        let list = vec!["'PS100012'"; n].join(",");
        text(&format!("$l = {list}\n"), n / 8, |_| format!("{CMDLET}-Package $l\n"), "")
    }),
    ("wizard_lines", "switches of the program", 40_000, |n| {
        text("CreateMedia.exe /T:HD", n, |n| format!(" /x{n}:y"), "")
    }),
    ("wizard_lines", "the program again and again", 20_000, |n| {
        text("", n, |_| "CreateMedia.exe /T:HD\n".into(), "")
    }),
    ("wizard_lines", "quotes that are never closed", 100_000, |n| {
        text(CMDLET, n, |_| "\"'".into(), "")
    }),
];
