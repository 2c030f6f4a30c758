//! Free ports for servers that have to be told theirs.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that systems give to outgoing connections: a port that was free a moment ago is
/// not taken by a connection of the server's neighbour before the server listens on it.
const RANGE: Range<u32> = 12_000..32_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on, and that no other caller of this process gets.
pub fn free_port() -> u16 {
    loop {
        // Another process starts elsewhere in the range.
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(97).wrapping_add(step) % RANGE.len() as u32;
        let port = u16::try_from(RANGE.start + offset).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
