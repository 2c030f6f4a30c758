//! How many builds may be running. One costs some memory here and rows in the state until it ends.

use std::sync::Arc;

use prestage_proto::v1;
use tonic::{Code, Status};

use super::{
    details::status_of,
    places::{Full, Place, Places},
};
use crate::{
    engine::{Command, Running},
    leadership::Active,
};

/// Builds that one requester has running: a depot builds some hundred media in a night.
const BUILDS_OF_REQUESTER_MAX: usize = 1000;
/// Builds of all requesters: some depots at once.
const BUILDS_MAX: usize = 5000;

/// Room for builds.
pub(crate) struct Room {
    /// Builds that are being submitted: they are not running yet, and will be.
    entering: Arc<Places>,
}

impl Default for Room {
    fn default() -> Self {
        Self { entering: Places::new(BUILDS_OF_REQUESTER_MAX, BUILDS_MAX) }
    }
}

impl Room {
    /// Takes a place for a build that is being submitted, or says what to do. Whoever holds it drops it when
    /// the build is running.
    pub async fn take(
        &self,
        active: &Active,
        requester: &str,
        request_id: &str,
    ) -> Result<Place, Status> {
        let place = self.entering.take(requester).map_err(|full| refused(full, requester))?;
        let (requester, request_id) = (requester.to_owned(), request_id.to_owned());
        let of = requester.clone();
        let counting =
            active.engine.ask(|reply| Command::CountRunning { requester: of, request_id, reply });
        let entering = self.entering.taken(&requester);
        let full = full(counting.await?, entering);
        full.map_or(Ok(place), |full| Err(refused(full, &requester)))
    }
}

/// What is full, with so many builds of the requester's and in all being submitted, this one among them.
fn full(running: Running, (of_requester, all): (usize, usize)) -> Option<Full> {
    if running.is_asked_again {
        // It is there already, and its answer was lost.
        return None;
    }
    if running.of_requester + of_requester > BUILDS_OF_REQUESTER_MAX {
        return Some(Full::Caller(BUILDS_OF_REQUESTER_MAX));
    }
    (running.all + all > BUILDS_MAX).then_some(Full::All(BUILDS_MAX))
}

fn refused(full: Full, requester: &str) -> Status {
    let told = full.told("builds", requester, "running");
    let (what, advice) = match full {
        Full::Caller(_) => (
            told + ", which is as many as one requester may have",
            "submit again when some have ended, or cancel those that nobody needs ('prestage list', \
             'prestage cancel')",
        ),
        Full::All(_) => (
            told + ", which is as many as one coordinator keeps",
            "submit again when some have ended; more workers end them sooner",
        ),
    };
    let failure = v1::Failure { what, advice: advice.into(), ..Default::default() };
    status_of(&failure, Code::ResourceExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::failure_of;

    fn running(of_requester: usize, all: usize) -> Running {
        Running { of_requester, all, is_asked_again: false }
    }

    #[test]
    fn builds_that_are_being_submitted_count_too() {
        assert_eq!(full(running(BUILDS_OF_REQUESTER_MAX - 1, 4000), (1, 1)), None);
        let of_requester = Some(Full::Caller(BUILDS_OF_REQUESTER_MAX));
        assert_eq!(full(running(BUILDS_OF_REQUESTER_MAX - 1, 4000), (2, 2)), of_requester);
        assert_eq!(full(running(0, BUILDS_MAX - 1), (1, 1)), None);
        assert_eq!(full(running(0, BUILDS_MAX - 1), (1, 2)), Some(Full::All(BUILDS_MAX)));
    }

    #[test]
    fn a_request_that_runs_already_may_be_made_again() {
        let again = Running { is_asked_again: true, ..running(5000, 5000) };
        assert_eq!(full(again, (1, 1)), None);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = refused(Full::Caller(7), "user/alice");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let failure = failure_of(&refused);
        assert!(failure.what.starts_with("7 builds of user/alice are running"), "{failure:?}");
        assert!(failure.advice.contains("prestage cancel"), "{failure:?}");
    }
}
