//! The tasks that follow from results: merges from the assembly, publication from the merges.

use std::collections::BTreeMap;

use prestage_proto::v1::{self, task::Work, task_result};

use super::{
    MediaPipeline, NewTask, PipelineError,
    manifest::Medium,
    report::{ContentBytes, report_json},
    seen::{check_packs, check_seen},
};
use crate::{plan::BuildPlan, records::BuildRecord};

/// What follows from a finished task.
#[derive(Debug, Default)]
pub struct FollowUp {
    /// Tasks to be added.
    pub tasks: Vec<NewTask>,
    /// What was made, when that was the last task.
    pub report_json: Option<Vec<u8>>,
}

/// Results of a build's finished tasks, by task id.
pub type Results<'a> = BTreeMap<&'a str, &'a v1::TaskResult>;

impl MediaPipeline {
    /// What follows from `task_id`, whose result is among `results`. A pure function: asked twice,
    /// it gives the same tasks.
    pub fn follow_up(
        &self,
        build: &BuildRecord,
        task_id: &str,
        results: &Results<'_>,
    ) -> Result<FollowUp, PipelineError> {
        let wrong = || PipelineError::Result { task_id: task_id.to_owned() };
        let result = results.get(task_id).and_then(|result| result.work.as_ref());
        match result {
            Some(task_result::Work::Pack(pack)) if !pack.difference.is_empty() => {
                let (pack_key, difference) = (&pack.pack_key, &pack.difference);
                Err(poisoned(build, pack_key, difference, "", worker_of(task_id, results)))
            }
            Some(task_result::Work::Pack(_) | task_result::Work::Run(_)) => Ok(FollowUp::default()),
            Some(task_result::Work::Assemble(assembled)) => {
                check_packs(assembled, results)?;
                Ok(FollowUp { tasks: self.merges(build, assembled), report_json: None })
            }
            Some(task_result::Work::Merge(_)) => self.publication(build, results),
            Some(task_result::Work::Publish(published)) => {
                let report_json = Some(report(build, results, published)?);
                Ok(FollowUp { tasks: Vec::new(), report_json })
            }
            Some(task_result::Work::Verify(verified)) => {
                second_opinion(build, task_id, verified, results)
            }
            None => Err(wrong()),
        }
    }

    /// The merges of all volumes, numbered throughout.
    fn merges(&self, build: &BuildRecord, assembled: &v1::AssembleResult) -> Vec<NewTask> {
        let count: usize = assembled.volumes.iter().map(|volume| volume.parts.len()).sum();
        let volumes = (1..).zip(&assembled.volumes);
        let merges = volumes.flat_map(|(number, volume)| {
            volume.parts.iter().map(move |range| v1::MergeTask {
                build_id: build.build_id.clone(),
                volume: number,
                upload: volume.upload.clone(),
                first: range.first,
                last: range.last,
                output: volume.output.clone(),
            })
        });
        let bytes = assembled.volumes.iter().flat_map(|volume| &volume.parts);
        let bytes = bytes.map(|range| range.bytes);
        let merge = |(number, (merge, bytes)): (usize, (v1::MergeTask, u64))| {
            let label = format!("merge {} of {count}", number + 1);
            self.task(format!("merge-{number:05}"), "merge", label, Work::Merge(merge), bytes)
        };
        merges.zip(bytes).enumerate().map(merge).collect()
    }

    /// The publish task, once every merge is there.
    fn publication(
        &self,
        build: &BuildRecord,
        results: &Results<'_>,
    ) -> Result<FollowUp, PipelineError> {
        let Some(assembled) = assembled(results) else {
            return Ok(FollowUp::default());
        };
        let volumes: Option<Vec<_>> = (1..)
            .zip(&assembled.volumes)
            .map(|(number, volume)| placed_volume(number, volume, results))
            .collect();
        let Some(volumes) = volumes else {
            return Ok(FollowUp::default());
        };
        let plan = BuildPlan::parse(&build.plan_json)?;
        let work = Work::Publish(v1::PublishTask {
            build_id: build.build_id.clone(),
            volumes,
            sidecars: self.sidecars(&plan, &build.plan_json, assembled)?,
        });
        let label = "verify and publish".to_owned();
        let task = self.task("publish".into(), "publish", label, work, 0);
        Ok(FollowUp { tasks: vec![task], report_json: None })
    }

