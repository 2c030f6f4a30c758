//! Workers that bring what is not what it should be, and packs that stay where they were made.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::sync::mpsc;

use prestage_proto::v1;
use prestage_store::{ObjectUrl, Objects, PackKey, quarantine::Doubt};
use serde_json::Value;
use support::{
    Demo, Running,
    fleet::{
        first_build, saved_plan, service, start_build, tasks, undisturbed, until_clean, wait_for,
        wait_until, worker,
    },
    ok, prestage, refused,
    rogue::{Rogue, poison},
};

fn coordinator(demo: &Demo, percent: &str) -> (Running, String) {
    let (running, address, _) = coordinator_at(demo, "127.0.0.1:0", percent);
    (running, address)
}

/// One that listens there, and its log.
fn coordinator_at(
    demo: &Demo,
    listen: &str,
    percent: &str,
) -> (Running, String, mpsc::Receiver<String>) {
    let data = demo.path("data");
    let args = ["coordinator", "--listen", listen, "--lease-seconds", "2"];
    let more = ["--data-dir", data.to_str().unwrap(), "--verify-percent", percent];
    let args: Vec<&str> = args.into_iter().chain(more).collect();
    let (running, line, log) = service(demo, &args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    (running, address.to_owned(), log)
}

/// What a build says when it has failed.
fn until_failed(demo: &Demo, address: &str, build_id: &str) -> String {
    let url = format!("http://{address}");
    let mut said = String::new();
    wait_until(|| {
        let shown = ok(&prestage(demo, ["show", build_id, "--json", "--coordinator", &url]));
        said = shown["failure"].to_string();
        shown["state"] == "failed"
    });
    said
}

/// The poisoned pack's objects are gone, and so is the note that they are to go.
fn until_removed(demo: &Demo, pack_key: &str) {
    let objects = demo.path("data/objects");
    let index = objects.join("packs").join(&pack_key[..2]).join(format!("{pack_key}.index"));
    let quarantine = objects.join("quarantine").join(pack_key);
    wait_until(|| !index.exists() && !quarantine.exists());
}

fn of_kind<'a>(tasks: &'a [Value], kind: &str) -> Vec<&'a Value> {
    tasks.iter().filter(|task| task["kind"] == kind).collect()
}

/// A worker takes a task, publishes a pack that is not what it says, and says that it has done it; gives the
/// pack's key.
fn until_poisoned(demo: &Demo, address: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut rogue = Rogue::new(address, "rogue");
        let (lease, task) = rogue.lease().await;
        poison(&demo.path("data/objects"), &demo.path("staging"), &task).await;
        rogue.bring(&lease, &task.pack_key).await;
        task.pack_key
    })
}

#[test]
fn a_poisoned_pack_is_found_out_by_another_worker() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let (_coordinator, address) = coordinator(&demo, "100");
    let build = start_build(&demo, &address, &plan);
    // Where it is the only worker, a build that it can't do wholly would be refused.
    first_build(&demo, &address);
    let pack_key = until_poisoned(&demo, &address);
    let (_honest, _log) = worker(&demo, &address, "honest");
    let said = refused(&build.wait_with_output().unwrap(), 1);
    assert!(said.contains("the pack that worker 'rogue' made"), "{said}");
    assert!(said.contains("'honest'") && said.contains("prestage trust revoke"), "{said}");
    assert!(!demo.path("out.wim").exists(), "there is a medium");
    until_removed(&demo, &pack_key);
    until_clean(&demo);
}

/// Takes an encode task, does with its pack as `publish` says, and is silent from then on.
fn until_left(address: &str, name: &str, publish: impl AsyncFn(&v1::EncodeTask)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (_, task) = Rogue::new(address, name).lease().await;
        publish(&task).await;
    });
}

#[test]
fn whoever_finds_a_poisoned_pack_says_whose_it_may_be() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let (first, address) = coordinator(&demo, "100");
    let mut build = start_build(&demo, &address, &plan);
    let build_id = first_build(&demo, &address);
    let (objects, staging) = (demo.path("data/objects"), demo.path("staging"));
    until_left(&address, "rogue", async |task| poison(&objects, &staging, task).await);
    // Who had the lease is not forgotten with the coordinator.
    drop(first);
    let (_second, _, _log) = coordinator_at(&demo, &address, "100");
    let (_honest, _log) = worker(&demo, &address, "honest");
    let said = until_failed(&demo, &address, &build_id);
    assert!(said.contains("the pack that worker 'rogue' made"), "{said}");
    assert!(said.contains("'honest'") && !demo.path("out.wim").exists(), "{said}");
    // It may have given up with the first coordinator.
    build.wait().unwrap();
}

