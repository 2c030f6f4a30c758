//! A mount whose server is gone: every call into it hangs.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prestage_access::Floor;
use prestage_proto::v1::{self, task::Work};
use prestage_store::{ObjectUrl, Objects, PackKey};
use prestage_worker::shares::Shares;
use rustix::mount::{MountFlags, UnmountFlags};

/// A FUSE file system whose server never answers: to whoever looks into it, it is an NFS or SMB mount
/// whose server is gone.
struct HungMount {
    at: PathBuf,
    /// When it is closed, the calls that hang come back with an error.
    _server: File,
}

impl HungMount {
    fn new(at: &Path) -> Self {
        let server = File::options().read(true).write(true).open("/dev/fuse");
        let server = server.expect("/dev/fuse is needed, and root");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        let flags = MountFlags::empty();
        rustix::mount::mount("hung", at, "fuse", flags, &*options).expect("run it as root");
        Self { at: at.to_owned(), _server: server }
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.at, UnmountFlags::DETACH);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_distribution_point_is_read_and_the_reason_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = support::put(&dir.path().join("dp2"), "setup.exe", &b"words ".repeat(300_000));
    std::fs::create_dir(dir.path().join("dp1")).unwrap();
    let _hung = HungMount::new(&dir.path().join("dp1"));
    let objects = Objects::open(&ObjectUrl::Local(dir.path().join("objects"))).await.unwrap();
    let mut tools = support::tools(dir.path().join("staging"), objects);
    tools.shares = Shares::new(Floor { within: Duration::from_millis(200), ..Floor::default() });
    let source = |name: &str| v1::ContentSource {
        distribution_point: name.into(),
        content_library: dir.path().join(name).to_str().unwrap().into(),
    };
    let task = v1::EncodeTask {
        pack_key: PackKey::of(b"pack").to_string(),
        content_id: "PS100012.3".into(),
        sources: vec![source("dp1"), source("dp2")],
        files: vec![file],
        codec: Some(v1::Codec {
            format: v1::codec::Format::Lzx.into(),
            chunk_bytes: 32_768,
            level: 1,
        }),
    };
    let start = Instant::now();
    let result = support::run(Work::Encode(task), tools).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let [remark] = &result.remarks[..] else { panic!("{:?}", result.remarks) };
    assert!(remark.contains("dp1") && remark.contains("the share does not answer"), "{remark}");
}
