//! How many plans are made at once. Each reads an OS image's tree and lists contents, so a few are made
//! and the others wait for their turn.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{
    places::{Place, Places},
    rates::ask_again,
};

/// Plans that are made at once: each may take some hundred MiB and one processor.
const PLANS_MAX: usize = 4;
/// Of these, one caller's: there is always a turn for somebody else soon.
const PLANS_OF_CALLER_MAX: usize = 3;
/// Plans of one caller that are made or wait: a depot asks for a hundred media at once.
const PLANS_WAITING_OF_CALLER_MAX: usize = 200;
/// Plans of all callers that are made or wait.
const PLANS_WAITING_MAX: usize = 1000;
/// A plan takes some seconds, so somebody's turn comes in this time.
const ASK_AGAIN_IN: Duration = Duration::from_secs(5);

/// Whose turn it is to have a plan made.
pub(crate) struct Planning {
    waiting: Arc<Places>,
    at_once: Arc<Semaphore>,
    /// Turns of callers who have something made or wait for it.
    of_callers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A turn: whoever drops it, or stops waiting for it, lets the next one go on.
pub(crate) struct Turn {
    _place: Place,
    _own: OwnedSemaphorePermit,
    _common: OwnedSemaphorePermit,
}

impl Default for Planning {
    fn default() -> Self {
        Self {
            waiting: Places::new(PLANS_WAITING_OF_CALLER_MAX, PLANS_WAITING_MAX),
            at_once: Arc::new(Semaphore::new(PLANS_MAX)),
            of_callers: Mutex::default(),
        }
    }
}

impl Planning {
    /// Waits for a turn of the caller's. Refused at once where too many wait already.
    pub async fn turn(&self, caller: &str) -> Result<Turn, Status> {
        let place = self.waiting.take(caller).map_err(|full| {
            ask_again(&full.told("plans", caller, "asked for already"), ASK_AGAIN_IN)
        })?;
        // One's own turn first: so few of each caller wait in the common row, and it is fair.
        let closed = |error: AcquireError| Status::internal(error.to_string());
        let own = self.of(caller).acquire_owned().await.map_err(closed)?;
        let common = self.at_once.clone().acquire_owned().await.map_err(closed)?;
        Ok(Turn { _place: place, _own: own, _common: common })
    }

    fn of(&self, caller: &str) -> Arc<Semaphore> {
        let mut of_callers = self.of_callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of_callers.get(caller).and_then(Weak::upgrade) {
            return own;
        }
        of_callers.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(PLANS_OF_CALLER_MAX));
        of_callers.insert(caller.to_owned(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::*;

    #[tokio::test]
    async fn a_few_are_made_at_once_and_one_caller_never_has_them_all() {
        let planning = Planning::default();
        let mut alice = Vec::new();
        for _ in 0..PLANS_OF_CALLER_MAX {
            alice.push(planning.turn("alice").await.unwrap());
        }
        let mut waits = pin!(planning.turn("alice"));
        assert!(waits.as_mut().now_or_never().is_none(), "all that one caller has are taken");
        let bob = planning.turn("bob").await.unwrap();
        let mut carol = pin!(planning.turn("carol"));
        assert!(carol.as_mut().now_or_never().is_none(), "all are taken");
        drop(alice.pop());
        // Carol has waited for less long than Alice, but Alice's other plans have their turns.
        carol.await.unwrap();
        drop(bob);
        waits.await.unwrap();
        drop(alice);
        drop(planning.turn("dave").await.unwrap());
        assert_eq!(planning.of_callers.lock().unwrap().len(), 1, "others are forgotten");
    }

    #[tokio::test]
    async fn who_asks_for_too_many_is_told_when_to_ask_again_and_who_leaves_makes_room() {
        let planning = Planning::default();
        let mut asked: Vec<_> = std::iter::repeat_with(|| Box::pin(planning.turn("alice")))
            .take(PLANS_WAITING_OF_CALLER_MAX)
            .collect();
        let turns: Vec<_> = asked.iter_mut().filter_map(|asked| asked.now_or_never()).collect();
        assert_eq!(turns.len(), PLANS_OF_CALLER_MAX);
        let refused = planning.turn("alice").await.err().unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let retry = refused.get_error_details().retry_info().cloned().unwrap();
        assert_eq!(retry.retry_delay, Some(ASK_AGAIN_IN));
        drop(planning.turn("bob").await.unwrap());
        // Her calls are dropped, those that wait too.
        drop((asked, turns));
        assert_eq!(planning.waiting.taken("alice"), (0, 0));
        drop(planning.turn("alice").await.unwrap());
        assert_eq!(planning.at_once.available_permits(), PLANS_MAX);
    }
}
