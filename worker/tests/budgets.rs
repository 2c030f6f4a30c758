//! The budgets hold: contents many times larger than a worker's memory and disk go through it.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

#[path = "../../crates/store/tests/support/seaweed.rs"]
mod seaweed;
mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use prestage_proto::v1::{self, task::Work};
use prestage_store::PackKey;
use prestage_test_servers::ports;
use prestage_worker::{disk::Disk, memory::Memory, tasks::TaskError};
use seaweed::Seaweed;

const MIB: u64 = 1 << 20;
const MEMORY: u64 = 64 * MIB;
const STAGING: u64 = 256 * MIB;
const SLOTS: u32 = 2;
/// The contents, one a task.
const CONTENTS: u64 = 6;
const CONTENT: u64 = 100 * MIB;
/// What a worker takes besides its budget: the program itself, pieces of files, compressors, the HTTP
/// client's buffers.
const BESIDES: u64 = 48 * MIB;

/// Content that can't shrink for the most part, another one for each number.
fn content(number: u64) -> Vec<u8> {
    let mut state = number + 1;
    let words = CONTENT / 8;
    let word = |at: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        if at.is_multiple_of(1 << 20) { at } else { state ^ state >> 29 }
    };
    (0..words).map(word).flat_map(u64::to_le_bytes).collect()
}

fn task(dir: &Path, number: u64, file: v1::ListedFile) -> Work {
    let source = v1::ContentSource {
        distribution_point: "dp".into(),
        content_library: dir.join("dp").to_str().unwrap().into(),
    };
    let format = v1::codec::Format::Xpress.into();
    Work::Encode(v1::EncodeTask {
        pack_key: PackKey::of(&number.to_le_bytes()).to_string(),
        content_id: format!("PS1000{number:02}.1"),
        sources: vec![source],
        files: vec![file],
        codec: Some(v1::Codec { format, chunk_bytes: 32_768, level: 5 }),
        ..Default::default()
    })
}

/// Memory of this process at its peak, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Forgets the peak so far.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Looks at a folder again and again; gives the most bytes that were in it.
struct Watch {
    over: Arc<AtomicBool>,
    watching: std::thread::JoinHandle<u64>,
}

impl Watch {
    fn new(folder: &Path) -> Self {
        let (over, folder) = (Arc::new(AtomicBool::new(false)), folder.to_owned());
        let done = over.clone();
        let watching = std::thread::spawn(move || {
            let most = AtomicU64::new(0);
            while !done.load(Ordering::Relaxed) {
                let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                let bytes = entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
                most.fetch_max(bytes, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
            most.into_inner()
        });
        Self { over, watching }
    }

    fn most(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

/// The C library keeps large blocks that were freed, up to 32 MiB each, for threads that ask again; told
/// not to, it gives them back, and only then is the peak what is really in use.
const ALLOCATOR: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");

/// Runs a test of this file again in a process of its own, whose memory is measured.
fn measured(test: &str) -> bool {
    if std::env::var_os(ALLOCATOR.0).is_some() {
        return true;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([test, "--exact", "--nocapture"]).env(ALLOCATOR.0, ALLOCATOR.1);
    assert!(again.status().unwrap().success());
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_of_any_size_go_through_small_budgets() {
    if !measured("contents_of_any_size_go_through_small_budgets") {
        return;
    }
    let server = Seaweed::start().await;
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("dp");
    let files: Vec<_> =
        (0..CONTENTS).map(|number| support::put(&library, "setup.exe", &content(number))).collect();
    let staging = dir.path().join("staging");
    let mut tools = support::tools(staging.clone(), server.open("s3://packs").await);
    tools.memory = Memory::new(MEMORY, SLOTS);
    tools.disk = Disk::new(staging.clone(), Some(STAGING));
    forget_peak();
    let before = peak_memory();
    let watch = Watch::new(&staging);
    // More at once than there are slots, so that they wait for each other.
    let tasks = files.into_iter().zip(0..).map(|(file, number)| {
        tokio::spawn(support::run(task(dir.path(), number, file), support::next(&tools)))
    });
    for done in futures::future::join_all(tasks).await {
        assert!(!done.unwrap().unwrap().reused);
    }
    let (staged, memory) = (watch.most(), peak_memory());
    eprintln!(
        "memory {} MiB (before: {}), staged {} MiB",
        memory / MIB,
        before / MIB,
        staged / MIB
    );
    assert!(staged <= STAGING, "{staged} bytes were staged");
    assert!(staged > STAGING / 2, "the disk was used, or the test shows nothing");
    assert!(memory <= before + MEMORY + BESIDES, "{memory} bytes, {before} before");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_never_fit_goes_to_another_worker() {
    let server = Seaweed::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = support::put(&dir.path().join("dp"), "setup.exe", &vec![7; 3_000_000]);
    let staging = dir.path().join("staging");
    let mut tools = support::tools(staging.clone(), server.open("s3://packs").await);
    tools.disk = Disk::new(staging, Some(2_000_000));
    let error = support::run(task(dir.path(), 1, file), tools).await.unwrap_err();
    assert!(matches!(error, TaskError::NoRoom(_)), "{error}");
    let failure = v1::Failure::from(error);
    assert_eq!(failure.retry(), v1::Retry::OtherWorker);
    assert!(
        failure.what.contains("2000000") && failure.advice.contains("staging_gib"),
        "{failure:?}"
    );
}
