//! What a task may touch in the object store, and of the outputs: a pure function of the task.
//!
//! A policy has room for few names, so what a medium is put together from, hundreds of packs, is named by what
//! their keys have in common: those tasks may read all packs. None may write any but its own.

use prestage_proto::v1::{self, task::Work};
use prestage_store::{
    ObjectUrl,
    lent::{Area, Scope},
};

/// Runs that are named one by one; more of them are only read, and left to the collection of garbage.
const RUNS_NAMED_MAX: usize = 8;
/// Where open compositions are marked, beside their outputs.
const OPEN_FOLDER: &str = ".prestage/";

/// What a task may touch of what lies in S3.
pub fn scope_of(task: &v1::Task) -> Scope {
    let (Ok(root), Some(work)) = (ObjectUrl::parse(&task.objects_url), &task.work) else {
        return Scope::default();
    };
    let mut named = Named { root, scope: Scope::default() };
    named.add(work);
    named.scope
}

struct Named {
    root: ObjectUrl,
    scope: Scope,
}

impl Named {
    fn add(&mut self, work: &Work) {
        match work {
            Work::Encode(v1::EncodeTask { pack_key, .. })
            | Work::Splice(v1::SpliceTask { pack_key, .. })
            | Work::Boot(v1::BootTask { pack_key, .. }) => self.write_pack(pack_key),
            Work::EncodeRun(task) => {
                self.read(&pack(&task.pack_key));
                if let Some(run) = &task.run {
                    self.write_pack(&run.run_key);
                }
            }
            Work::Join(task) => {
                self.write_pack(&task.pack_key);
                if task.runs.len() > RUNS_NAMED_MAX {
                    self.read("packs/");
                }
                for run in task.runs.iter().take(RUNS_NAMED_MAX) {
                    self.write_pack(&run.run_key);
                }
            }
            Work::Verify(task) => {
                if let Some(encode) = &task.encode {
                    self.read(&pack(&encode.pack_key));
                }
            }
            Work::Assemble(task) => {
                self.read("packs/");
                self.write(&format!("builds/{}/", task.build_id));
                self.write_output(&task.output, task.split_bytes > 0);
            }
            Work::Merge(task) => {
                self.read("packs/");
                self.read(&format!("builds/{}/", task.build_id));
                self.write_output(&task.output, false);
            }
            Work::Publish(task) => {
                self.read("packs/");
                self.read(&format!("builds/{}/", task.build_id));
                if let Some(first) = task.volumes.first() {
                    self.write_output(&first.output, task.volumes.len() > 1);
                }
            }
        }
    }

    fn read(&mut self, key: &str) {
        self.scope.reads.extend(Area::below(&self.root.join(key)));
    }

    fn write(&mut self, key: &str) {
        self.scope.writes.extend(Area::below(&self.root.join(key)));
    }

    fn write_pack(&mut self, key: &str) {
        self.write(&pack(key));
    }

    /// A medium, what lies beside it under its name, and the marks of its open composition. A medium of
    /// several volumes has a name for each, which begin alike.
    fn write_output(&mut self, output: &str, split: bool) {
        let Ok(output) = ObjectUrl::parse(output) else {
            return;
        };
        let Ok(folder) = output.parent() else {
            return;
        };
        let mut medium = Area::below(&output);
        if split && let Some(medium) = &mut medium {
            let stem = medium.prefix.rfind('.').unwrap_or(medium.prefix.len());
            medium.prefix.truncate(stem);
        }
        self.scope.writes.extend(medium);
        self.scope.writes.extend(Area::below(&folder.join(OPEN_FOLDER)));
    }
}

/// What the names of a pack and of its index begin with.
fn pack(key: &str) -> String {
    format!("packs/{}/{key}.", key.get(..2).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use prestage_store::lent::Area;

    use super::*;

    const KEY: &str = "ab00";

    fn touched(work: Work) -> (Vec<String>, Vec<String>) {
        let task = v1::Task { objects_url: "s3://packs/site".into(), work: Some(work) };
        let scope = scope_of(&task);
        assert!(scope.policy().to_string().len() <= 2048, "{scope:?}");
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
}
