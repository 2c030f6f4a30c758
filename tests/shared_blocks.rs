//! On a file system that can share blocks, a merge copies hardly any.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};

use prestage_sample::SampleOptions;
use support::{Demo, ok, prestage, tool, wimlib};

/// An XFS of our own, in a file.
struct Xfs(PathBuf);

impl Xfs {
    fn mount(image: &Path, at: PathBuf) -> Self {
        std::fs::File::create(image).unwrap().set_len(1 << 30).unwrap();
        tool("mkfs.xfs", "xfsprogs", ["-q", "-m", "reflink=1", image.to_str().unwrap()]);
        std::fs::create_dir(&at).unwrap();
        let args = ["-o", "loop", image.to_str().unwrap(), at.to_str().unwrap()];
        tool("mount", "mount (and run the tests as root)", args);
        Self(at)
    }

    /// Bytes in use, with everything on its way written out.
    fn used(&self) -> u64 {
        let folder = self.0.to_str().unwrap();
        tool("sync", "coreutils", ["-f", folder]);
        let said = tool("df", "coreutils", ["--block-size=1", "--output=used", folder]);
        said.lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_medium_shares_the_blocks_of_its_packs() {
    let options = SampleOptions { payload_bytes: 150_000_000, ..SampleOptions::default() };
    let demo = Demo::with(&options);
    let disk = Xfs::mount(&demo.path("disk.img"), demo.path("disk"));
    let (plan, data) = (demo.path("saved.plan"), demo.path("disk/data"));
    let (plan, data) = (plan.to_str().unwrap(), data.to_str().unwrap());
    let spec = demo.spec();
    ok(&prestage(&demo, ["plan", spec.to_str().unwrap(), "--save", plan, "--data-dir", data]));
    let build = |medium: &Path| {
        let medium = medium.to_str().unwrap();
        ok(&prestage(&demo, ["build", "--plan", plan, "--data-dir", data, "--output", medium]));
    };
    let (first, second) = (demo.path("disk/first.wim"), demo.path("disk/second.wim"));
    build(&first);
    let before = disk.used();
    build(&second);
    let (taken, bytes) = (disk.used() - before, second.metadata().unwrap().len());
    // Copied are the glue and the blocks at the edges.
    assert!(taken < bytes / 4, "{taken} of {bytes} bytes were copied");

    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap());
    wimlib(["verify", second.to_str().unwrap()]);
    // A folder that shares nothing has the same bytes.
    let elsewhere = demo.path("elsewhere.wim");
    build(&elsewhere);
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&elsewhere).unwrap());
}
