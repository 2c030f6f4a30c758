//! A distribution point whose server is gone, so that every call into its mount hangs.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::ffi::OsStr;

use prestage_test_servers::hung_mount::HungMount;
use support::{Demo, assert_clean, ok, prestage};

/// A second without progress, instead of half a minute.
const PATIENCE: [&str; 2] = ["--patience-ms", "1000"];

fn hang(demo: &Demo, dp: &str) -> HungMount {
    HungMount::new(&demo.path(&format!("site/{dp}/SCCMContentLib")))
}

/// The hung calls are left behind: the process ends without them.
#[test]
fn a_medium_is_planned_and_built_from_the_other_one() {
    let demo = Demo::new();
    let hung = hang(&demo, "dp1");
    let (spec, output, data) = (demo.spec(), demo.path("out.wim"), demo.path("data"));
    let places =
        [OsStr::new("--output"), output.as_os_str(), OsStr::new("--data-dir"), data.as_os_str()];
    let build = [OsStr::new("build"), spec.as_os_str(), OsStr::new("--json")];
    let patience = PATIENCE.map(OsStr::new);
    let built = ok(&prestage(&demo, [&build[..], &places[..], &patience[..]].concat()));
    let warnings = built["report"]["warnings"].to_string();
    assert!(warnings.contains("dp1") && warnings.contains("the share does not answer"), "{built}");
    let verified =
        ok(&prestage(&demo, [OsStr::new("verify"), output.as_os_str(), OsStr::new("--json")]));
    assert_eq!(verified["manifest"], "agrees");
    drop(hung);
    assert_clean(&demo);
}

#[test]
fn where_all_hang_the_plan_is_refused_and_each_is_named() {
    let demo = Demo::new();
    let hung = (hang(&demo, "dp1"), hang(&demo, "dp2"));
    let spec = demo.spec();
    let plan = [OsStr::new("plan"), spec.as_os_str(), OsStr::new("--json")];
    let output = prestage(&demo, [&plan[..], &PATIENCE.map(OsStr::new)].concat());
    assert_ne!(output.status.code(), Some(0));
    let told = String::from_utf8_lossy(&output.stderr);
    for dp in ["dp1", "dp2"] {
        assert!(
            told.contains(&format!("{dp}/SCCMContentLib: the share does not answer")),
            "{told}"
        );
    }
    drop(hung);
    assert_clean(&demo);
}
