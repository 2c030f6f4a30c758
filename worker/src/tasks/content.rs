//! Files of a content, from whichever distribution point has them right.

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use prestage_access::Access;
use prestage_configmgr::distribution_point::{
    ContentPlace, FileOfContent, RemoteFile, RemoteRanges, ShareRanges,
};
use prestage_proto::v1;
use prestage_shares::{NoThread, Shares};
use prestage_threads::AsyncSide;
use prestage_wim::{RangeRead, codec::FileToEncode};
use tokio::time::Instant;

use super::{
    PastReads, Tools,
    error::{SourceAttempt, TaskError},
};

/// Why one distribution point could not give a content.
pub enum SourceProblem {
    /// The bytes are wrong or missing there: another distribution point may have them.
    WrongContent(String),
    /// They could not be read now.
    Unreadable(String),
    /// The fault isn't the distribution point's.
    Fatal(TaskError),
}

impl SourceProblem {
    /// What could not be read, and why: unless this machine can't read anything.
    pub fn unreadable(what: &str, error: io::Error) -> Self {
        match error.downcast::<NoThread>() {
            Ok(error) => Self::Fatal(error.into()),
            Err(error) => Self::Unreadable(format!("{what}: {error}")),
        }
    }
}

impl From<TaskError> for SourceProblem {
    fn from(error: TaskError) -> Self {
        Self::Fatal(error)
    }
}

/// Tries `work` with one source after the other, until one succeeds: in order of preference, but for
/// those that did badly of late.
pub fn from_first_good<T>(
    content_id: &str,
    sources: &[v1::ContentSource],
    tools: &Tools,
    mut work: impl FnMut(&v1::ContentSource) -> Result<T, SourceProblem>,
) -> Result<T, TaskError> {
    let names: Vec<&str> = sources.iter().map(|s| s.distribution_point.as_str()).collect();
    let mut attempts = Vec::new();
    for number in tools.past_reads.order(&names, Instant::now()) {
        let (problem, wrong_content) = match work(&sources[number]) {
            Ok(done) => {
                tools.past_reads.gave(names[number], 0, Duration::ZERO);
                return Ok(done);
            }
            Err(SourceProblem::Fatal(error)) => return Err(error),
            Err(SourceProblem::WrongContent(problem)) => (problem, true),
            Err(SourceProblem::Unreadable(problem)) => (problem, false),
        };
        let distribution_point = names[number].to_owned();
        if !wrong_content {
            tools.past_reads.failed(names[number], Instant::now());
        }
        tracing::warn!(content_id, distribution_point, problem, "a distribution point failed");
        tools.remark(format!("{content_id} could not be had from {distribution_point}: {problem}"));
        attempts.push(SourceAttempt { distribution_point, problem, wrong_content });
    }
    Err(TaskError::Content { content_id: content_id.to_owned(), attempts })
}

/// A listed file where a source has it.
#[derive(Clone)]
pub struct FileAt {
    /// The place.
    pub place: ContentPlace,
    /// The file.
    pub file: FileOfContent,
    /// The distribution point's name, by which its limits are known.
    distribution_point: String,
    past_reads: PastReads,
    access: Access,
    shares: Shares,
    runtime: AsyncSide,
}

impl FileAt {
    /// A listed file of a source. A path is looked up at once: when it can't be found, another worker
    /// may still reach it, since a share may be missing only here.
    pub fn new(
        source: &v1::ContentSource,
        listed: &v1::ListedFile,
        tools: &Tools,
    ) -> Result<Self, SourceProblem> {
        let file = FileOfContent {
            path: listed.path.clone(),
            size: listed.size,
            sha256: sha256_of(listed)?,
        };
        let place = ContentPlace::new(&source.content_library);
        let at = Self {
            place,
            file,
            distribution_point: source.distribution_point.clone(),
            past_reads: tools.past_reads.clone(),
            access: tools.access.clone(),
            shares: tools.shares.clone(),
            runtime: tools.runtime.clone(),
        };
        if let Err(error) = tools.runtime.block_on(at.local_path()) {
            return Err(SourceProblem::unreadable(&at.file.path, error));
        }
        Ok(at)
    }

    /// Its path where it lies on a share; `None` over HTTP.
    async fn local_path(&self) -> io::Result<Option<PathBuf>> {
        if matches!(self.place, ContentPlace::Http(_)) {
            return Ok(None);
        }
        let (place, file) = (self.place.clone(), self.file.clone());
        let looked = self.shares.call(&self.distribution_point, move |_| place.local_path(&file));
        looked.await?
    }

    /// Opens `bytes` of it from `offset` on. Blocking.
    pub fn open(&self, offset: u64, bytes: u64) -> io::Result<Box<dyn Read + Send>> {
        let paced = match self.place {
            // Its server holds itself to limits, and to the floor.
            ContentPlace::Http(_) => {
                self.place.open(&self.file, offset, bytes, &self.access, self.runtime.handle())?
            }
            ContentPlace::Library(_) => {
                let opened = self.open_share(offset, bytes)?;
                let paced =
                    self.access.paced(&self.distribution_point, opened, self.runtime.handle());
                paced.map_err(io::Error::other)?
            }
        };
        Ok(self.past_reads.measured(&self.distribution_point, paced))
    }

    fn open_share(&self, offset: u64, bytes: u64) -> io::Result<Box<dyn Read + Send>> {
        let (place, file, access) = (self.place.clone(), self.file.clone(), self.access.clone());
        let runtime = self.runtime.handle().clone();
        let open = move || place.open(&file, offset, bytes, &access, &runtime);
        self.shares.open(&self.distribution_point, bytes, open)
    }

    /// It to be read by ranges.
    pub async fn ranges(&self) -> prestage_wim::Result<Arc<dyn RangeRead>> {
        let Some(path) = self.local_path().await? else {
            return Ok(Arc::new(RemoteRanges(self.remote()?)));
        };
        let file = self.shares.open_file(&self.distribution_point, path).await?;
        Ok(Arc::new(ShareRanges { file, name: self.file.path.clone() }))
    }

    /// It over HTTP.
    fn remote(&self) -> io::Result<RemoteFile> {
        self.place.remote(&self.file, &self.access)
    }
}

/// The file's SHA-256 as bytes.
pub fn sha256_of(file: &v1::ListedFile) -> Result<[u8; 32], TaskError> {
    file.sha256
        .as_ref()
        .try_into()
        .map_err(|_| TaskError::BadTask(format!("the SHA-256 of '{}' has not 32 bytes", file.path)))
}

/// A listed file for the encoder.
pub fn to_encode(
    source: &v1::ContentSource,
    listed: &v1::ListedFile,
    tools: &Tools,
) -> Result<FileToEncode, SourceProblem> {
    stretch(source, listed, 0, listed.size, tools)
}

/// A stretch of a listed file for the encoder: `bytes` from `offset` on.
pub fn stretch(
    source: &v1::ContentSource,
    listed: &v1::ListedFile,
    offset: u64,
    bytes: u64,
    tools: &Tools,
) -> Result<FileToEncode, SourceProblem> {
    let file = FileAt::new(source, listed, tools)?;
    Ok(FileToEncode { bytes, open: Box::new(move || file.open(offset, bytes)) })
}

/// What the wrong content of a file is called.
pub fn wrong_hash(file: &v1::ListedFile, actual: &[u8; 32]) -> SourceProblem {
    SourceProblem::WrongContent(format!(
        "'{}' has SHA-256 {}, but its listing says {}: the copy there is damaged",
        file.path,
        hex::encode_upper(actual),
        hex::encode_upper(&file.sha256)
    ))
}
