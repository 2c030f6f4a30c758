//! INF files of drivers.

use super::{Row, text};

const NET: &str = "[Version]\nClass=Net\nProvider=%p%\n[Strings]\n";

pub(super) const BOMBS: &[Row] = &[
    ("driver_inf", "strings that name each other", 60_000, |n| {
        text(NET, n, |n| format!("p{n}=%p{}%\n", n + 1), "p=%p0%\n")
    }),
    ("driver_inf", "a string that names itself", 60_000, |n| {
        text(NET, n, |_| "p=%p%%p%\n".into(), "")
    }),
    ("driver_inf", "names in a value", 200_000, |n| {
        text(
            "[Version]\nClass=Net\nProvider=",
            n,
            |_| "%p%".into(),
            "\n[Strings]\np=\"a long name\"\n",
        )
    }),
    ("driver_inf", "sections", 100_000, |n| text(NET, n, |_| "[Version]\n[Strings]\n".into(), "")),
    ("driver_inf", "includes", 60_000, |n| {
        text("[Version]\nClass=Net\n", n, |n| format!("Include=f{n}.inf\nNeeds=s{n}\n"), "")
    }),
    ("driver_inf", "continued lines", 200_000, |n| {
        text("[Version]\nProvider=", n, |_| "\\\n".into(), "x")
    }),
    ("driver_inf", "quotes", 400_000, |n| {
        text("[Version]\nClass=Net\nProvider=", n, |_| "\"".into(), "")
    }),
    ("driver_inf", "characters of UTF-16 that become three bytes", 400_000, |n| {
        let mut bytes = vec![0xFF, 0xFE];
        "[Version]\nClass=Net\nProvider="
            .encode_utf16()
            .for_each(|u| bytes.extend(u.to_le_bytes()));
        (0..n).for_each(|_| bytes.extend([0x00, 0xD8]));
        bytes
    }),
];
