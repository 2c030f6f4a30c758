//! What this crate's tests share: contents, wimlib's command, opening files.
#![allow(dead_code)]

pub mod random_tree;

use std::{path::Path, process::Command, sync::Arc};

use object_store::local::LocalFileSystem;
use prestage_wim::{ObjectSource, RangeRead, Wim};

/// Some time, as a FILETIME.
pub const TIME: u64 = 133_000_000_000_000_000;

/// Runs a tool and returns what it printed. A missing tool is a failure that names its package.
pub fn run<S: AsRef<std::ffi::OsStr> + std::fmt::Debug>(tool: &str, args: &[S]) -> String {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|error| {
        panic!("{tool}: {error}: install Debian's packages wimtools, p7zip-full and ntfs-3g")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {text}{errors}");
    text
}

/// A file as a source of ranges.
pub async fn source(path: &Path) -> Arc<dyn RangeRead> {
    let store = LocalFileSystem::new_with_prefix(path.parent().unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    Arc::new(ObjectSource::open(Arc::new(store), name.into()).await.unwrap())
}

/// A WIM in one file.
pub async fn open(path: &Path) -> Arc<Wim> {
    Arc::new(Wim::open(source(path).await).await.unwrap())
}

/// Bytes that don't shrink.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    })
    .take(len)
    .collect()
}

/// Bytes that shrink.
pub fn text(len: usize, seed: u64) -> Vec<u8> {
    noise(len / 4 + 1, seed)
        .iter()
        .flat_map(|b| format!("{:03} ", b % 50).into_bytes())
        .take(len)
        .collect()
}

/// A pool of two threads.
pub fn pool() -> Arc<rayon::ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap())
}
