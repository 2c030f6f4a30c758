//! Tests of what tasks may touch.

use prestage_store::lent::{Area, boundary, policy};

use super::*;

const KEY: &str = "ab00";

fn touched(work: Work) -> (Vec<String>, Vec<String>) {
    let task = v1::Task { objects_url: "s3://packs/site".into(), work: Some(work) };
    let scope = scope_of(&Borrower { task: &task, lease: "b1/t 1", packs: &[] });
    assert!(policy(&scope).is_ok(), "{scope:?}");
    fits_a_boundary(task);
    let shown = |areas: Vec<Area>| {
        areas.into_iter().map(|area| format!("{}/{}", area.bucket, area.prefix)).collect()
    };
    (shown(scope.reads), shown(scope.writes))
}

/// What is in S3 there, in Google.
fn fits_a_boundary(task: v1::Task) {
    let mut task = v1::Task { objects_url: "gs://packs/site".into(), ..task };
    let in_google = |output: &mut String| *output = output.replacen("s3://", "gs://", 1);
    match &mut task.work {
        Some(Work::Assemble(task)) => in_google(&mut task.output),
        Some(Work::Merge(task)) => in_google(&mut task.output),
        Some(Work::Publish(task)) => in_google(&mut task.volumes[0].output),
        _ => {}
    }
    let scope = scope_of(&Borrower { task: &task, lease: "b1/t 1", packs: &[] });
    let boundary = boundary(&scope).unwrap();
    let rules = boundary["accessBoundary"]["accessBoundaryRules"].as_array().unwrap();
    assert!(!rules.is_empty() && rules.len() <= 10);
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
    let of_run =
        v1::EncodeRunTask { pack_key: pack_key(), run: Some(run("cd11")), ..Default::default() };
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
    assert_eq!(join(100).1.len(), 1 + 8);
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
    let quarantine = "packs/site/quarantine/";
    assert_eq!(reads, ["packs/site/packs/", quarantine, "packs/site/builds/b1/"]);
    assert_eq!(writes, medium);
}

#[test]
fn folders_are_not_lent() {
    let work = Work::Encode(v1::EncodeTask { pack_key: KEY.into(), ..Default::default() });
    let task = v1::Task { objects_url: "/var/packs".into(), work: Some(work) };
    assert!(scope_of(&Borrower { task: &task, lease: "", packs: &[] }).is_empty());
}

/// What a task may touch where packs and media are in Azure: single objects.
fn touched_in_azure(work: Work, packs: &[PackKey]) -> (Vec<String>, Vec<String>) {
    let task = v1::Task { objects_url: "az://packs/site".into(), work: Some(work) };
    let scope = scope_of(&Borrower { task: &task, lease: "b1/t 1", packs });
    let shown = |areas: Vec<Area>| {
        areas.into_iter().map(|area| format!("{}/{}", area.bucket, area.prefix)).collect()
    };
    (shown(scope.reads), shown(scope.writes))
}

fn of_site(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("packs/site/{name}")).collect()
}

#[test]
fn in_azure_each_pack_is_named() {
    let pack_key = || KEY.to_owned();
    let own = of_site(&["packs/ab/ab00.pack", "packs/ab/ab00.index"]);
    let encode = v1::EncodeTask { pack_key: pack_key(), ..Default::default() };
    assert_eq!(touched_in_azure(Work::Encode(encode), &[]), (vec![], own.clone()));
    let runs = (0..100).map(|n| run(&format!("{n:02}{}", "f".repeat(62)))).collect();
    let join = v1::JoinTask { pack_key: pack_key(), runs, ..Default::default() };
    let (reads, writes) = touched_in_azure(Work::Join(join), &[]);
    assert_eq!((reads.len(), writes.len()), (0, 202));
    assert_eq!(writes[..2], own);
}

#[test]
fn in_azure_what_makes_a_medium_reads_its_packs_and_no_other() {
    let pack = PackKey::of(b"one");
    let packs = [format!("packs/site/{}", pack.pack()), format!("packs/site/{}", pack.index())];
    let (build_id, output) = ("b1".to_owned(), "az://media/f/w11.wim".to_owned());
    let assemble = v1::AssembleTask {
        build_id: build_id.clone(),
        output: output.clone(),
        ..Default::default()
    };
    let (reads, writes) = touched_in_azure(Work::Assemble(assemble.clone()), &[pack]);
    assert_eq!(reads[..2], packs);
    assert_eq!(reads[2..], of_site(&["builds/b1/placements"]));
    assert_eq!(writes[..2], of_site(&["builds/b1/glue.1", "builds/b1/recipe.1"]));
    let marker = UploadToken::marker_under("b1/t 1", &ObjectUrl::parse(&output).unwrap());
    let marker = marker.unwrap().to_string();
    assert_eq!(writes[2..], [marker.strip_prefix("az://").unwrap()]);
    let split = v1::AssembleTask { split_bytes: 1, ..assemble };
    let (_, writes) = touched_in_azure(Work::Assemble(split), &[]);
    assert_eq!(writes.len(), 3 * VOLUMES_NAMED_MAX as usize);

    let id = "0123456789abcdef0123456789abcdef";
    let upload = |folder: &str| {
        format!(
            r#"{{"kind":"cloud","cloud":"azure","bucket":"media","key":"{folder}/w11.wim","total":1,"id":"{id}"}}"#
        )
    };
    let own = of_site(&["builds/b1/glue.1", "builds/b1/recipe.1"]);
    let mark = format!("media/f/.prestage/{id}.open");
    let merge = |folder: &str| {
        let (build_id, output, upload) = (build_id.clone(), output.clone(), upload(folder));
        let merge = v1::MergeTask { build_id, output, upload, volume: 1, ..Default::default() };
        touched_in_azure(Work::Merge(merge), &[pack])
    };
    let (reads, writes) = merge("f");
    assert_eq!(reads[..2], packs);
    assert_eq!(reads[2..4], own);
    assert_eq!(reads[4..], [&*mark]);
    assert_eq!(writes, ["media/f/w11.wim"]);
    assert_eq!(merge("elsewhere").0.len(), 4, "a token names a mark elsewhere");

    let volumes = vec![v1::PlacedVolume { output, upload: upload("f"), ..Default::default() }];
    let sidecars = vec![v1::Sidecar { suffix: ".manifest.json".into(), ..Default::default() }];
    let publish = v1::PublishTask { build_id, volumes, sidecars };
    let (reads, writes) = touched_in_azure(Work::Publish(publish), &[pack]);
    assert_eq!(reads[2..3], of_site(&[&format!("quarantine/{pack}")]));
    assert_eq!(reads[3..], own);
    assert_eq!(writes, ["media/f/w11.wim", "media/f/w11.wim.manifest.json", &*mark]);
}

#[test]
fn packs_are_asked_for_where_each_is_named() {
    let wanted = |objects_url: &str, work: Work| {
        packs_wanted(&v1::Task { objects_url: objects_url.into(), work: Some(work) })
    };
    let merge = || Work::Merge(v1::MergeTask { build_id: "b1".into(), ..Default::default() });
    assert_eq!(wanted("az://packs", merge()), Some(BuildId::new("b1").unwrap()));
    assert_eq!(wanted("s3://packs", merge()), None);
    assert_eq!(wanted("az://packs", Work::Encode(v1::EncodeTask::default())), None);
}
