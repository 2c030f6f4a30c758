//! Composes a local file: parts are written into a hidden file beside the output, which is renamed
//! when it is whole. Several processes may write at once, each its own ranges.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::stream::{self, StreamExt, TryStreamExt};
use rustix::io::Errno;

use super::error::ComposeError;
use super::memory::steps;
use super::token::{LocalUpload, OpenUpload, PARTIAL_SUFFIX};
use super::{PIECE, PIECES, Part, PartRules, Reaped, Source, UploadToken};
use crate::error::{StoreError, off_thread};
use crate::pack::sync_folder;

/// A file takes any parts, one at a time: more would wait for each other's hold of the inode. The
/// size lets one part be checked while another is copied.
pub(super) const PART_RULES: PartRules =
    PartRules { min_bytes: 1, max_bytes: 128 * 1024 * 1024, max_parts: u32::MAX, at_once: 1 };

/// Bytes of a block that file systems share. Those of larger blocks copy.
const BLOCK: u64 = 4096;

pub(super) async fn begin(
    target: PathBuf,
    name: String,
    total: u64,
) -> Result<LocalUpload, ComposeError> {
    let place = target.display().to_string();
    off_thread(place, move || {
        let folder = target.parent().unwrap_or(&target);
        std::fs::create_dir_all(folder).map_err(StoreError::io("create the folder", folder))?;
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(PARTIAL_SUFFIX)
            // As any program's output: the umask decides who may read it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(StoreError::io("create a file in", folder))?;
        let sized = file.as_file().set_len(total).and_then(|()| file.as_file().metadata());
        let metadata = sized.map_err(StoreError::io("set the size of", file.path()))?;
        let (_, partial) =
            file.keep().map_err(|error| StoreError::io("keep", &target)(error.error))?;
        Ok(LocalUpload { partial, target, total, device: metadata.dev(), inode: metadata.ino() })
    })
    .await
}

/// Gives the bytes that the kernel copied.
pub(super) async fn place(upload: LocalUpload, part: &Part) -> Result<u64, ComposeError> {
    let target = Arc::new(open_partial(&upload).await?);
    match part.source.objects.local_path(&part.source.key) {
        Some(path) => {
            check_unchanged(&part.source).await?;
            let from = part.source.objects.lead(&part.source.key) + part.source.offset;
            let copy = FileCopy { from, to: part.dst_offset, bytes: part.len };
            let (target, partial) = (target.clone(), upload.partial.clone());
            let copied =
                off_thread(path.display().to_string(), move || copy.run(&path, &target, &partial));
            Ok(copied.await?)
        }
        None => {
            write_pieces(part, &target, &upload.partial).await?;
            Ok(0)
        }
    }
}

pub(super) async fn settle(upload: LocalUpload) -> Result<(), ComposeError> {
    let target = open_partial(&upload).await?;
    off_thread(upload.partial.display().to_string(), move || {
        let durable = target.sync_data();
        Ok(durable.map_err(StoreError::io("make durable", &upload.partial))?)
    })
    .await
}

async fn open_partial(upload: &LocalUpload) -> Result<File, ComposeError> {
    let (path, dst) = (upload.partial.clone(), upload.target.clone());
    off_thread(path.display().to_string(), move || {
        match OpenOptions::new().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone(&dst)),
            file => Ok(file.map_err(StoreError::io("open", &path))?),
        }
    })
    .await
}

fn gone(dst: &Path) -> ComposeError {
    ComposeError::Gone { dst: dst.display().to_string() }
}

/// Files have no conditional read, so a pinned tag is compared before the copy.
async fn check_unchanged(source: &Source) -> Result<(), StoreError> {
    let Some(expected) = &source.if_match else {
        return Ok(());
    };
    match source.objects.head(&source.key).await? {
        None => Err(source.missing()),
        Some(facts) if facts.etag.as_ref() == Some(expected) => Ok(()),
        Some(_) => Err(source.changed()),
    }
}