/// One worker of two was killed when it had made a pack, and before it could say so. The other one
/// finds it, and the first one, started again, may give the second opinion.
#[test]
fn two_workers_are_enough_after_one_was_killed() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "100");
    let build = start_build(&demo, &address, &plan);
    let build_id = first_build(&demo, &address);
    let packs = |data: &str| demo.path(data).join("objects/packs");
    until_left(&address, "two", async |task| {
        let (folder, name) = (&task.pack_key[..2], &task.pack_key);
        std::fs::create_dir_all(packs("data").join(folder)).unwrap();
        for end in ["pack", "index"] {
            let object = format!("{folder}/{name}.{end}");
            std::fs::copy(packs("quiet").join(&object), packs("data").join(&object)).unwrap();
        }
    });
    let (_one, _log) = worker(&demo, &address, "one");
    let (_two, _log) = worker(&demo, &address, "two");
    ok(&build.wait_with_output().unwrap());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    let tasks = tasks(&demo, &address, &build_id);
    assert_eq!(of_kind(&tasks, "verify").len(), of_kind(&tasks, "encode").len());
    until_clean(&demo);
}

#[test]
fn a_build_hears_of_a_poisoned_pack_when_that_is_written_down() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let (first, address, log) = coordinator_at(&demo, "127.0.0.1:0", "100");
    let mut build = start_build(&demo, &address, &plan);
    let build_id = first_build(&demo, &address);
    // Nothing can be written there as long as this is in the way.
    let in_the_way = demo.path("data/objects/quarantine");
    std::fs::write(&in_the_way, "").unwrap();
    let pack_key = until_poisoned(&demo, &address);
    let (_honest, _log) = worker(&demo, &address, "honest");
    wait_for(&log, "the quarantine can't be written down yet");
    assert!(build.try_wait().unwrap().is_none(), "it was told too early");
    // Killed in the middle of its decision; the next one comes to the same.
    drop(first);
    std::fs::remove_file(&in_the_way).unwrap();
    let (_second, _, _log) = coordinator_at(&demo, &address, "100");
    let said = until_failed(&demo, &address, &build_id);
    assert!(said.contains("the pack that worker 'rogue' made"), "{said}");
    until_removed(&demo, &pack_key);
    // It may have given up with the first coordinator.
    build.wait().unwrap();
}

#[test]
fn a_quarantine_that_a_crash_cut_short_is_carried_out_before_the_next_build() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pack_key = {
        let (_first, address) = coordinator(&demo, "0");
        let mut build = Running(start_build(&demo, &address, &plan));
        first_build(&demo, &address);
        let task = runtime.block_on(async {
            let (_, task) = Rogue::new(&address, "rogue").lease().await;
            poison(&demo.path("data/objects"), &demo.path("staging"), &task).await;
            task
        });
        build.0.kill().unwrap();
        task.pack_key
    };
    // As a coordinator leaves it that decided, and was killed before it removed anything.
    let objects = ObjectUrl::Local(demo.path("data/objects"));
    runtime.block_on(async {
        let (objects, key) = (Objects::open(&objects).await.unwrap(), pack_key.parse().unwrap());
        objects.quarantine(&key, Doubt::Disputed, "rogue").await.unwrap();
        assert!(objects.open_pack(&key).await.unwrap().is_some());
    });
    let data = demo.path("elsewhere");
    let packs = demo.path("data/objects");
    // Another coordinator, with a state of its own, that shares the packs.
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(demo.path("data/seal.key"), data.join("seal.key")).unwrap();
    let args = ["coordinator", "--listen", "127.0.0.1:0", "--lease-seconds", "2"];
    let more = ["--data-dir", data.to_str().unwrap(), "--objects", packs.to_str().unwrap()];
    let args: Vec<&str> = args.into_iter().chain(more).collect();
    let (_second, line, _log) = service(&demo, &args, "coordinator is ready");
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let build = start_build(&demo, &address, &plan);
    let build_id = first_build(&demo, &address);
    let (_one, _log) = worker(&demo, &address, "one");
    let (_two, _log) = worker(&demo, &address, "two");
    ok(&build.wait_with_output().unwrap());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    // It was made twice, though nothing else is here.
    let tasks = tasks(&demo, &address, &build_id);
    assert_eq!(of_kind(&tasks, "verify").len(), 1);
    assert!(!packs.join("quarantine").join(&pack_key).exists());
    assert!(packs.join("suspects").join(&pack_key).exists());
}

