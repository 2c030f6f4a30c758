//! Limits of distribution points that are read over shares.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::{Demo, assert_clean, ok, refused};

fn access(demo: &Demo, limits: [&str; 2]) -> String {
    let path = demo.path("access.toml");
    let server = |(number, limits): (usize, &str)| {
        format!("[[server]]\nhost = \"dp{}.corp.example\"\nlimits = {{ {limits} }}\n", number + 1)
    };
    let text: String = limits.into_iter().enumerate().map(server).collect();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Always, whatever the day and the time.
const CLOSED: &str = "windows = [{ from = \"00:00\", to = \"12:00\", rate = \"0\" }, { from = \"12:00\", to = \"00:00\", rate = \"0\" }]";

#[test]
fn a_slow_line_is_not_saturated() {
    let demo = Demo::new();
    // The sample has some ten MiB of content; a second's worth is there at once.
    let access = access(&demo, ["rate = \"2 MiB/s\"", "rate = \"2 MiB/s\""]);
    let started = Instant::now();
    ok(&demo.build("out.wim", "data", &["--access", &access]));
    assert!(started.elapsed() > Duration::from_secs(2), "{:?}", started.elapsed());
    assert_clean(&demo);
}

#[test]
fn a_closed_distribution_point_is_passed_over_and_closed_ones_say_until_when() {
    let demo = Demo::new();
    let one = access(&demo, [CLOSED, ""]);
    ok(&demo.build("out.wim", "data", &["--access", &one]));
    let log = std::fs::read_to_string(demo.path("out.wim.log")).unwrap();
    assert!(log.contains("dp1.corp.example may not be used before"), "{log}");
    let both = access(&demo, [CLOSED, CLOSED]);
    let said = refused(&demo.build("other.wim", "other", &["--access", &both]), 1);
    assert!(said.contains("dp2.corp.example may not be used before"), "{said}");
    assert!(!demo.path("other.wim").exists());
    assert_clean(&demo);
}
