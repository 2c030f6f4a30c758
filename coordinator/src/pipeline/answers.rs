//! Whether a result answers its task: a worker brings what it was asked for, and nothing else.

use prestage_proto::v1::{self, task::Work, task_result};
use prestage_store::{ObjectUrl, UploadToken};

/// A result is of other work than its task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker brought {what}, which is not what its task asked for")]
pub struct NotAsked {
    what: String,
}

/// Checks a result against its task. What it claims of bytes is checked by those who read them.
pub fn check_answer(task: &v1::Task, result: &v1::TaskResult) -> Result<(), NotAsked> {
    let other = |what: &str| Err(NotAsked { what: what.to_owned() });
    // No worker takes a task without work.
    let Some(work) = &task.work else {
        return Ok(());
    };
    let Some(result) = &result.work else {
        return other("nothing");
    };
    match (work, result) {
        (Work::Encode(v1::EncodeTask { pack_key, .. }), task_result::Work::Pack(pack))
        | (Work::Join(v1::JoinTask { pack_key, .. }), task_result::Work::Pack(pack))
        | (Work::Splice(v1::SpliceTask { pack_key, .. }), task_result::Work::Pack(pack))
        | (Work::Boot(v1::BootTask { pack_key, .. }), task_result::Work::Pack(pack)) => {
            same(pack_key, &pack.pack_key, "another pack")
        }
        (Work::EncodeRun(task), task_result::Work::Run(run)) => {
            let asked = task.run.as_ref().map(|run| run.run_key.as_str()).unwrap_or_default();
            same(asked, &run.run_key, "another run")
        }
        (Work::Verify(task), task_result::Work::Verify(verified)) => {
            let asked = task.encode.as_ref().map(|task| task.pack_key.as_str());
            let what = "a word on another pack";
            same(asked.unwrap_or_default(), &verified.pack_key, what)?;
            let seen = verified.seen.as_ref().map_or(&verified.pack_key, |seen| &seen.pack_key);
            same(&verified.pack_key, seen, what)
        }
        (Work::Assemble(task), task_result::Work::Assemble(assembled)) => {
            check_volumes(task, assembled)
        }
        (Work::Merge(task), task_result::Work::Merge(merged)) => check_parts(task, merged),
        (Work::Publish(task), task_result::Work::Publish(published)) => {
            let asked = task.volumes.first().map(|volume| volume.output.as_str());
            same(asked.unwrap_or_default(), &published.output, "another medium")
        }
        _ => other("a result of another kind"),
    }
}

fn same(asked: &str, brought: &str, what: &str) -> Result<(), NotAsked> {
    if asked == brought { Ok(()) } else { Err(NotAsked { what: what.to_owned() }) }
}

/// The volumes are the output and those that are named after it, in their order, and their compositions go
/// there.
fn check_volumes(task: &v1::AssembleTask, assembled: &v1::AssembleResult) -> Result<(), NotAsked> {
    let elsewhere = || NotAsked { what: "a medium for another place".into() };
    let asked = ObjectUrl::parse(&task.output).map_err(|_| elsewhere())?;
    let first = assembled.volumes.first().ok_or_else(elsewhere)?;
    same(&task.output, &first.output, "a medium for another place")?;
    if task.split_bytes == 0 && assembled.volumes.len() > 1 {
        return Err(elsewhere());
    }
    for (number, volume) in (1..).zip(&assembled.volumes) {
        let output = if number == 1 { Ok(asked.clone()) } else { asked.volume(number) };
        let output = output.map_err(|_| elsewhere())?;
        let goes_to = UploadToken::from(volume.upload.clone()).output().ok();
        let is_there = goes_to.as_ref() == Some(&output);
        if ObjectUrl::parse(&volume.output).as_ref() != Ok(&output) || !is_there {
            return Err(elsewhere());
        }
        check_ranges(&volume.parts)?;
    }
    Ok(())
}

/// Ranges of parts follow on one another: merges are made of them as they are.
fn check_ranges(ranges: &[v1::PartRange]) -> Result<(), NotAsked> {
    let is_range = |range: &v1::PartRange| range.first <= range.last;
    let follows = |two: &[v1::PartRange]| two[0].last.checked_add(1) == Some(two[1].first);
    if ranges.iter().all(is_range) && ranges.windows(2).all(follows) {
        return Ok(());
    }
    Err(NotAsked { what: "a medium whose parts don't follow on one another".into() })
}

