//! The same with one thread running at a time.
//!
//! Work still has a thread of its own, for it may wait in the middle. But whoever polls for its end stands
//! still meanwhile, until the work has ended or waits for something async; so the work takes no simulated
//! time but what it waits, and nothing else happens beside it. A simulation is then a function of its seed.
//!
//! When nobody waits for the work any more (its process was killed), its thread unwinds where it stands:
//! what a killed process leaves to the system, locks and open files, is given back.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll, Waker},
    thread::JoinHandle,
};

use tokio::runtime::Handle;

/// What unwinds a thread whose work nobody waits for.
struct Abandoned;

/// What a thread of work says before it stands still.
enum Said<T> {
    Waits,
    Ended(Result<T, Box<dyn Any + Send>>),
}

/// Work on a thread of its own, to be polled.
pub struct Line<T> {
    go_on: Option<SyncSender<Waker>>,
    said: Mutex<Receiver<Said<T>>>,
    thread: Option<JoinHandle<()>>,
}

/// How a thread of work stands still.
struct Pauses {
    stand_still: Box<dyn FnMut() -> Waker>,
    /// Of whoever polls at present.
    waker: Waker,
}

/// Threads that were begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static PAUSES: RefCell<Option<Pauses>> = const { RefCell::new(None) };
}

impl<T: Send + 'static> Line<T> {
    /// Prepares work; it begins when it is polled first.
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (go_on, told_to) = sync_channel::<Waker>(0);
        let (say, said) = sync_channel::<Said<T>>(0);
        let runtime = Handle::current();
        let run = move || {
            let _entered = runtime.enter();
            let Ok(waker) = told_to.recv() else {
                return;
            };
            let say_so = say.clone();
            let stand_still = Box::new(move || {
                let told = say_so.send(Said::Waits).ok().and_then(|()| told_to.recv().ok());
                told.unwrap_or_else(|| resume_unwind(Box::new(Abandoned)))
            });
            PAUSES.with_borrow_mut(|pauses| *pauses = Some(Pauses { stand_still, waker }));
            let ended = catch_unwind(AssertUnwindSafe(work));
            PAUSES.with_borrow_mut(Option::take);
            // Nobody may be there to be told.
            let _ = say.send(Said::Ended(ended));
        };
        // By number, so that whatever is drawn from a thread's name is drawn anew on each.
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::Builder::new().name(format!("lockstep-{number}"));
        let thread = thread.spawn(run).ok();
        Self { go_on: Some(go_on), said: Mutex::new(said), thread }
    }
}

impl<T: Send + 'static> Future for Line<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let waker = context.waker().clone();
        if let Some(go_on) = &self.go_on {
            let _ = go_on.send(waker);
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match said {
            Ok(Said::Waits) => Poll::Pending,
            Ok(Said::Ended(ended)) => {
                self.join();
                Poll::Ready(ended.unwrap_or_else(|panic| resume_unwind(panic)))
            }
            Err(_) => panic!("a thread of work ended without a word"),
        }
    }
}

impl<T> Line<T> {
    fn join(&mut self) {
        self.go_on = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<T> Drop for Line<T> {
    /// The thread unwinds where it stands, before anything else happens.
    fn drop(&mut self) {
        // It may be about to say that it has ended.
        let (_, nobody) = sync_channel(0);
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = nobody;
        self.join();
    }
}

/// Waits on a thread of work, which stands still as long as the future is not ready.
pub fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        // Polling may begin other work, whose thread has pauses of its own; this one's stay here.
        let Some(mut pauses) = PAUSES.with_borrow_mut(Option::take) else {
            panic!("to wait for something async takes work that was begun by off_thread");
        };
        let polled = future.as_mut().poll(&mut Context::from_waker(&pauses.waker));
        if polled.is_pending() {
            pauses.waker = (pauses.stand_still)();
        }
        PAUSES.with_borrow_mut(|here| *here = Some(pauses));
        if let Poll::Ready(done) = polled {
            return done;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::AsyncSide;

    struct Falls(Arc<Mutex<Vec<&'static str>>>);

    impl Drop for Falls {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("given back");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_takes_no_time_but_what_it_waits() {
        let start = tokio::time::Instant::now();
        let work = Line::begin(|| {
            std::thread::sleep(Duration::from_millis(20));
            wait(async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                // Work within work.
                Line::begin(|| wait(tokio::time::sleep(Duration::from_secs(4)))).await;
            });
            5
        });
        assert_eq!(work.await, 5);
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_a_killed_process_gives_back_what_it_holds() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let falls = Falls(seen.clone());
        let work = Line::begin(move || {
            let _falls = falls;
            wait(std::future::pending::<()>());
        });
        let waited = tokio::time::timeout(Duration::from_secs(1), work).await;
        assert!(waited.is_err());
        assert_eq!(*seen.lock().unwrap(), ["given back"]);
    }

    #[tokio::test]
    #[should_panic(expected = "off_thread")]
    async fn only_work_may_wait() {
        let _side = AsyncSide::current();
        wait(async {});
    }
}
