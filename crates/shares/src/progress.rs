//! How far a call has come.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use prestage_access::Floor;

/// What a look at a folder or a small file counts for: it is a trip there and back, like a block.
const LOOK: usize = 4096;

/// What a call has had so far.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// So many bytes have come.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The share has answered a question that has no bytes to speak of for an answer.
    pub fn looked(&self) {
        self.add(LOOK);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The progress of one call, as whoever waits for it sees it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) counter: Counter,
    pub(crate) call: Arc<Call>,
    seen: u64,
}

impl Progress {
    /// Whether it is worth another wait.
    pub(crate) fn goes_on(&mut self, floor: Floor) -> bool {
        let now = self.counter.get();
        let goes_on = now - self.seen >= floor.bytes;
        if goes_on {
            self.seen = now;
        }
        goes_on
    }
}

/// Which happened first: that a call came back, or that it was given up. Each side asks once, and the
/// second is told so.
#[derive(Debug, Default)]
pub(crate) struct Call(AtomicBool);

impl Call {
    pub(crate) fn has_come_back(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }
}
