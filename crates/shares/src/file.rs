//! Files of shares, read by ranges.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use bytes::Bytes;

use crate::{Shares, reader::STEP};

/// An open file of a share.
#[derive(Clone, Debug)]
pub struct ShareFile {
    shares: Shares,
    point: String,
    file: Arc<File>,
    size: u64,
}

impl Shares {
    /// Opens a file of the distribution point `point` to be read by ranges.
    ///
    /// # Errors
    /// When it can't be opened, or the share does not answer.
    pub async fn open_file(&self, point: &str, path: PathBuf) -> io::Result<ShareFile> {
        let opened = self.call(point, move |_| {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok::<_, io::Error>((Arc::new(file), size))
        });
        let (file, size) = opened.await??;
        Ok(ShareFile { shares: self.clone(), point: point.to_owned(), file, size })
    }
}

impl ShareFile {
    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// When they are not all there, or it makes no progress.
    pub async fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let bytes = usize::try_from(range.end.saturating_sub(range.start));
        let (file, bytes) = (self.file.clone(), bytes.map_err(io::Error::other)?);
        let read = self.shares.call(&self.point, move |counter| {
            let mut read = vec![0; bytes];
            let mut at = range.start;
            for step in read.chunks_mut(STEP) {
                file.read_exact_at(step, at)?;
                counter.add(step.len());
                at += step.len() as u64;
            }
            Ok(Bytes::from(read))
        });
        read.await?
    }
}