/// All parts of the range, each once.
fn check_parts(task: &v1::MergeTask, merged: &v1::MergeResult) -> Result<(), NotAsked> {
    let brought = merged.parts.iter().map(|placed| placed.part);
    if merged.volume == task.volume && brought.eq(task.first..=task.last) {
        return Ok(());
    }
    Err(NotAsked { what: "other parts of the medium".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(key: &str) -> task_result::Work {
        task_result::Work::Pack(v1::PackResult { pack_key: key.into(), ..Default::default() })
    }

    fn parts(volume: u32, numbers: &[u32]) -> task_result::Work {
        let part = |&part: &u32| v1::PlacedPart { part, receipt: "r".into() };
        let parts = numbers.iter().map(part).collect();
        task_result::Work::Merge(v1::MergeResult { parts, volume, ..Default::default() })
    }

    fn run(key: &str) -> task_result::Work {
        task_result::Work::Run(v1::RunResult { run_key: key.into() })
    }

    fn fits(work: Work, result: task_result::Work) -> bool {
        let task = v1::Task { objects_url: String::new(), work: Some(work) };
        let result = v1::TaskResult { work: Some(result), ..Default::default() };
        check_answer(&task, &result).is_ok()
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let encode = || Work::Encode(v1::EncodeTask { pack_key: "a".into(), ..Default::default() });
        assert!(fits(encode(), pack("a")));
        assert!(!fits(encode(), pack("b")));
        assert!(!fits(encode(), run("a")));
        let splice = || Work::Splice(v1::SpliceTask { pack_key: "a".into(), ..Default::default() });
        assert!(fits(splice(), pack("a")) && !fits(splice(), pack("b")));
        let boot = || Work::Boot(v1::BootTask { pack_key: "a".into(), ..Default::default() });
        assert!(fits(boot(), pack("a")) && !fits(boot(), pack("b")));
        let join = || Work::Join(v1::JoinTask { pack_key: "a".into(), ..Default::default() });
        assert!(fits(join(), pack("a")) && !fits(join(), pack("b")));
        let a_run = || {
            let run = Some(v1::FileRun { run_key: "r".into(), ..Default::default() });
            Work::EncodeRun(v1::EncodeRunTask { run, ..Default::default() })
        };
        assert!(fits(a_run(), run("r")) && !fits(a_run(), run("s")));
        let nothing = v1::TaskResult::default();
        let task = v1::Task { objects_url: String::new(), work: Some(encode()) };
        assert!(check_answer(&task, &nothing).is_err());
    }

    #[test]
    fn parts_are_those_of_the_task_each_once() {
        let merge =
            || Work::Merge(v1::MergeTask { first: 3, last: 5, volume: 1, ..Default::default() });
        assert!(fits(merge(), parts(1, &[3, 4, 5])));
        for (volume, numbers) in
            [(2, &[3, 4, 5][..]), (1, &[3, 4]), (1, &[3, 4, 4, 5]), (1, &[3, 4, 5, 6]), (1, &[])]
        {
            assert!(!fits(merge(), parts(volume, numbers)), "{volume} {numbers:?}");
        }
    }

    #[test]
    fn ranges_follow_on_one_another() {
        let range = |&(first, last): &(u32, u32)| v1::PartRange { first, last, bytes: 1 };
        let check = |ranges: &[(u32, u32)]| {
            check_ranges(&ranges.iter().map(range).collect::<Vec<_>>()).is_ok()
        };
        assert!(check(&[(0, 3), (4, 4), (5, 9)]) && check(&[]));
        assert!(!check(&[(3, 0)]) && !check(&[(0, 3), (3, 5)]) && !check(&[(0, 3), (5, 6)]));
        assert!(!check(&[(0, u32::MAX), (0, 1)]));
    }

    #[test]
    fn volumes_have_the_names_that_follow_from_the_output() {
        let volume = |output: &str| {
            let bucket = output.strip_prefix("s3://media/").unwrap();
            let id = "0123456789abcdef0123456789abcdef";
            let upload = format!(
                r#"{{"kind":"cloud","cloud":"s3","bucket":"media","key":"{bucket}","total":1,"id":"{id}"}}"#
            );
            v1::AssembledVolume { output: output.into(), upload, ..Default::default() }
        };
        let brings = |split_bytes, outputs: &[&str]| {
            let output = outputs[0].to_owned();
            let task = v1::AssembleTask { output, split_bytes, ..Default::default() };
            let volumes = outputs.iter().map(|output| volume(output)).collect();
            let assembled =
                task_result::Work::Assemble(v1::AssembleResult { volumes, packs: Vec::new() });
            fits(Work::Assemble(task), assembled)
        };
        let names = ["s3://media/a/w.swm", "s3://media/a/w2.swm", "s3://media/a/w3.swm"];
        assert!(brings(1, &names[..1]) && brings(1, &names));
        assert!(brings(0, &["s3://media/a/w.wim"]) && !brings(0, &names));
        for other in ["s3://media/a/x.swm", "s3://media/a/w3.swm", "s3://media/a/w.swm"] {
            assert!(!brings(1, &[names[0], other]), "{other}");
        }
        let mut assembled =
            v1::AssembleResult { volumes: names.map(volume).into(), packs: Vec::new() };
        assembled.volumes[1].upload = volume("s3://media/a/x.swm").upload;
        let output = names[0].to_owned();
        let task = v1::AssembleTask { output, split_bytes: 1, ..Default::default() };
        assert!(check_volumes(&task, &assembled).is_err(), "its composition goes elsewhere");
    }

    #[test]
    fn a_medium_goes_where_it_was_asked_to_go() {
        let task = || {
            let output = "/media/w11.wim".to_owned();
            Work::Assemble(v1::AssembleTask { output, ..Default::default() })
        };
        // No token of a composition leads there.
        let volume = v1::AssembledVolume {
            output: "/media/w11.wim".into(),
            upload: "nonsense".into(),
            ..Default::default()
        };
        let assembled = |volumes| {
            task_result::Work::Assemble(v1::AssembleResult { volumes, packs: Vec::new() })
        };
        assert!(!fits(task(), assembled(vec![volume])));
        assert!(!fits(task(), assembled(Vec::new())));
        let publish = || {
            let output = "/media/w11.wim".to_owned();
            let volumes = vec![v1::PlacedVolume { output, ..Default::default() }];
            Work::Publish(v1::PublishTask { volumes, ..Default::default() })
        };
        let published = |output: &str| {
            task_result::Work::Publish(v1::PublishResult { output: output.into(), bytes: 1 })
        };
        assert!(fits(publish(), published("/media/w11.wim")));
        assert!(!fits(publish(), published("/media/w10.wim")));
    }
}
