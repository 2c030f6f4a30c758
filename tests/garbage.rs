//! What nobody uses goes, what builds use stays, and what went is made anew.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use support::{
    Demo, assert_clean, files_below,
    fleet::{
        coordinator, first_build, saved_plan, service, start_build, undisturbed, until_clean,
        wait_for, worker,
    },
    ok, prestage, refused,
};

fn gc(demo: &Demo, data: &Path, more: &[&str]) -> Value {
    let mut args = vec!["gc", "--json", "--data-dir", data.to_str().unwrap()];
    args.extend(more);
    ok(&prestage(demo, args))
}

/// Everything in the store is as if it had been written so long ago.
fn age(data: &Path, days: u64) {
    let objects = data.join("objects");
    for path in files_below(&objects) {
        let file = fs::File::options().write(true).open(objects.join(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(86_400 * days)).unwrap();
    }
}

fn packs(data: &Path) -> Vec<PathBuf> {
    files_below(&data.join("objects/packs"))
}

#[test]
fn what_goes_is_made_anew_and_the_medium_is_the_same() {
    let demo = Demo::new();
    let data = demo.path("data");
    let plan = saved_plan(&demo, "fast", &[]);
    let build = |output: &str| {
        let output = demo.path(output);
        let args = ["build", "--json", "--plan", &plan, "--output", output.to_str().unwrap()];
        let args = args.into_iter().chain(["--data-dir", data.to_str().unwrap()]);
        ok(&prestage(&demo, args));
        fs::read(output).unwrap()
    };
    let first = build("first.wim");
    let before = packs(&data);
    let young = gc(&demo, &data, &["--keep-days", "1"]);
    assert_eq!(young["removed"].as_array().unwrap().len(), 0, "all of it was just used");
    age(&data, 40);
    let rehearsed = gc(&demo, &data, &["--keep-days", "30", "--dry-run"]);
    assert_eq!(packs(&data), before, "a rehearsal removes nothing");
    let collected = gc(&demo, &data, &["--keep-days", "30"]);
    assert_eq!(collected["removed"], rehearsed["removed"]);
    assert_eq!(
        collected["removed"].as_array().unwrap().len() as u64 + collected["kept"].as_u64().unwrap(),
        rehearsed["removed"].as_array().unwrap().len() as u64 + rehearsed["kept"].as_u64().unwrap()
    );
    assert!(collected["freed_bytes"].as_u64().unwrap() > 10 << 20, "{collected}");
    assert_eq!(packs(&data), Vec::<PathBuf>::new());
    assert_eq!(build("second.wim"), first);
    assert_eq!(packs(&data), before);
    assert_clean(&demo);
}

#[test]
fn a_size_budget_takes_what_was_used_longest_ago() {
    let demo = Demo::new();
    let data = demo.path("data");
    ok(&demo.build("whole.wim", "data", &[]));
    age(&data, 40);
    // A second medium uses some of it again.
    let minimal = demo.site().join("spec-minimal.toml");
    let output = demo.path("minimal.wim");
    let args = ["build", "--json", minimal.to_str().unwrap(), "--output", output.to_str().unwrap()];
    ok(&prestage(&demo, args.into_iter().chain(["--data-dir", data.to_str().unwrap()])));
    let collected = gc(&demo, &data, &["--max-gib", "0.012"]);
    assert!(collected["kept_bytes"].as_u64().unwrap() <= 13_000_000, "{collected}");
    let gone = collected["removed"].as_array().unwrap();
    assert!(!gone.is_empty() && gone.iter().all(|gone| gone["why"] == "over the size budget"));
    let times: Vec<i64> = gone.iter().map(|gone| gone["last_use"].as_i64().unwrap()).collect();
    assert!(times.is_sorted(), "the oldest first: {times:?}");
    let said = refused(&prestage(&demo, ["gc", "--data-dir", data.to_str().unwrap()]), 2);
    assert!(said.contains("--keep-days"), "{said}");
}

#[test]
fn a_collector_beside_running_builds_does_no_harm() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let quiet = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let url = format!("http://{address}");
    let collect =
        || ok(&prestage(&demo, ["gc", "--json", "--max-gib", "0", "--coordinator", &url]));
    let client = start_build(&demo, &address, &plan);
    first_build(&demo, &address);
    age(&demo.path("data"), 2);
    let pinned = collect();
    assert!(pinned["pinned"].as_u64().unwrap() > 0, "the listings, at least: {pinned}");
    let (_worker, _) = worker(&demo, &address, "w");
    let collecting = std::thread::scope(|scope| {
        let building = scope.spawn(|| client.wait_with_output().unwrap());
        let mut runs = 0;
        while !building.is_finished() {
            age(&demo.path("data"), 2);
            collect();
            runs += 1;
        }
        ok(&building.join().unwrap());
        runs
    });
    assert!(collecting > 1);
    assert_eq!(fs::read(demo.path("out.wim")).unwrap(), quiet);
    until_clean(&demo);
}

#[test]
fn a_coordinator_collects_by_itself_if_it_is_told_to() {
    let demo = Demo::new();
    ok(&demo.build("out.wim", "data", &[]));
    let data = demo.path("data");
    age(&data, 40);
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--keep-days", "30", "--data-dir"];
    let args: Vec<&str> = args.into_iter().chain([data.to_str().unwrap()]).collect();
    let (_coordinator, _, lines) = service(&demo, &args, "coordinator is ready");
    let said = wait_for(&lines, "garbage");
    assert!(!said.contains("removed=0"), "{said}");
    assert_eq!(packs(&data), Vec::<PathBuf>::new());
}