#[test]
fn workers_that_agree_cost_only_time() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "100");
    let build = start_build(&demo, &address, &plan);
    let (_one, _log) = worker(&demo, &address, "one");
    let build_id = first_build(&demo, &address);
    // Nobody gives a second opinion on their own work, and it is told what is waited for.
    wait_until(|| {
        let tasks = tasks(&demo, &address, &build_id);
        let verify = of_kind(&tasks, "verify");
        assert!(verify.iter().all(|task| task["state"] != "leased" && task["state"] != "done"));
        let waits = |task: &&Value| {
            let what = task["waiting_for"].as_str().unwrap_or_default();
            what.contains("second opinion of another worker than 'one'")
        };
        !verify.is_empty() && verify.iter().all(waits)
    });
    let (_two, _log2) = worker(&demo, &address, "two");
    ok(&build.wait_with_output().unwrap());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    let tasks = tasks(&demo, &address, &build_id);
    let count = |kind| of_kind(&tasks, kind).len();
    assert!(count("verify") > 0);
    assert_eq!(count("verify"), count("encode"));
    until_clean(&demo);
}

#[test]
fn a_result_of_other_work_counts_for_nothing() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "0");
    let build = start_build(&demo, &address, &plan);
    let build_id = first_build(&demo, &address);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let task_id = runtime.block_on(async {
        let mut rogue = Rogue::new(&address, "rogue");
        let (lease, _) = rogue.lease().await;
        let other = PackKey::of(b"something else").to_string();
        let desired = rogue.bring(&lease, &other).await;
        assert!(desired.is_empty(), "the lease is over");
        lease.task_id
    });
    wait_until(|| {
        let tasks = tasks(&demo, &address, &build_id);
        let is_it = |task: &&Value| task_id.ends_with(task["task_id"].as_str().unwrap());
        let task = tasks.iter().find(is_it).unwrap();
        let waits = task["waiting_for"].as_str().unwrap_or_default();
        task["state"] == "ready" && waits.contains("not what its task asked for")
    });
    let (_honest, _log) = worker(&demo, &address, "honest");
    ok(&build.wait_with_output().unwrap());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
}

#[test]
fn zones_share_no_packs_and_no_plans() {
    let demo = Demo::new();
    let objects = demo.path("packs");
    let objects = ["--objects", objects.to_str().unwrap()];
    let build = |output: &str, data: &str, zone: &str| {
        let more: Vec<&str> = objects.into_iter().chain(["--zone", zone]).collect();
        ok(&demo.build(output, data, &more))["report"]["content_bytes"].clone()
    };
    let first = build("one.wim", "one", "default");
    assert_eq!(first["reused"], 0);
    assert_eq!(build("again.wim", "again", "default")["made"], 0);
    let other = build("other.wim", "other", "factory");
    assert_eq!(other["reused"], 0, "{other}");
    assert_eq!(other["made"], first["made"]);

    let (spec, plan, data) = (demo.spec(), demo.path("factory.plan"), demo.path("one"));
    let args = ["plan", spec.to_str().unwrap(), "--save", plan.to_str().unwrap()];
    let zone = ["--zone", "factory", "--data-dir", data.to_str().unwrap()];
    ok(&support::prestage(&demo, args.into_iter().chain(zone)));
    let output = demo.path("wrong.wim");
    let args = ["build", "--json", "--plan", plan.to_str().unwrap(), "--output"];
    let rest = [output.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let said = refused(&support::prestage(&demo, args.into_iter().chain(rest)), 2);
    assert!(said.contains("trust zone 'factory'") && said.contains("'default'"), "{said}");
}
