//! What a worker does for a medium: one file a kind of task.

mod assemble;
mod boot;
mod budgets;
mod content;
mod encode;
mod error;
mod glue;
mod graft;
mod inline;
mod join;
mod medium_contents;
mod merge;
mod owners;
mod past_reads;
mod publish;
mod reencode;
mod run;
mod seen;
mod sink;
mod source_wim;
mod splice;
mod stale;
mod verify;
mod volumes;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use prestage_access::Access;
use prestage_proto::v1::{self, task::Work, task_result};
use prestage_shares::Shares;
use prestage_store::{
    Composer, ObjectUrl, Objects, PackKey, StoreOptions,
    keys::KeyError,
    pack::{PackIndex, Sha256Digest},
};
use prestage_threads::AsyncSide;
use prestage_wim::codec::Progress;
use rayon::ThreadPool;

use budgets::windows_in;
pub use error::{SourceAttempt, TaskError};
pub use past_reads::PastReads;

use crate::{
    disk::{Disk, Room},
    memory::Memory,
};
use encode::MadePack;

/// What tasks work with.
#[derive(Clone)]
pub struct Tools {
    /// The store of packs.
    pub objects: Objects,
    /// Composes media.
    pub composer: Arc<Composer>,
    /// How stores are reached, and with what credentials.
    pub store_options: StoreOptions,
    /// Where packs are written before they go to a store that is no folder.
    pub staging: PathBuf,
    /// The room there.
    pub disk: Disk,
    /// What the present task has of it: one room at a time, so that tasks never wait for each other.
    pub room: Arc<Mutex<Option<Room>>>,
    /// Memory for content, which all tasks of the worker share.
    pub memory: Memory,
    /// Who the worker is to distribution points.
    pub access: Access,
    /// Calls into mounted shares.
    pub shares: Shares,
    /// How reading from distribution points went.
    pub past_reads: PastReads,
    /// What people should know of the present task.
    pub remarks: Arc<Mutex<Vec<String>>>,
    /// Threads for encoding, shared by all tasks of the worker.
    pub pool: Arc<ThreadPool>,
    /// Of the present task.
    pub progress: Arc<Progress>,
    /// For the few small reads that blocking tasks make.
    pub runtime: AsyncSide,
}

impl Tools {
    /// Notes what people should know, though the task goes on.
    pub fn remark(&self, remark: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(remark);
    }

    /// Whether the task was given up.
    pub fn is_cancelled(&self) -> bool {
        self.progress.cancelled.load(Ordering::Relaxed)
    }

    /// Tells that `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.progress.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The kinds of task that this release knows: the coordinator gives it no others.
pub const KINDS: [&str; 9] =
    ["encode", "run", "join", "splice", "boot", "assemble", "merge", "publish", "verify"];

/// What kind a task is.
pub fn kind(task: &v1::Task) -> &'static str {
    match task.work {
        Some(Work::Encode(_)) => "encode",
        Some(Work::EncodeRun(_)) => "run",
        Some(Work::Join(_)) => "join",
        Some(Work::Splice(_)) => "splice",
        Some(Work::Boot(_)) => "boot",
        Some(Work::Assemble(_)) => "assemble",
        Some(Work::Merge(_)) => "merge",
        Some(Work::Publish(_)) => "publish",
        Some(Work::Verify(_)) => "verify",
        None => "unknown",
    }
}

