//! A mount whose server is gone: every call into it hangs.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use prestage_access::Floor;
use prestage_proto::v1::{self, task::Work};
use prestage_shares::Shares;
use prestage_store::{ObjectUrl, Objects, PackKey};
use prestage_test_servers::hung_mount::HungMount;

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
        ..Default::default()
    };
    let start = Instant::now();
    let result = support::run(Work::Encode(task), tools).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let [remark] = &result.remarks[..] else { panic!("{:?}", result.remarks) };
    assert!(remark.contains("dp1") && remark.contains("the share does not answer"), "{remark}");
}
