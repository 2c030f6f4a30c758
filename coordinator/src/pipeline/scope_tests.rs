//! Tests of what tasks may touch.

use prestage_store::lent::Area;

use super::*;

const KEY: &str = "ab00";

fn touched(work: Work) -> (Vec<String>, Vec<String>) {
    let task = v1::Task { objects_url: "s3://packs/site".into(), work: Some(work) };
    let scope = scope_of(&Borrower { task: &task, lease: "b1/t 1", packs: &[] });
    let shown = |areas: Vec<Area>| {
        areas.into_iter().map(|area| format!("{}/{}", area.bucket, area.prefix)).collect()
    };
    (shown(scope.reads), shown(scope.writes))
}

fn run(key: &str) -> v1::FileRun {
    v1::FileRun { run_key: key.into(), ..Default::default() }
}

#[test]
fn what_makes_a_pack_touches_that_pack_alone() {
    let own = (vec![], vec!["packs/site/packs/ab/ab00.".to_owned()]);
    let pack_key = || KEY.to_owned();
    let encode = v1::EncodeTask { pack_key: pack_key(), ..Default::default() };
    assert_eq!(touched(Work::Encode(encode.clone())), own);
    let splice = v1::SpliceTask { pack_key: pack_key(), ..Default::default() };
    assert_eq!(touched(Work::Splice(splice)), own);
    let boot = v1::BootTask { pack_key: pack_key(), ..Default::default() };
    assert_eq!(touched(Work::Boot(boot)), own);
    let verify = v1::VerifyTask { encode: Some(encode) };
    assert_eq!(touched(Work::Verify(verify)), (own.1.clone(), vec![]));
    let of_run = v1::EncodeRunTask {
        pack_key: pack_key(),
        run: Some(run("cd11")),
        ..Default::default()
    };
    let expected = (own.1.clone(), vec!["packs/site/packs/cd/cd11.".to_owned()]);
    assert_eq!(touched(Work::EncodeRun(of_run)), expected);
}

#[test]
fn a_join_reads_many_runs_and_removes_some() {
    let runs = |count: usize| (0..count).map(|n| run(&format!("{n:02}{}", "f".repeat(62))));
    let join = |count| {
        let (pack_key, runs) = (KEY.to_owned(), runs(count).collect());
        touched(Work::Join(v1::JoinTask { pack_key, runs, ..Default::default() }))
    };
    assert_eq!((join(3).0.len(), join(3).1.len()), (0, 4));
    assert_eq!(join(100).0, ["packs/site/packs/"]);
    assert_eq!(join(100).1.len(), 1 + RUNS_NAMED_MAX);
}

#[test]
fn what_makes_a_medium_reads_packs_and_writes_the_medium() {
    let output = || "s3://media/factory/w11.wim".to_owned();
    let build_id = || "b1".to_owned();
    let medium = ["media/factory/w11.wim".to_owned(), "media/factory/.prestage/".to_owned()];
    let assemble = |split_bytes| {
        let (build_id, output) = (build_id(), output());
        touched(Work::Assemble(v1::AssembleTask {
            build_id,
            output,
            split_bytes,
            ..Default::default()
        }))
    };
    let (reads, writes) = assemble(0);
    assert_eq!(reads, ["packs/site/packs/"]);
    assert_eq!(writes[0], "packs/site/builds/b1/");
    assert_eq!(writes[1..], medium);
    assert_eq!(assemble(1).1[1], "media/factory/w11");
    let merge = v1::MergeTask { build_id: build_id(), output: output(), ..Default::default() };
    let (reads, writes) = touched(Work::Merge(merge));
    assert_eq!(reads, ["packs/site/packs/", "packs/site/builds/b1/"]);
    assert_eq!(writes, medium);
    let volumes = vec![v1::PlacedVolume { output: output(), ..Default::default() }];
    let publish = v1::PublishTask { build_id: build_id(), volumes, ..Default::default() };
    let (reads, writes) = touched(Work::Publish(publish));
    assert_eq!(reads.len(), 2);
    assert_eq!(writes, medium);
}

#[test]
fn folders_are_not_lent() {
    let work = Work::Encode(v1::EncodeTask { pack_key: KEY.into(), ..Default::default() });
    let task = v1::Task { objects_url: "/var/packs".into(), work: Some(work) };
    assert!(scope_of(&task).is_empty());
}
