//! The tasks that make a content's packs: one for each pack, or for each run of a large file.

use prestage_configmgr::content_library::ContentListing;
use prestage_proto::v1::{self, task::Work, task_result};
use prestage_store::PackKey;

use crate::plan::{PlannedCodec, PlannedContent, Run, Shard, to_wire};

use super::{
    NewTask, PipelineError,
    first_tasks::{Maker, codec_message, sources},
};

/// What the tasks of one shard have in common.
struct Shared<'a> {
    content: &'a PlannedContent,
    codec: &'a PlannedCodec,
    label: String,
    number: usize,
}

impl Maker<'_> {
    /// Adds the tasks of a content, and gives the keys of its packs.
    pub(super) async fn encode(
        &self,
        content: &PlannedContent,
        listing: &ContentListing,
        codec: &PlannedCodec,
        tasks: &mut Vec<NewTask>,
    ) -> Result<Vec<PackKey>, PipelineError> {
        let files: Vec<v1::ListedFile> = listing.files.iter().map(to_wire).collect();
        let shards = self.packs.shards(&files, self.run_bytes);
        let count = shards.len();
        let mut keys = Vec::with_capacity(count);
        for (number, shard) in (1..).zip(shards) {
            keys.push(shard.pack);
            // Two contents with the same files are one pack.
            let work_key = shard.pack.to_string();
            if tasks.iter().any(|task| task.work_key == work_key) {
                continue;
            }
            let part = if count > 1 { format!(" ({number} of {count})") } else { String::new() };
            let label = format!("{} '{}'{part}", content.content_id, content.name);
            let reused = self.reused(&shard.pack, shard.bytes).await?;
            let runs = match (&reused, self.shares_files) {
                (None, true) => shard.runs(self.run_bytes, codec.chunk_bytes),
                _ => Vec::new(),
            };
            let shared = Shared { content, codec, label, number: tasks.len() - 1 };
            if runs.is_empty() {
                let task = self.encode_alone(shared, shard, reused);
                let second = self.opinion.on(&task);
                tasks.push(task);
                tasks.extend(second);
            } else {
                self.encode_in_runs(&shared, &shard, &runs, tasks).await?;
            }
        }
        Ok(keys)
    }

    /// One task for a whole shard.
    fn encode_alone(
        &self,
        shared: Shared<'_>,
        shard: Shard,
        result: Option<v1::TaskResult>,
    ) -> NewTask {
        let work_key = shard.pack.to_string();
        let work = Work::Encode(v1::EncodeTask {
            pack_key: work_key.clone(),
            content_id: shared.content.content_id.clone(),
            sources: sources(shared.content),
            files: shard.files,
            codec: Some(codec_message(shared.codec)),
            compare_found: self.opinion.may_be_on(&shard.pack),
        });
        NewTask {
            task_id: format!("encode-{:05}", shared.number),
            kind: "encode".into(),
            label: shared.label,
            work_key,
            payload: self.task(work),
            deps: Vec::new(),
            bytes_total: shard.bytes,
            result,
            generation: 0,
        }
    }

    /// A task for each run of a large file, and the one that joins them.
    async fn encode_in_runs(
        &self,
        shared: &Shared<'_>,
        shard: &Shard,
        runs: &[Run],
        tasks: &mut Vec<NewTask>,
    ) -> Result<(), PipelineError> {
        let mut deps = Vec::with_capacity(runs.len());
        for (number, run) in (1..).zip(runs) {
            let task = self.encode_run(shared, shard, run, (number, runs.len())).await?;
            deps.push(task.task_id.clone());
            tasks.push(task);
        }
        let work_key = shard.pack.to_string();
        let work = Work::Join(v1::JoinTask {
            pack_key: work_key.clone(),
            content_id: shared.content.content_id.clone(),
            sources: sources(shared.content),
            file: shard.files.first().cloned(),
            codec: Some(codec_message(shared.codec)),
            runs: runs.iter().map(run_message).collect(),
        });
        tasks.push(NewTask {
            task_id: format!("join-{:05}", shared.number),
            kind: "join".into(),
            label: shared.label.clone(),
            work_key,
            payload: self.task(work),
            deps,
            bytes_total: shard.bytes,
            result: None,
            generation: 0,
        });
        Ok(())
    }

    async fn encode_run(
        &self,
        shared: &Shared<'_>,
        shard: &Shard,
        run: &Run,
        (number, count): (usize, usize),
    ) -> Result<NewTask, PipelineError> {
        let work = Work::EncodeRun(v1::EncodeRunTask {
            pack_key: shard.pack.to_string(),
            content_id: shared.content.content_id.clone(),
            sources: sources(shared.content),
            file: shard.files.first().cloned(),
            codec: Some(codec_message(shared.codec)),
            run: Some(run_message(run)),
        });
        let run_key = run.pack.to_string();
        let there = self.objects.open_pack(&run.pack).await?;
        let result = there.map(|_| v1::TaskResult {
            reused: true,
            work: Some(task_result::Work::Run(v1::RunResult { run_key: run_key.clone() })),
            ..Default::default()
        });
        Ok(NewTask {
            task_id: format!("run-{:05}-{number:05}", shared.number),
            kind: "run".into(),
            label: format!("{}, run {number} of {count}", shared.label),
            work_key: run_key,
            payload: self.task(work),
            deps: Vec::new(),
            bytes_total: run.bytes,
            result,
            generation: 0,
        })
    }
}

fn run_message(run: &Run) -> v1::FileRun {
    v1::FileRun { run_key: run.pack.to_string(), offset: run.offset, bytes: run.bytes }
}
