//! Files of a content, from whichever distribution point has them right.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use prestage_configmgr::content_library;
use prestage_proto::v1;
use prestage_wim::codec::FileToEncode;

use super::error::{SourceAttempt, TaskError};

/// Why one distribution point could not give a content.
pub enum SourceProblem {
    /// The bytes are wrong or missing there: another distribution point may have them.
    WrongContent(String),
    /// They could not be read now.
    Unreadable(String),
    /// The fault isn't the distribution point's.
    Fatal(TaskError),
}

impl From<TaskError> for SourceProblem {
    fn from(error: TaskError) -> Self {
        Self::Fatal(error)
    }
}

/// Tries `work` with each source in order of preference, until one succeeds.
pub fn from_first_good<T>(
    content_id: &str,
    sources: &[v1::ContentSource],
    mut work: impl FnMut(&v1::ContentSource) -> Result<T, SourceProblem>,
) -> Result<T, TaskError> {
    let mut attempts = Vec::new();
    for source in sources {
        let (problem, wrong_content) = match work(source) {
            Ok(done) => return Ok(done),
            Err(SourceProblem::Fatal(error)) => return Err(error),
            Err(SourceProblem::WrongContent(problem)) => (problem, true),
            Err(SourceProblem::Unreadable(problem)) => (problem, false),
        };
        let distribution_point = source.distribution_point.clone();
        tracing::warn!(content_id, distribution_point, problem, "a distribution point failed");
        attempts.push(SourceAttempt { distribution_point, problem, wrong_content });
    }
    Err(TaskError::Content { content_id: content_id.to_owned(), attempts })
}

/// Where the bytes of a listed file lie in a source's content library. When they can't be found,
/// another worker may still reach them: a share may be missing only here.
pub fn locate(source: &v1::ContentSource, file: &v1::ListedFile) -> Result<PathBuf, SourceProblem> {
    let library = Path::new(&source.content_library);
    let sha256 = sha256_of(file)?;
    content_library::file_path(library, &sha256)
        .map_err(|error| SourceProblem::Unreadable(format!("{}: {error}", file.path)))
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
    file: &v1::ListedFile,
) -> Result<FileToEncode, SourceProblem> {
    let path = locate(source, file)?;
    let open = move || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(File::open(&path)?)) };
    Ok(FileToEncode { bytes: file.size, open: Box::new(open) })
}

/// A stretch of a listed file for the encoder: `bytes` from `offset` on.
pub fn stretch(
    source: &v1::ContentSource,
    file: &v1::ListedFile,
    offset: u64,
    bytes: u64,
) -> Result<FileToEncode, SourceProblem> {
    let path = locate(source, file)?;
    let open = move || -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file.take(bytes)))
    };
    Ok(FileToEncode { bytes, open: Box::new(open) })
}

/// What the wrong content of a file is called.
pub fn wrong_hash(file: &v1::ListedFile, actual: &[u8; 32]) -> SourceProblem {
    SourceProblem::WrongContent(format!(
        "'{}' has SHA-256 {}, but its listing says {}: the copy in FileLib is damaged",
        file.path,
        hex::encode_upper(actual),
        hex::encode_upper(&file.sha256)
    ))
}
