//! A mount whose server is gone: every call into it hangs.

use std::{
    ffi::CString,
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A FUSE file system whose server never answers: to whoever looks into it, it is an NFS or SMB mount
/// whose server is gone. Taken down when this is dropped.
pub struct HungMount {
    at: PathBuf,
    /// When it is closed, the calls that hang come back with an error.
    _server: File,
}

impl HungMount {
    /// Mounts it over a folder that is there.
    pub fn new(at: &Path) -> Self {
        let server = File::options().read(true).write(true).open("/dev/fuse");
        let server = server.expect("/dev/fuse is needed, and root");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        let options = CString::new(options).unwrap();
        mount("hung", at, "fuse", MountFlags::empty(), &*options).expect("run it as root");
        Self { at: at.to_owned(), _server: server }
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        // What still hangs there holds it until its server is closed, which is next.
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}
