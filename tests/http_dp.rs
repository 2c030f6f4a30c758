//! Distribution points over HTTP: the same packs as by path, and every way in which a server fails.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use prestage_test_servers::{
    apache::{self, Apache, Settings},
    iis::{Iis, Trouble},
};
use support::{Demo, assert_clean, files_below, ok, refused};

fn library(demo: &Demo, point: &str) -> PathBuf {
    demo.path(&format!("site/{point}/SCCMContentLib"))
}

/// `site.toml` with addresses in place of paths.
fn reach_over_http(demo: &Demo, addresses: [&str; 2]) {
    let file = demo.path("site/site.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    for (point, address) in ["dp1", "dp2"].iter().zip(addresses) {
        let path = format!("content_library = \"{point}/SCCMContentLib\"");
        assert!(text.contains(&path), "{text}");
        text = text.replace(&path, &format!("url = \"{address}\""));
    }
    fs::write(file, text).unwrap();
}

fn packs(demo: &Demo, data: &str) -> Vec<PathBuf> {
    let packs = files_below(&demo.path(data).join("objects/packs"));
    assert!(packs.len() > 5);
    packs
}

fn apache(folder: &Path, html_listings: bool, ntlm: bool) -> Apache {
    let folders = vec![("/SMS_DP_SMSPKG$", folder)];
    Apache::start(&Settings { folders, html_listings, ntlm, ..Settings::default() })
}

fn log(demo: &Demo, medium: &str) -> String {
    fs::read_to_string(demo.path(&format!("{medium}.log"))).unwrap()
}

#[test]
fn media_are_the_same_by_path_by_propfind_and_from_pages() {
    let demo = Demo::new();
    ok(&demo.build("by-path.wim", "by-path", &[]));
    let wanted = packs(&demo, "by-path");
    let (first, second) = (library(&demo, "dp1"), library(&demo, "dp2"));
    let (dav, pages) = (apache(&first, false, true), apache(&second, true, false));
    let access = demo.path("access.toml");
    fs::write(demo.path("password"), apache::PASSWORD).unwrap();
    let identity = "authentication = \"negotiate\"\npassword = { file = \"password\" }";
    let text = format!("[[server]]\nhost = \"localhost\"\nuser = '{}'\n{identity}\n", apache::USER);
    fs::write(&access, text).unwrap();
    reach_over_http(&demo, [&dav.address, &pages.address]);
    ok(&demo.build("http.wim", "http", &["--access", access.to_str().unwrap()]));
    assert_eq!(packs(&demo, "http"), wanted, "{}", dav.log());
    let told = log(&demo, "http.wim");
    assert!(!told.contains("could not be had"), "{told}");
    // Without an identity the first one lets nobody in: it is left out, with the reason.
    let output = demo.build("alone.wim", "alone", &[]);
    ok(&output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("dp1.corp.example: its content library cannot be read"), "{told}");
    assert!(told.contains("name one in the access file"), "{told}");
    assert_eq!(packs(&demo, "alone"), wanted);
    assert_clean(&demo);
}

#[test]
fn the_address_is_used_where_the_path_is_out_of_reach() {
    let demo = Demo::new();
    let server = apache(&library(&demo, "dp1"), false, false);
    let file = demo.path("site/site.toml");
    let text = fs::read_to_string(&file).unwrap();
    let both = format!("content_library = \"not-mounted\"\nurl = \"{}\"", server.address);
    fs::write(&file, text.replace("content_library = \"dp1/SCCMContentLib\"", &both)).unwrap();
    let output = demo.build("out.wim", "data", &[]);
    ok(&output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("dp1.corp.example: its address is used instead"), "{told}");
    assert!(told.contains("not-mounted"), "{told}");
    let requests = server.requests();
    assert!(requests.contains("/FileLib/"), "{requests}");
    assert!(requests.contains("/PkgLib/PS100005.INI 200"), "{requests}");
}

/// A build whose first distribution point misbehaves; the second is as it should be.
fn with_trouble(trouble: Trouble) -> (Demo, Output) {
    with_trouble_and(trouble, &[])
}

