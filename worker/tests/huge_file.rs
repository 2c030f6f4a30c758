//! A large file encoded in runs: the pack of one task, whatever happens to the runs.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};

use prestage_proto::v1::{self, task::Work};
use prestage_store::{ObjectUrl, Objects, PackKey, PutRule};
use prestage_worker::tasks::{self, Tools};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const RUN: u64 = 5 << 20;

/// Two distribution points with one file, and a store.
struct Site {
    dir: TempDir,
    content: Vec<u8>,
    objects: Objects,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let content = content();
        for name in ["dp1", "dp2"] {
            let path = copy_of(dir.path(), name, &content);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &content).unwrap();
        }
        let url = ObjectUrl::Local(dir.path().join("objects"));
        Self { dir, content, objects: Objects::open(&url).await.unwrap() }
    }

    fn tools(&self) -> Tools {
        support::tools(self.dir.path().join("staging"), self.objects.clone())
    }

    fn source(&self, name: &str) -> v1::ContentSource {
        let content_library = self.dir.path().join(name).to_str().unwrap().into();
        v1::ContentSource { distribution_point: name.into(), content_library }
    }

    /// Changes one byte of a distribution point's copy.
    fn damage(&self, name: &str, at: u64) {
        let mut content = self.content.clone();
        content[at as usize] ^= 0x20;
        std::fs::write(copy_of(self.dir.path(), name, &self.content), content).unwrap();
    }

    fn file(&self) -> v1::ListedFile {
        v1::ListedFile {
            path: "installer.exe".into(),
            size: self.content.len() as u64,
            sha256: Sha256::digest(&self.content).to_vec().into(),
            ..Default::default()
        }
    }

    fn runs(&self) -> Vec<v1::FileRun> {
        let size = self.content.len() as u64;
        let offsets = (0..size.div_ceil(RUN)).map(|number| number * RUN);
        let run = |offset: u64| v1::FileRun {
            run_key: PackKey::of(&offset.to_le_bytes()).to_string(),
            offset,
            bytes: RUN.min(size - offset),
        };
        offsets.map(run).collect()
    }

    async fn run(&self, work: Work) -> v1::TaskResult {
        let task = v1::Task { objects_url: String::new(), work: Some(work) };
        tasks::run(task, self.tools()).await.unwrap()
    }

    /// The pack that one task makes of the file.
    async fn alone(&self) -> Vec<u8> {
        let key = PackKey::of(b"alone");
        let task = v1::EncodeTask {
            pack_key: key.to_string(),
            content_id: "PS100012.3".into(),
            sources: vec![self.source("dp1")],
            files: vec![self.file()],
            codec: codec(),
            ..Default::default()
        };
        self.run(Work::Encode(task)).await;
        self.pack(&key).await
    }

    async fn encode_run(&self, run: &v1::FileRun, from: &[&str]) -> v1::TaskResult {
        let task = v1::EncodeRunTask {
            pack_key: joined().to_string(),
            content_id: "PS100012.3".into(),
            sources: from.iter().map(|name| self.source(name)).collect(),
            file: Some(self.file()),
            codec: codec(),
            run: Some(run.clone()),
        };
        self.run(Work::EncodeRun(task)).await
    }

    fn join_task(&self, from: &[&str]) -> v1::JoinTask {
        v1::JoinTask {
            pack_key: joined().to_string(),
            content_id: "PS100012.3".into(),
            sources: from.iter().map(|name| self.source(name)).collect(),
            file: Some(self.file()),
            codec: codec(),
            runs: self.runs(),
        }
    }

    /// The joined pack; afterwards no run is left.
    async fn join(&self, from: &[&str]) -> Vec<u8> {
        let result = self.run(Work::Join(self.join_task(from))).await;
        assert!(!result.reused);
        assert_eq!(result.bytes_read, self.content.len() as u64);
        self.assert_no_runs().await;
        self.pack(&joined()).await
    }

    async fn assert_no_runs(&self) {
        for run in self.runs() {
            let key: PackKey = run.run_key.parse().unwrap();
            assert!(self.objects.head(&key.pack()).await.unwrap().is_none());
            assert!(self.objects.head(&key.index()).await.unwrap().is_none());
        }
    }

    async fn pack(&self, key: &PackKey) -> Vec<u8> {
        let pack = self.objects.open_pack(key).await.unwrap().unwrap();
        let [entry] = pack.index().resources() else { panic!("the file alone is in the pack") };
        assert_eq!(entry.sha256.unwrap()[..], Sha256::digest(&self.content)[..]);
        assert_eq!(entry.stored_bytes, pack.index().pack_bytes());
        pack.get_range(0..entry.stored_bytes).await.unwrap().to_vec()
    }
}

