//! What the tests of tasks share: the tools of a worker, and contents at distribution points.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use prestage_proto::v1;
use prestage_store::{Composer, Objects, StoreOptions};
use prestage_wim::codec::Progress;
use prestage_worker::{
    disk::Disk,
    memory::Memory,
    tasks::{self, TaskError, Tools},
};
use sha2::{Digest, Sha256};

/// The tools of a worker with two encoding threads, which stages in `staging`.
pub fn tools(staging: PathBuf, objects: Objects) -> Tools {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    Tools {
        access: Default::default(),
        shares: Default::default(),
        past_reads: Default::default(),
        remarks: Default::default(),
        objects,
        store_options: prestage_store::StoreOptions::from_env(),
        composer: Arc::new(Composer::new(StoreOptions::from_env())),
        disk: Disk::new(staging.clone(), None),
        room: Default::default(),
        memory: Memory::new(64 << 20, 1),
        staging,
        pool: Arc::new(pool),
        progress: Arc::new(Progress::default()),
        runtime: prestage_threads::AsyncSide::current(),
    }
}

/// The tools of another task of the same worker.
pub fn next(tools: &Tools) -> Tools {
    let (room, remarks, progress) = Default::default();
    Tools { room, remarks, progress, ..tools.clone() }
}

/// Where a content library keeps a file.
pub fn file_in(library: &Path, sha256: &[u8]) -> PathBuf {
    let name = hex::encode_upper(sha256);
    library.join("FileLib").join(&name[..4]).join(name)
}

/// Puts a file into a content library, and gives its listing.
pub fn put(library: &Path, name: &str, content: &[u8]) -> v1::ListedFile {
    let sha256 = Sha256::digest(content).to_vec();
    let path = file_in(library, &sha256);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    v1::ListedFile {
        path: name.into(),
        size: content.len() as u64,
        sha256: sha256.into(),
        ..Default::default()
    }
}

/// Runs a task.
pub async fn run(work: v1::task::Work, tools: Tools) -> Result<v1::TaskResult, TaskError> {
    tasks::run(v1::Task { objects_url: String::new(), work: Some(work) }, tools).await
}