fn with_trouble_and(trouble: Trouble, more: &[&str]) -> (Demo, Output) {
    let demo = Demo::new();
    let first = Iis::start(&library(&demo, "dp1"), trouble);
    let second = Iis::start(&library(&demo, "dp2"), Trouble::None);
    reach_over_http(&demo, [&first.address, &second.address]);
    let output = demo.build("out.wim", "data", more);
    assert_clean(&demo);
    (demo, output)
}

#[test]
fn a_line_that_breaks_is_taken_up_again() {
    let (demo, output) = with_trouble(Trouble::BreaksOff(3));
    ok(&output);
    let told = log(&demo, "out.wim");
    assert!(!told.contains("could not be had"), "nothing had to come from elsewhere: {told}");
}

/// A router forgot the connection: nothing comes any more, and nothing says so.
#[test]
fn a_line_that_dies_without_a_word_is_taken_up_again() {
    let (demo, output) = with_trouble_and(Trouble::FallsSilent(1), &["--patience-ms", "300"]);
    ok(&output);
    let told = log(&demo, "out.wim");
    assert!(!told.contains("could not be had"), "nothing had to come from elsewhere: {told}");
}

#[test]
fn what_comes_too_slowly_comes_from_another_and_the_reason_is_kept() {
    for trouble in [Trouble::FallsSilent(u32::MAX), Trouble::Trickles] {
        let (demo, output) = with_trouble_and(trouble, &["--patience-ms", "300"]);
        ok(&output);
        let told = format!("{}{}", log(&demo, "out.wim"), String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("makes no progress: less than 64 KiB"), "{trouble:?}: {told}");
        assert!(told.contains("could not be had from dp1"), "{trouble:?}: {told}");
    }
}

#[test]
fn a_distribution_point_that_wants_certificates_is_read_where_it_wants_none() {
    let (demo, output) = with_trouble(Trouble::WantsCertificate);
    ok(&output);
    let told = format!("{}{}", log(&demo, "out.wim"), String::from_utf8_lossy(&output.stderr));
    assert!(!told.contains("could not be had") && !told.contains("left out"), "{told}");
}

#[test]
fn a_tag_that_turns_strong_is_no_other_version() {
    let (demo, output) = with_trouble(Trouble::Ripens);
    ok(&output);
    let told = log(&demo, "out.wim");
    assert!(!told.contains("could not be had"), "{told}");
}

#[test]
fn what_changes_or_is_gone_comes_from_another_and_the_reason_is_kept() {
    for (trouble, reason) in
        [(Trouble::Gone, "it is gone"), (Trouble::Changes, "it changed while it was read")]
    {
        let (demo, output) = with_trouble(trouble);
        ok(&output);
        let told = format!("{}{}", log(&demo, "out.wim"), String::from_utf8_lossy(&output.stderr));
        assert!(told.contains(reason) && told.contains("dp1"), "{trouble:?}: {told}");
    }
}

#[test]
fn a_server_without_ranges_is_told() {
    let (demo, output) = with_trouble(Trouble::IgnoresRanges);
    ok(&output);
    let told = format!("{}{}", log(&demo, "out.wim"), String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("ranges"), "{told}");
}

#[test]
fn nothing_is_built_when_nobody_has_it() {
    let demo = Demo::new();
    let servers = ["dp1", "dp2"].map(|point| Iis::start(&library(&demo, point), Trouble::Gone));
    reach_over_http(&demo, [&servers[0].address, &servers[1].address]);
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("it is gone") && said.contains("dp1") && said.contains("dp2"), "{said}");
    reach_gone(&demo);
    assert!(!demo.path("out.wim").exists());
    assert_clean(&demo);
}

/// Nobody listens there any more.
fn reach_gone(demo: &Demo) {
    let file = demo.path("site/site.toml");
    let text = fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("url = \"http://localhost") {
        true => "url = \"http://localhost:9\"",
        false => line,
    });
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let said = refused(&demo.build("out.wim", "data", &[]), 2);
    assert!(said.contains("http://localhost:9 can't be reached"), "{said}");
}