/// An installer: words, and a cabinet in the middle of them.
fn content() -> Vec<u8> {
    let mut state = 1u64;
    (0..22_000_000u32)
        .map(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(12_345);
            let byte = (state >> 40) as u8;
            if (9_000_000..17_000_000).contains(&at) { byte } else { b'a' + (byte & 15) }
        })
        .collect()
}

fn copy_of(dir: &Path, name: &str, content: &[u8]) -> PathBuf {
    let sha256 = hex::encode_upper(Sha256::digest(content));
    dir.join(name).join("FileLib").join(&sha256[..4]).join(sha256)
}

fn joined() -> PackKey {
    PackKey::of(b"joined")
}

fn codec() -> Option<v1::Codec> {
    Some(v1::Codec { format: v1::codec::Format::Lzx.into(), chunk_bytes: 32_768, level: 8 })
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_runs_are_the_pack_of_one_task() {
    let site = Site::new().await;
    let alone = site.alone().await;
    let runs = site.runs();
    assert_eq!(runs.len(), 5);
    for run in &runs {
        assert!(!site.encode_run(run, &["dp1"]).await.reused);
    }
    assert!(site.encode_run(&runs[0], &["dp1"]).await.reused, "a run that is there is not remade");
    // What can't shrink is not stored twice: this run is all cabinet.
    let key: PackKey = runs[2].run_key.parse().unwrap();
    assert!(site.objects.head(&key.pack()).await.unwrap().unwrap().bytes < 1000);
    assert!(site.join(&["dp1"]).await == alone);
}

/// Another build's join was quicker: nothing is done twice, and nothing stays.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_pack_is_there_no_run_is_made() {
    let site = Site::new().await;
    site.join(&["dp1"]).await;
    let runs = site.runs();
    assert!(site.encode_run(&runs[0], &["dp1"]).await.reused);
    site.assert_no_runs().await;
    assert!(site.run(Work::Join(site.join_task(&["dp1"]))).await.reused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_wrong_bytes_is_made_again_from_the_right_ones() {
    let site = Site::new().await;
    let alone = site.alone().await;
    let runs = site.runs();
    site.damage("dp1", runs[3].offset + 77);
    for run in &runs {
        site.encode_run(run, &["dp1", "dp2"]).await;
    }
    assert!(site.join(&["dp1", "dp2"]).await == alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_lost_runs_are_made_again() {
    let site = Site::new().await;
    let alone = site.alone().await;
    let runs = site.runs();
    for run in &runs[1..] {
        site.encode_run(run, &["dp1"]).await;
    }
    // One among its chunks, one among its sizes.
    for (run, at_end) in [(&runs[1], false), (&runs[4], true)] {
        let key = run.run_key.parse::<PackKey>().unwrap().pack();
        let mut stored = site.objects.get(&key, RUN).await.unwrap().to_vec();
        let at = if at_end { stored.len() - 2 } else { stored.len() / 3 };
        stored[at] ^= 1;
        let _ = site.objects.put_small(&key, stored.into(), PutRule::Overwrite).await.unwrap();
    }
    assert!(site.join(&["dp2"]).await == alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_everywhere_stops_the_join() {
    let site = Site::new().await;
    for name in ["dp1", "dp2"] {
        site.damage(name, 1_000_000);
    }
    let work = Some(Work::Join(site.join_task(&["dp1", "dp2"])));
    let task = v1::Task { objects_url: String::new(), work };
    let error = tasks::run(task, site.tools()).await.unwrap_err();
    let failure = v1::Failure::from(error);
    assert!(failure.r#where.contains("dp1") && failure.r#where.contains("dp2"), "{failure:?}");
    assert!(failure.r#where.contains("SHA-256"), "{failure:?}");
    assert_eq!(failure.retry(), v1::Retry::Never);
    assert!(site.objects.open_pack(&joined()).await.unwrap().is_none());
}
