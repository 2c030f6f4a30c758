//! Waiting for a server that was just started.

use std::{
    net::TcpStream,
    process::Child,
    time::{Duration, Instant},
};

/// Whether a server becomes ready in time. One that ended does not.
pub(crate) fn becomes_ready(
    server: &mut Child,
    within: Duration,
    is_ready: impl Fn() -> bool,
) -> bool {
    let started = Instant::now();
    while !is_ready() {
        if server.try_wait().unwrap().is_some() || started.elapsed() >= within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Whether somebody listens on a port of this machine.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