/// Runs one task to its end.
pub async fn run(task: v1::Task, tools: Tools) -> Result<v1::TaskResult, TaskError> {
    let remarks = tools.remarks.clone();
    let done = work(task, tools).await?;
    let remarks = std::mem::take(&mut *remarks.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(v1::TaskResult { remarks, ..done })
}

async fn work(task: v1::Task, tools: Tools) -> Result<v1::TaskResult, TaskError> {
    let work = task.work.ok_or_else(|| TaskError::BadTask("it names no work".into()))?;
    match work {
        Work::Encode(task) => encode_pack(task, &tools).await,
        Work::EncodeRun(task) => make_run(task, &tools).await,
        Work::Join(task) => {
            let (key, runs) = (task.pack_key.clone(), task.runs.clone());
            let make = move |tools: &Tools| Ok((join::join(&task, tools)?, 0));
            let joined = make_pack(&key, &tools, make).await?;
            join::remove_runs(&runs, &tools).await;
            Ok(joined)
        }
        Work::Splice(task) => {
            let key = task.pack_key.clone();
            make_pack(&key, &tools, move |tools| {
                let spliced = splice::splice(&task, tools)?;
                Ok((spliced.made, spliced.file_resources_decompressed))
            })
            .await
        }
        Work::Boot(task) => {
            let key = task.pack_key.clone();
            make_pack(&key, &tools, move |tools| Ok((boot::boot(&task, tools)?, 0))).await
        }
        Work::Assemble(task) => {
            let assembled =
                off_thread(&tools, move |tools| assemble::assemble(&task, tools)).await?;
            Ok(result(task_result::Work::Assemble(assembled)))
        }
        Work::Merge(task) => {
            Ok(result(task_result::Work::Merge(merge::merge(&task, &tools).await?)))
        }
        Work::Publish(task) => {
            Ok(result(task_result::Work::Publish(publish::publish(&task, &tools).await?)))
        }
        Work::Verify(task) => {
            Ok(result(task_result::Work::Verify(verify::verify(task, &tools).await?)))
        }
    }
}

fn result(work: task_result::Work) -> v1::TaskResult {
    v1::TaskResult { work: Some(work), ..Default::default() }
}

/// Makes the pack of a content's files. Where second opinions are given, what is there already is not taken
/// on trust: nobody knows whose it is, and whoever can say that it is right may be asked about no other.
async fn encode_pack(task: v1::EncodeTask, tools: &Tools) -> Result<v1::TaskResult, TaskError> {
    let key = task.pack_key.clone();
    if task.compare_found
        && tools.objects.open_pack(&parse_key(&key)?).await?.is_some()
        && let Some(compared) = verify::compare(task.clone(), tools).await?
    {
        return Ok(compared_result(key, compared));
    }
    make_pack(&key, tools, move |tools| Ok((encode::encode(&task, tools)?, 0))).await
}

fn compared_result(pack_key: String, compared: verify::Compared) -> v1::TaskResult {
    let verify::Compared { pack_bytes, content_bytes, difference, seen } = compared;
    let pack = v1::PackResult {
        pack_key,
        pack_bytes,
        content_bytes,
        index_sha256: seen.unwrap_or_default().index_sha256,
        made: difference.is_empty(),
        difference,
        ..Default::default()
    };
    let work = Some(task_result::Work::Pack(pack));
    v1::TaskResult { bytes_read: content_bytes, work, ..Default::default() }
}

/// Makes and publishes a pack, unless it is there already.
async fn make_pack(
    key: &str,
    tools: &Tools,
    make: impl FnOnce(&Tools) -> Result<(MadePack, u64), TaskError> + Send + 'static,
) -> Result<v1::TaskResult, TaskError> {
    let pack_key = parse_key(key)?;
    if let Some(pack) = tools.objects.open_pack(&pack_key).await? {
        let index = pack.index();
        let content = index.resources().iter().map(|resource| resource.original_bytes).sum();
        let made = Made { pack_bytes: index.pack_bytes(), content_bytes: content, decompressed: 0 };
        return Ok(pack_result(key, &made, pack.seen().index_sha256, true));
    }
    let (made, decompressed) = off_thread(tools, make).await?;
    let (pack_bytes, content_bytes) = (made.pack.bytes(), made.bytes_read);
    let index = PackIndex::new(key, made.contents)?;
    let published = tools.publish(&pack_key, made.pack, &index).await?;
    let made = Made { pack_bytes, content_bytes, decompressed };
    Ok(pack_result(key, &made, published.index_sha256, false))
}

fn parse_key(key: &str) -> Result<PackKey, TaskError> {
    key.parse().map_err(|error: KeyError| TaskError::BadTask(error.to_string()))
}

/// Makes a run of a file, unless it is there or the file's pack is.
async fn make_run(task: v1::EncodeRunTask, tools: &Tools) -> Result<v1::TaskResult, TaskError> {
    let run_key = task.run.as_ref().map(|run| run.run_key.clone()).unwrap_or_default();
    let work = task_result::Work::Run(v1::RunResult { run_key: run_key.clone() });
    if tools.objects.open_pack(&parse_key(&task.pack_key)?).await?.is_some() {
        return Ok(v1::TaskResult { reused: true, ..result(work) });
    }
    let make = move |tools: &Tools| Ok((run::encode_run(&task, tools)?, 0));
    let made = make_pack(&run_key, tools, make).await?;
    Ok(v1::TaskResult { work: Some(work), ..made })
}

/// What a pack came to.
struct Made {
    pack_bytes: u64,
    content_bytes: u64,
    /// File resources of the OS image that were encoded anew.
    decompressed: u64,
}

fn pack_result(key: &str, made: &Made, index_sha256: Sha256Digest, reused: bool) -> v1::TaskResult {
    let &Made { pack_bytes, content_bytes, decompressed } = made;
    let pack = v1::PackResult {
        pack_key: key.to_owned(),
        pack_bytes,
        content_bytes,
        file_resources_decompressed: decompressed,
        index_sha256: index_sha256.to_vec().into(),
        made: !reused,
        difference: String::new(),
    };
    let (bytes_read, bytes_written) = if reused { (0, 0) } else { (content_bytes, pack_bytes) };
    let work = Some(task_result::Work::Pack(pack));
    v1::TaskResult { reused, bytes_read, bytes_written, work, ..Default::default() }
}

/// Runs blocking work away from the async threads.
async fn off_thread<T: Send + 'static>(
    tools: &Tools,
    work: impl FnOnce(&Tools) -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    let tools = tools.clone();
    let span = tracing::Span::current();
    let running = prestage_threads::off_thread(move || span.in_scope(|| work(&tools)));
    running.await.unwrap_or(Err(TaskError::Cancelled))
}

/// Opens the store that a task names.
pub async fn open_objects(url: &str, options: &StoreOptions) -> Result<Objects, TaskError> {
    let url = ObjectUrl::parse(url).map_err(|error| TaskError::BadTask(error.to_string()))?;
    Ok(Objects::open_with(&url, options).await?)
}
