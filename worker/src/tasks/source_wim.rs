//! A WIM as it lies at one distribution point: in one file, or split into several.

use std::{fs::File, path::PathBuf, sync::Arc};

use object_store::{local::LocalFileSystem, path::Path as StorePath};
use prestage_proto::v1;
use prestage_wim::{ObjectSource, RangeRead, ReadAhead, Wim};

use super::{
    Tools,
    content::{self, SourceProblem},
    error::TaskError,
};

/// One file of a WIM.
pub struct WimFile<'a> {
    path: PathBuf,
    /// As the content's listing has it.
    pub listed: &'a v1::ListedFile,
}

impl WimFile<'_> {
    /// Opens it to be read from its beginning to its end.
    pub fn open(&self) -> Result<File, SourceProblem> {
        File::open(&self.path)
            .map_err(|error| SourceProblem::Unreadable(format!("'{}': {error}", self.listed.path)))
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
        let locate = |listed| Ok(WimFile { path: content::locate(source, listed)?, listed });
        let files: Vec<WimFile<'a>> =
            listed.iter().map(locate).collect::<Result<_, SourceProblem>>()?;
        let opened = tools.runtime.block_on(async {
            let mut sources = Vec::with_capacity(files.len());
            for file in &files {
                sources.push(range_source(file).await?);
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

async fn range_source(file: &WimFile<'_>) -> prestage_wim::Result<Arc<dyn RangeRead>> {
    let path = StorePath::from_absolute_path(&file.path).map_err(object_store::Error::from)?;
    let source = ObjectSource::open(Arc::new(LocalFileSystem::new()), path).await?;
    Ok(Arc::new(ReadAhead::new(Arc::new(source.named(file.listed.path.clone())))))
}

/// A damaged copy may be whole elsewhere; a WIM that can't be used is the same everywhere.
pub fn wim_problem(listed: &v1::ListedFile, error: prestage_wim::WimError) -> SourceProblem {
    use prestage_wim::WimError::{Malformed, Truncated, WrongHash};
    match error {
        Malformed { .. } | Truncated { .. } | WrongHash { .. } => {
            SourceProblem::WrongContent(format!("'{}' is damaged: {error}", listed.path))
        }
        error => TaskError::wim(listed.path.clone())(error).into(),
    }
}
