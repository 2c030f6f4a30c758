//! Blocking work away from the async threads, and waiting from there for async work.
//!
//! [`off_thread`] is what the product calls before it reads files, hashes or compresses; [`AsyncSide`] is how
//! such work waits for something async: a small read from a store, room on a disk.
//!
//! In a simulation ([`in_lockstep`]) both do the same with one thread running at a time, so that a run is the
//! same run each time: see [`lockstep`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod lockstep;

use std::sync::OnceLock;

use tokio::runtime::Handle;

/// Set once, by a simulation, before anything else.
static IN_LOCKSTEP: OnceLock<()> = OnceLock::new();

/// From now on this process runs one thing at a time. It can't be taken back.
pub fn in_lockstep() {
    let _ = IN_LOCKSTEP.set(());
}

/// Whether this process runs one thing at a time.
pub fn is_in_lockstep() -> bool {
    IN_LOCKSTEP.get().is_some()
}

/// The work did not come to its end: the runtime is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped in the middle: this process is ending")]
pub struct Stopped;

/// Runs blocking work away from the async threads. It goes on when nobody waits for it any more. A panic
/// of the work is one of whoever waits for it.
///
/// # Errors
/// [`Stopped`] when the runtime is shutting down.
pub async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    if is_in_lockstep() {
        return Ok(lockstep::Line::begin(work).await);
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Stopped),
        },
    }
}

/// The async side of a process, for blocking work that must wait for it.
#[derive(Clone, Debug)]
pub struct AsyncSide(Handle);

impl AsyncSide {
    /// That of the runtime that this is called in.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn current() -> Self {
        Self(Handle::current())
    }

    /// Waits for something async. To be called by work that runs [off the async threads](off_thread).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match is_in_lockstep() {
            true => lockstep::wait(future),
            false => self.0.block_on(future),
        }
    }

    /// The runtime itself.
    pub fn handle(&self) -> &Handle {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_elsewhere_and_may_wait_for_the_async_side() {
        let here = std::thread::current().id();
        let side = AsyncSide::current();
        let done = off_thread(move || {
            assert_ne!(std::thread::current().id(), here);
            side.block_on(async {
                tokio::task::yield_now().await;
                7
            })
        });
        assert_eq!(done.await, Ok(7));
    }

    #[tokio::test]
    #[should_panic(expected = "of the work")]
    async fn a_panic_of_the_work_is_told() {
        let _ = off_thread(|| panic!("of the work")).await;
    }
}