/// From a store that is not a folder: a few pieces at a time, each written where it belongs.
async fn write_pieces(part: &Part, target: &Arc<File>, partial: &Path) -> Result<(), ComposeError> {
    let Source { objects, key, offset, if_match } = &part.source;
    stream::iter(steps(part.len, PIECE))
        .map(|(at, bytes)| async move {
            let range = offset + at..offset + at + bytes;
            let body = objects.get_range_if(key, range, if_match.as_deref()).await?;
            let (target, partial) = (target.clone(), partial.to_path_buf());
            let to = part.dst_offset + at;
            off_thread(partial.display().to_string(), move || {
                let written = target.write_all_at(&body, to);
                written.map_err(StoreError::io("write", &partial))
            })
            .await
        })
        .buffer_unordered(PIECES)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// A range to be copied from file to file: offsets and length in bytes.
#[derive(Debug, Clone, Copy)]
struct FileCopy {
    from: u64,
    to: u64,
    bytes: u64,
}

impl FileCopy {
    /// Copies inside the kernel; by hand where it can't. Gives the bytes that the kernel copied.
    fn run(self, path: &Path, target: &File, partial: &Path) -> Result<u64, StoreError> {
        let source = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let place = path.display().to_string();
                return Err(StoreError::Missing { place });
            }
            source => source.map_err(StoreError::io("open", path))?,
        };
        self.check(&source, path)?;
        let mut copied = 0;
        for copy in self.by_blocks() {
            copied += copy.in_kernel(&source, path, target, partial)?;
        }
        Ok(copied)
    }

    /// The whole blocks, and what lies in front of and behind them: a file system shares blocks only
    /// if it is asked for nothing else.
    fn by_blocks(self) -> Vec<Self> {
        let end = self.from + self.bytes;
        let (start, behind) = (self.from.next_multiple_of(BLOCK), end - end % BLOCK);
        if self.from % BLOCK != self.to % BLOCK || start >= behind {
            return vec![self];
        }
        let range = |from: u64, until: u64| {
            let to = self.to + (from - self.from);
            (until > from).then_some(Self { from, to, bytes: until - from })
        };
        [range(self.from, start), range(start, behind), range(behind, end)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn in_kernel(
        mut self,
        source: &File,
        path: &Path,
        target: &File,
        partial: &Path,
    ) -> Result<u64, StoreError> {
        let all = self.bytes;
        while self.bytes > 0 {
            let wanted = self.bytes.min(PART_RULES.max_bytes) as usize;
            let (mut from, mut to) = (self.from, self.to);
            let (from, to) = (Some(&mut from), Some(&mut to));
            match rustix::fs::copy_file_range(source, from, target, to, wanted) {
                Ok(0) => {
                    self.by_hand(source, path, target, partial)?;
                    return Ok(all - self.bytes);
                }
                Ok(copied) => self.advance(copied as u64),
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    self.by_hand(source, path, target, partial)?;
                    return Ok(all - self.bytes);
                }
                Err(error) => return Err(StoreError::io("write", partial)(error.into())),
            }
        }
        Ok(all)
    }

    /// An object that ends inside the range is an error before anything is copied.
    fn check(&self, source: &File, path: &Path) -> Result<(), StoreError> {
        let metadata = source.metadata().map_err(StoreError::io("look up", path))?;
        let there = metadata.len().saturating_sub(self.from);
        if there >= self.bytes {
            return Ok(());
        }
        Err(StoreError::Short {
            place: path.display().to_string(),
            offset: self.from,
            wanted: self.bytes,
            got: there,
        })
    }

    fn by_hand(
        mut self,
        source: &File,
        path: &Path,
        target: &File,
        partial: &Path,
    ) -> Result<(), StoreError> {
        let mut piece = vec![0; 1024 * 1024];
        while self.bytes > 0 {
            let wanted = piece.len().min(self.bytes as usize);
            let read = source.read_exact_at(&mut piece[..wanted], self.from);
            read.map_err(StoreError::io("read", path))?;
            let written = target.write_all_at(&piece[..wanted], self.to);
            written.map_err(StoreError::io("write", partial))?;
            self.advance(wanted as u64);
        }
        Ok(())
    }

    fn advance(&mut self, bytes: u64) {
        self.from += bytes;
        self.to += bytes;
        self.bytes -= bytes;
    }
}

pub(super) async fn finish(upload: LocalUpload) -> Result<(), ComposeError> {
    off_thread(upload.target.display().to_string(), move || rename(&upload)).await
}

fn rename(upload: &LocalUpload) -> Result<(), ComposeError> {
    let (partial, target) = (&upload.partial, &upload.target);
    let file = match File::open(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return reconcile(upload),
        file => file.map_err(StoreError::io("open", partial))?,
    };
    let metadata = file.metadata().map_err(StoreError::io("look up", partial))?;
    check_size(upload, metadata.len())?;
    file.sync_all().map_err(StoreError::io("make durable", partial))?;
    std::fs::rename(partial, target).map_err(StoreError::io("rename the medium to", target))?;
    sync_folder(target.parent().unwrap_or(target))?;
    Ok(())
}

/// The hidden file is gone. If the output is that very file, an earlier answer was lost.
fn reconcile(upload: &LocalUpload) -> Result<(), ComposeError> {
    let ours = |metadata: &std::fs::Metadata| {
        (metadata.dev(), metadata.ino()) == (upload.device, upload.inode)
    };
    match std::fs::metadata(&upload.target) {
        Ok(metadata) if ours(&metadata) => check_size(upload, metadata.len()),
        _ => Err(gone(&upload.target)),
    }
}

fn check_size(upload: &LocalUpload, found: u64) -> Result<(), ComposeError> {
    if found == upload.total {
        return Ok(());
    }
    Err(ComposeError::Size {
        dst: upload.target.display().to_string(),
        found,
        expected: upload.total,
    })
}

pub(super) async fn abort(upload: LocalUpload) -> Result<(), ComposeError> {
    off_thread(upload.partial.display().to_string(), move || {
        match std::fs::remove_file(&upload.partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &upload.partial)(error).into())
            }
            _ => Ok(()),
        }
    })
    .await
}

/// Removes hidden files in `folder` of compositions that nobody knows of.
pub(super) async fn reap(
    folder: PathBuf,
    live: &[UploadToken],
    older_than: Duration,
    now: SystemTime,
) -> Result<Reaped, ComposeError> {
    let live: Vec<PathBuf> = live
        .iter()
        .filter_map(|token| match OpenUpload::parse(token) {
            Ok(OpenUpload::Local(upload)) => Some(upload.partial),
            _ => None,
        })
        .collect();
    off_thread(folder.display().to_string(), move || {
        let is_old = |at| now.duration_since(at).unwrap_or_default() >= older_than;
        Ok(remove_partials(&folder, |path, modified| is_old(modified) && !live.contains(path))?)
    })
    .await
}

fn remove_partials(
    folder: &Path,
    is_abandoned: impl Fn(&PathBuf, SystemTime) -> bool,
) -> Result<Reaped, StoreError> {
    let mut reaped = Reaped::default();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(reaped),
        entries => entries.map_err(StoreError::io("list", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let hidden = name
            .to_str()
            .is_some_and(|name| name.starts_with('.') && name.ends_with(PARTIAL_SUFFIX));
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if hidden && modified.is_ok_and(|modified| is_abandoned(&path, modified)) {
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            tracing::info!(file = %path.display(), "removed an abandoned composition");
            reaped.compositions += 1;
        }
    }
    Ok(reaped)
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
