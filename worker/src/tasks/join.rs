//! Joining the runs of a large file into its pack. Blocking.
//!
//! The file is read once more, whole: this is where its SHA-256 is checked against the listing, and
//! where runs that were made from other bytes are found out. What is missing, damaged or wrong is
//! made here, from the source whose copy is right.

use prestage_proto::v1;
use prestage_store::{PackKey, pack::PackIndex};
use prestage_wim::{
    WimError,
    codec::{self, Codec, RunToJoin, WINDOW_MEMORY, WINDOWS},
};

use super::{
    Tools,
    content::{self, SourceProblem, sha256_of},
    encode::{MadePack, codec_of, encode_problem, facts, finish, resource},
    error::{SourceAttempt, TaskError},
    parse_key, run,
    sink::PackSink,
    windows_in,
};

/// How often runs are made again before the file is taken for one that keeps changing.
const ROUNDS: usize = 3;

/// What one reading of the file came to.
enum Joined {
    /// The pack.
    Made(Box<MadePack>),
    /// These runs (by number) are of no use; the source has the file right.
    Unusable(Vec<usize>, v1::ContentSource),
}

/// Joins a task's runs.
pub fn join(task: &v1::JoinTask, tools: &Tools) -> Result<MadePack, TaskError> {
    let mut sources = task.sources.clone();
    for _ in 0..ROUNDS {
        match join_from(task, &sources, tools)? {
            Joined::Made(made) => return Ok(*made),
            Joined::Unusable(runs, source) => {
                for run in runs.iter().map(|&number| &task.runs[number]) {
                    let (content_id, key) = (&task.content_id, &run.run_key);
                    tracing::warn!(
                        content_id,
                        run = key,
                        offset = run.offset,
                        bytes = run.bytes,
                        "a run was not made from the file's right bytes: it is made again"
                    );
                    remove_run(run, tools)?;
                }
                sources = vec![source];
            }
        }
    }
    let problem = "it gives other bytes each time it is read".to_owned();
    let name = |source: v1::ContentSource| source.distribution_point;
    let attempts = sources.into_iter().map(name).map(|distribution_point| SourceAttempt {
        distribution_point,
        problem: problem.clone(),
        wrong_content: false,
    });
    Err(TaskError::Content { content_id: task.content_id.clone(), attempts: attempts.collect() })
}

/// Removes the runs of a pack that is there. One that stays is a pack that no plan names, as is one
/// that a slow worker makes after this: garbage to be collected, and no more.
pub async fn remove_runs(runs: &[v1::FileRun], tools: &Tools) {
    for run in runs {
        if let Err(error) = delete(run, tools).await {
            tracing::warn!(run = run.run_key, %error, "a joined run could not be removed");
        }
    }
}

async fn delete(run: &v1::FileRun, tools: &Tools) -> Result<(), TaskError> {
    let key: PackKey = parse_key(&run.run_key)?;
    // Without its index it is not there for anybody.
    tools.objects.delete(&key.index()).await?;
    Ok(tools.objects.delete(&key.pack()).await?)
}

fn remove_run(run: &v1::FileRun, tools: &Tools) -> Result<(), TaskError> {
    tools.runtime.block_on(delete(run, tools))
}

/// One reading of the file, from the first of `sources` that has it right.
fn join_from(
    task: &v1::JoinTask,
    sources: &[v1::ContentSource],
    tools: &Tools,
) -> Result<Joined, TaskError> {
    let codec = codec_of(task.codec)?;
    let file = task.file.as_ref();
    let file = file.ok_or_else(|| TaskError::BadTask("it names no file".into()))?;
    content::from_first_good(&task.content_id, sources, tools, |source| {
        let runs = opened_runs(task, source, codec, tools)?;
        let whole = content::to_encode(source, file, tools)?;
        let mut sink = PackSink::new(tools.pack_writer(file.size)?);
        let memory = tools.memory(WINDOWS as u64 * WINDOW_MEMORY)?;
        let (pool, windows) = (&tools.pool, windows_in(memory.bytes()));
        let joined = codec::join(codec, whole, runs, pool, windows, &mut sink, &tools.progress);
        drop(memory);
        if let Err(WimError::Io(error)) = &joined
            && let Some(damaged) = run::damaged_run(error, &task.runs)
        {
            return Ok(Joined::Unusable(vec![damaged], source.clone()));
        }
        let joined = joined.map_err(|error| encode_problem(Some(file), error, tools))?;
        if sha256_of(file)? != joined.file.sha256 {
            return Err(content::wrong_hash(file, &joined.file.sha256));
        }
        if !joined.differing.is_empty() {
            return Ok(Joined::Unusable(joined.differing, source.clone()));
        }
        let facts = facts(&task.content_id, codec);
        let made = finish(sink, vec![resource(&joined.file)], facts)?;
        Ok(Joined::Made(Box::new(made)))
    })
}

/// All runs of the file; those that can't be read are made from `source`.
fn opened_runs(
    task: &v1::JoinTask,
    source: &v1::ContentSource,
    codec: Codec,
    tools: &Tools,
) -> Result<Vec<RunToJoin>, SourceProblem> {
    let mut runs = Vec::with_capacity(task.runs.len());
    for run in &task.runs {
        let opened = match run::open_run(run, codec, tools)? {
            Some(opened) => opened,
            None => make_run(task, run, source, codec, tools)?,
        };
        runs.push(opened);
    }
    Ok(runs)
}

fn make_run(
    task: &v1::JoinTask,
    run: &v1::FileRun,
    source: &v1::ContentSource,
    codec: Codec,
    tools: &Tools,
) -> Result<RunToJoin, SourceProblem> {
    remove_run(run, tools)?;
    let alone = v1::EncodeRunTask {
        pack_key: task.pack_key.clone(),
        content_id: task.content_id.clone(),
        sources: vec![source.clone()],
        file: task.file.clone(),
        codec: task.codec,
        run: Some(run.clone()),
    };
    let made = run::encode_run(&alone, tools)?;
    let key = parse_key(&run.run_key)?;
    let index = PackIndex::new(&run.run_key, made.contents).map_err(TaskError::from)?;
    tools.runtime.block_on(tools.publish(&key, made.pack, &index))?;
    let gone = || TaskError::BadTask("a run that was just made can't be read".into());
    Ok(run::open_run(run, codec, tools)?.ok_or_else(gone)?)
}
