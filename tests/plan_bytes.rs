//! P7: the same plan gives the same bytes.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::os::unix::fs::MetadataExt;

use support::{Demo, ok, prestage};

#[test]
fn cold_with_one_worker_cold_with_four_and_warm_give_the_same_bytes() {
    let demo = Demo::new();
    let plan = demo.path("saved.plan");
    let data = demo.path("one");
    let (spec, data_dir) = (demo.spec(), data.to_str().unwrap().to_owned());
    let save = plan.to_str().unwrap();
    let args = ["plan", spec.to_str().unwrap(), "--save", save, "--data-dir", &data_dir];
    ok(&prestage(&demo, args));
    // Another data folder has no packs, but must have the key that opens the plan.
    let four = demo.path("four");
    std::fs::create_dir(&four).unwrap();
    std::fs::copy(data.join("seal.key"), four.join("seal.key")).unwrap();
    let build = |data: &str, workers: &str, output: &str| {
        let (data, output) = (demo.path(data), demo.path(output));
        let args = [
            "build",
            "--json",
            "--plan",
            save,
            "--workers",
            workers,
            "--data-dir",
            data.to_str().unwrap(),
            "--output",
            output.to_str().unwrap(),
        ];
        let document = ok(&prestage(&demo, args));
        (std::fs::read(output).unwrap(), document["report"]["content_bytes"].clone())
    };
    let (first, content) = build("one", "1", "first.wim");
    assert_eq!(content["reused"], 0);
    let (second, content) = build("four", "4", "second.wim");
    assert_eq!(content["reused"], 0);
    let (third, content) = build("one", "2", "third.wim");
    assert_eq!(content["made"], 0);
    assert!(first == second, "four workers gave other bytes");
    assert!(first == third, "a warm build gave other bytes");
    // Another plan of the same spec is another medium: its identity is its own.
    ok(&demo.build("fourth.wim", "one", &[]));
    assert!(first != std::fs::read(demo.path("fourth.wim")).unwrap());
}

#[test]
fn a_medium_that_is_there_is_not_made_again_unless_it_is_another() {
    let demo = Demo::new();
    let (plan, data, output) = (demo.path("saved.plan"), demo.path("data"), demo.path("out.wim"));
    let (save, data) = (plan.to_str().unwrap(), data.to_str().unwrap());
    let spec = demo.spec();
    ok(&prestage(&demo, ["plan", spec.to_str().unwrap(), "--save", save, "--data-dir", data]));
    let build = || {
        let args = ["build", "--json", "--plan", save, "--data-dir", data, "--output"];
        let document = ok(&prestage(&demo, args.into_iter().chain([output.to_str().unwrap()])));
        (document["build_id"].clone(), std::fs::metadata(&output).unwrap())
    };
    let (id, made) = build();
    let bytes = std::fs::read(&output).unwrap();
    let (later, kept) = build();
    assert_ne!(id, later);
    assert_eq!(kept.ino(), made.ino(), "the medium was made again");
    // A medium of another build, or a part of one, is not taken for it.
    let damages: [fn(&mut Vec<u8>); 2] = [
        |medium| medium[0x18] ^= 1,
        |medium| {
            medium.pop();
        },
    ];
    for damage in damages {
        let mut other = bytes.clone();
        damage(&mut other);
        std::fs::write(&output, other).unwrap();
        let damaged = std::fs::metadata(&output).unwrap();
        let (_, again) = build();
        assert_ne!(again.ino(), damaged.ino(), "a damaged medium was taken for the plan's");
        assert!(std::fs::read(&output).unwrap() == bytes);
    }
}

#[test]
fn a_plan_shows_no_secret_and_opens_only_where_it_was_made() {
    let demo = Demo::new();
    let plan = demo.path("saved.plan");
    let (spec, data, other) = (demo.spec(), demo.path("data"), demo.path("other"));
    let save = plan.to_str().unwrap();
    let args = [
        "plan",
        "--json",
        spec.to_str().unwrap(),
        "--save",
        save,
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let shown = ok(&prestage(&demo, args));
    assert_eq!(shown["contents"].as_array().unwrap().len(), 8);
    let text = std::fs::read_to_string(&plan).unwrap();
    for secret in [demo.password().as_str(), "Grüße aus dem Depot"] {
        assert!(!text.contains(secret), "the plan has a secret in clear");
    }
    let args = ["build", "--plan", save, "--data-dir", other.to_str().unwrap()];
    let said = support::refused(&prestage(&demo, args), 2);
    assert!(said.contains("plan it again"), "{said}");
    support::assert_clean(&demo);
}
