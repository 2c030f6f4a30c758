//! A WIM as it lies at one distribution point: in one file, or split into several.

use std::{
    io::{self, Read},
    sync::Arc,
};

use prestage_proto::v1;
use prestage_wim::{RangeRead, ReadAhead, Wim, WimError};

use super::{
    Tools,
    content::{FileAt, SourceProblem},
    error::TaskError,
};

/// One file of a WIM.
pub struct WimFile<'a> {
    at: FileAt,
    /// As the content's listing has it.
    pub listed: &'a v1::ListedFile,
}

impl WimFile<'_> {
    /// Opens it to be read from its beginning to its end.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, SourceProblem> {
        let opened = self.at.open(0, self.listed.size);
        opened.map_err(|error| unreadable(self.listed, error))
    }
}

/// An open WIM with its files.
pub struct SourceWim<'a> {
    /// The WIM, read by ranges.
    pub wim: Arc<Wim>,
    files: Vec<WimFile<'a>>,
}

impl<'a> SourceWim<'a> {
    /// Opens the WIM that `listed` files are.
    pub fn open(
        source: &v1::ContentSource,
        listed: &'a [v1::ListedFile],
        tools: &Tools,
    ) -> Result<Self, SourceProblem> {
        let first = listed.first();
        let first = first.ok_or_else(|| TaskError::BadTask("it names no WIM".into()))?;
        let locate = |listed| Ok(WimFile { at: FileAt::new(source, listed, tools)?, listed });
        let files: Vec<WimFile<'a>> =
            listed.iter().map(locate).collect::<Result<_, SourceProblem>>()?;
        let opened = tools.runtime.block_on(async {
            let mut sources = Vec::with_capacity(files.len());
            for file in &files {
                let ranges = ReadAhead::new(file.at.ranges().await?);
                sources.push(Arc::new(ranges) as Arc<dyn RangeRead>);
            }
            Wim::open_set(sources).await
        });
        let wim = Arc::new(opened.map_err(|error| wim_problem(first, error))?);
        Ok(Self { wim, files })
    }

    /// The file that is part `number` (from 1).
    pub fn part(&self, number: u16) -> Result<&WimFile<'a>, TaskError> {
        let part = self.wim.parts().get(usize::from(number.wrapping_sub(1)));
        let name = part.map(|part| part.source.name());
        let file = self.files.iter().find(|file| Some(&file.listed.path) == name.as_ref());
        file.ok_or_else(|| TaskError::BadTask(format!("it names no part {number} of the WIM")))
    }

    /// What went wrong with the WIM as a whole.
    pub fn problem(&self, error: prestage_wim::WimError) -> SourceProblem {
        wim_problem(self.files[0].listed, error)
    }
}

/// A file that could not be read: gone or changed, or out of reach for now.
pub fn unreadable(listed: &v1::ListedFile, error: io::Error) -> SourceProblem {
    let what = format!("'{}'", listed.path);
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            SourceProblem::WrongContent(format!("{what}: {error}"))
        }
        _ => SourceProblem::unreadable(&what, error),
    }
}

/// A damaged copy may be whole elsewhere; a WIM that can't be used is the same everywhere.
pub fn wim_problem(listed: &v1::ListedFile, error: prestage_wim::WimError) -> SourceProblem {
    use prestage_wim::WimError::{Malformed, Truncated, WrongHash};
    match error {
        WimError::Io(error) => unreadable(listed, error),
        Malformed { .. } | Truncated { .. } | WrongHash { .. } => {
            SourceProblem::WrongContent(format!("'{}' is damaged: {error}", listed.path))
        }
        error => TaskError::wim(listed.path.clone())(error).into(),
    }
}
