//! Reading mounted shares, whose calls may never come back.
//!
//! A call into a mount whose server is gone can't be cancelled: it hangs in the system until the server
//! is back, or for ever. So these calls run on threads of their own, not on the runtime's, which would
//! wait for them when the process ends. Where a call makes no progress, its thread is left behind. A
//! distribution point on which some calls hang is asked nothing more until they come back, so there are
//! never more such threads than [`HANGING_MAX`] for each.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod file;
mod progress;
mod reader;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{self, RecvTimeoutError, Sender},
    },
};

use prestage_access::Floor;
use tokio::sync::oneshot;

pub use file::ShareFile;
pub use progress::Counter;
use progress::Progress;

/// Calls that may hang on one distribution point.
const HANGING_MAX: usize = 4;

/// The system gives no thread: that is this machine's fault, not the share's.
#[derive(Debug, thiserror::Error)]
#[error("this machine gives no more threads: {0}")]
pub struct NoThread(#[source] io::Error);

/// Calls into mounted shares. Clones share their threads.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    floor: Floor,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Sender<Job>>,
    /// Calls that were given up and have not come back, by distribution point.
    hanging: HashMap<String, usize>,
}

/// One call, and the way to the thread that makes it.
struct Job {
    call: Box<dyn FnOnce() + Send>,
    thread: Sender<Job>,
}

impl Shares {
    /// Calls that must make the progress of `floor`.
    #[must_use]
    pub fn new(floor: Floor) -> Self {
        Self { floor, state: Arc::default() }
    }

    /// Makes a call that may hang on the distribution point `point`. It tells the counter what it has
    /// read.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it makes no progress.
    pub async fn call<T: Send + 'static>(
        &self,
        point: &str,
        work: impl FnOnce(&Counter) -> T + Send + 'static,
    ) -> io::Result<T> {
        let (give, mut given) = oneshot::channel();
        // Whoever waited may have left.
        let mut progress = self.begin(point, work, move |done| drop(give.send(done)))?;
        loop {
            match tokio::time::timeout(self.floor.within, &mut given).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(_)) => return Err(died()),
                Err(_) if progress.goes_on(self.floor) => {}
                Err(_) => return Err(self.give_up(point, &progress)),
            }
        }
    }

    /// The same for a thread that may wait, which is none of the runtime's own.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it makes no progress.
    pub fn call_blocking<T: Send + 'static>(
        &self,
        point: &str,
        work: impl FnOnce(&Counter) -> T + Send + 'static,
    ) -> io::Result<T> {
        let (give, given) = mpsc::channel();
        let mut progress = self.begin(point, work, move |done| drop(give.send(done)))?;
        loop {
            match given.recv_timeout(self.floor.within) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Disconnected) => return Err(died()),
                Err(RecvTimeoutError::Timeout) if progress.goes_on(self.floor) => {}
                Err(RecvTimeoutError::Timeout) => return Err(self.give_up(point, &progress)),
            }
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        point: &str,
        work: impl FnOnce(&Counter) -> T + Send + 'static,
        give: impl FnOnce(T) + Send + 'static,
    ) -> io::Result<Progress> {
        self.refuse_hanging(point)?;
        let progress = Progress::default();
        let (counter, call) = (progress.counter.clone(), progress.call.clone());
        let (state, name) = (Arc::downgrade(&self.state), point.to_owned());
        self.start(Box::new(move || {
            give(work(&counter));
            if call.has_come_back() {
                came_back(&state, &name);
            }
        }))?;
        Ok(progress)
    }

    /// Leaves a call behind; gives why.
    fn give_up(&self, point: &str, progress: &Progress) -> io::Error {
        *self.state().hanging.entry(point.to_owned()).or_default() += 1;
        if progress.call.is_given_up() {
            came_back(&Arc::downgrade(&self.state), point);
        }
        let problem = format!("the share does not answer: {}", self.floor);
        io::Error::new(io::ErrorKind::TimedOut, problem)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_hanging(&self, point: &str) -> io::Result<()> {
        let hanging = self.state().hanging.get(point).copied().unwrap_or_default();
        if hanging < HANGING_MAX {
            return Ok(());
        }
        let problem = format!("the share does not answer: {hanging} calls have not come back yet");
        Err(io::Error::new(io::ErrorKind::TimedOut, problem))
    }

    /// Hands a call to a thread that has nothing to do, or to a new one.
    fn start(&self, call: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if prestage_threads::is_in_lockstep() {
            // Nothing may happen beside it.
            call();
            return Ok(());
        }
        let idle = self.state().idle.pop();
        let thread = match idle {
            Some(thread) => thread,
            None => self.new_thread()?,
        };
        let job = Job { call, thread: thread.clone() };
        thread.send(job).map_err(|_| io::Error::other("a reading thread has died"))
    }

    fn new_thread(&self) -> io::Result<Sender<Job>> {
        let (thread, jobs) = mpsc::channel::<Job>();
        let state: Weak<Mutex<State>> = Arc::downgrade(&self.state);
        let started = std::thread::Builder::new().name("share".into()).spawn(move || {
            // It ends when nobody has a way to it any more.
            for Job { call, thread } in jobs {
                call();
                if let Some(state) = state.upgrade() {
                    state.lock().unwrap_or_else(PoisonError::into_inner).idle.push(thread);
                }
            }
        });
        started.map_err(|error| io::Error::other(NoThread(error)))?;
        Ok(thread)
    }
}

fn came_back(state: &Weak<Mutex<State>>, point: &str) {
    let Some(state) = state.upgrade() else {
        return;
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hanging) = state.hanging.get_mut(point) {
        *hanging = hanging.saturating_sub(1);
    }
}

fn died() -> io::Error {
    io::Error::other("the thread that read it has died")
}