    fn task(
        &self,
        task_id: String,
        kind: &str,
        label: String,
        work: Work,
        bytes_total: u64,
    ) -> NewTask {
        NewTask {
            task_id,
            kind: kind.into(),
            label,
            work_key: String::new(),
            payload: v1::Task { objects_url: self.objects.root().to_string(), work: Some(work) },
            deps: Vec::new(),
            bytes_total,
            result: None,
            generation: 0,
        }
    }
}

/// Nothing follows when both workers have made the same; nothing ever, when they have not.
fn second_opinion(
    build: &BuildRecord,
    task_id: &str,
    verified: &v1::VerifyResult,
    results: &Results<'_>,
) -> Result<FollowUp, PipelineError> {
    if verified.difference.is_empty() {
        if let Some(seen) = &verified.seen {
            check_seen(seen, results)?;
        }
        return Ok(FollowUp::default());
    }
    let made_by = worker_of(&task_id.replacen("verify", "encode", 1), results);
    let verified_by = worker_of(task_id, results);
    Err(poisoned(build, &verified.pack_key, &verified.difference, made_by, verified_by))
}

fn worker_of<'a>(task_id: &str, results: &Results<'a>) -> &'a str {
    results.get(task_id).map_or("", |result| &result.worker)
}

/// A worker did not make what lies there. Whoever knows of more that may have made it says so.
fn poisoned(
    build: &BuildRecord,
    pack_key: &str,
    difference: &str,
    made_by: &str,
    verified_by: &str,
) -> PipelineError {
    PipelineError::Poisoned {
        label: build.name.clone(),
        pack_key: pack_key.to_owned(),
        made_by: [made_by].into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        verified_by: verified_by.to_owned(),
        difference: difference.to_owned(),
    }
}

/// The assembly's result, if it is there.
pub fn assembled<'a>(results: &Results<'a>) -> Option<&'a v1::AssembleResult> {
    results.values().find_map(|result| match &result.work {
        Some(task_result::Work::Assemble(assembled)) => Some(assembled),
        _ => None,
    })
}

/// A volume (from 1) with its placed parts, once all are there.
fn placed_volume(
    number: u32,
    volume: &v1::AssembledVolume,
    results: &Results<'_>,
) -> Option<v1::PlacedVolume> {
    let merges = results.values().filter_map(|result| match &result.work {
        Some(task_result::Work::Merge(merge)) if merge.volume == number => Some(&merge.parts),
        _ => None,
    });
    let mut parts: Vec<v1::PlacedPart> = merges.flatten().cloned().collect();
    let needed: u64 =
        volume.parts.iter().map(|range| u64::from(range.last - range.first) + 1).sum();
    parts.sort_by_key(|placed| placed.part);
    (parts.len() as u64 >= needed).then(|| v1::PlacedVolume {
        output: volume.output.clone(),
        upload: volume.upload.clone(),
        parts,
    })
}

fn report(
    build: &BuildRecord,
    results: &Results<'_>,
    published: &v1::PublishResult,
) -> Result<Vec<u8>, PipelineError> {
    let mut content = ContentBytes::default();
    for result in results.values() {
        if let Some(task_result::Work::Pack(pack)) = &result.work {
            let sum = if result.reused { &mut content.reused } else { &mut content.made };
            *sum += pack.content_bytes;
            content.decompressed_files += pack.file_resources_decompressed;
        }
    }
    let medium = assembled(results).map(Medium::new).unwrap_or_default();
    let plan = BuildPlan::parse(&build.plan_json)?;
    report_json(&plan, &published.output, medium, content)
}
