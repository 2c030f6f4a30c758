//! Folders of a distribution point's web server.

use super::{Row, text};

pub(super) const BOMBS: &[Row] = &[
    ("folder_listing", "links without an end", 8_000, |n| text("", n, |_| "href=".into(), "")),
    ("folder_listing", "links with a quote that is never closed", 40_000, |n| {
        text("", n, |n| if n % 2 == 0 { "href='".into() } else { "href=\"".into() }, "")
    }),
    ("folder_listing", "links", 40_000, |n| text("", n, |n| format!("<a href=\"f{n}.INI\">"), "")),
    ("folder_listing", "entries that are all the same", 20_000, |n| {
        text("", n, |_| "<a href=x>".into(), "")
    }),
    ("folder_listing", "a long name with every character encoded", 400_000, |n| {
        text("<a href=\"", n, |_| "%41".into(), "\">")
    }),
    ("folder_listing", "entities of a link", 200_000, |n| {
        text("<a href=\"", n, |_| "&amp;".into(), "\">")
    }),
    ("folder_listing", "dots that lead up", 200_000, |n| {
        text("<a href=\"", n, |_| "../".into(), "\">")
    }),
    ("folder_listing", "responses in responses", 10_000, |n| {
        let response = "<response><href>/SMS_DP_SMSPKG$/PS100012.3/x</href>";
        let (open, close) = (response.repeat(120), "</response>".repeat(120));
        text(
            &format!("<multistatus>{open}"),
            n,
            |_| "<a/>".into(),
            &format!("{close}</multistatus>"),
        )
    }),
    ("folder_listing", "responses", 10_000, |n| {
        let one = |n| format!("<response><href>/SMS_DP_SMSPKG$/PS100012.3/f{n}</href></response>");
        text("<multistatus>", n, one, "</multistatus>")
    }),
    ("folder_listing", "properties of one response", 40_000, |n| {
        let before = "<multistatus><response><href>/SMS_DP_SMSPKG$/PS100012.3/f</href>";
        text(before, n, |n| format!("<p{n}/>"), "</response></multistatus>")
    }),
];
