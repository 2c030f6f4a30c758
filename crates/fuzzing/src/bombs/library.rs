//! Content libraries.

use super::{Row, text};

pub(super) const BOMBS: &[Row] = &[
    ("content_library", "contents of a package", 40_000, |n| {
        text("[Packages]\n", n, |n| format!("PS100012.{n}=\n"), "")
    }),
    ("content_library", "sections", 60_000, |n| text("", n, |_| "[Packages]\nx\n".into(), "")),
    ("content_library", "keys of a file", 60_000, |n| {
        text("#\n#\n#a.txt\n[File]\n", n, |n| format!("Key{n}=\n"), "Size=1\n")
    }),
    ("content_library", "a key of a file again and again", 60_000, |n| {
        text("#\n#\n#a.txt\n[File]\n", n, |_| "Size=\n".into(), "")
    }),
    ("content_library", "a size that can't be", 4, |n| {
        let hash = "00".repeat(32);
        text("#\n#\n", n, |n| format!("#f{n}\n[File]\nSize={}\nHash={hash}\n", u64::MAX), "")
    }),
];
