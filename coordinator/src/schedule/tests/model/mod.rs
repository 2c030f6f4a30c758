//! The scheduler against a reference that is simple enough to be seen to be right.
//!
//! What was broken in the scheduler by hand, and which assertion caught it: `docs/reliability/models.md`. In
//! short, *to W* (an objection of the reference) caught dependencies, kinds, avoided workers, priorities and
//! slots that were ignored; *has a free slot and is not given this* makers that were counted as others, a
//! hold-out without end and shared work that was forgotten; *after* generations that did not go up; *results
//! that count* second words, older generations and failed leases that counted.

mod events;
mod fairness;
mod history;
mod reference;
mod told;
mod transitions;

use prestage_cases::cases;
use proptest::prelude::*;

use super::{Policy, SECOND};
use events::{Call, Database, Event, Knows, News, Reaches, histories};
use history::History;

/// Short times, so that all of them pass in a history.
fn policy() -> Policy {
    Policy {
        return_grace: SECOND * 10,
        attempts_max: 5,
        rest: SECOND * 10,
        straggler_after: SECOND * 3,
        ..Policy::default()
    }
}

/// The worker that has made no pack.
const IMPARTIAL: u8 = 9;

/// A worker that is well.
fn well(worker: u8) -> Call {
    Call {
        worker,
        slots: 2,
        draining: false,
        reach: Reaches::Everything,
        knows: if worker == IMPARTIAL { Knows::Opinions } else { Knows::Everything },
        forgets: false,
        stopped: true,
        // Of all that it ever had.
        news: (0..64).map(|back| (back, News::Done { made: false })).collect(),
        database: Database::Works,
    }
}

/// When nothing goes wrong any more, everything is done: within a few calls, or the longest rest.
fn calm(history: &mut History) -> Result<(), TestCaseError> {
    let longest_rest = policy().rest * 16 + policy().lease_ttl;
    let until = history.reference.now + longest_rest;
    let mut rounds = history.open().len();
    while !history.open().is_empty() && (rounds > 0 || history.reference.now <= until) {
        history.play(&Event::Time { seconds: 5 })?;
        for worker in (0..4).chain([IMPARTIAL]) {
            history.play(&Event::Call(well(worker)))?;
        }
        history.play(&Event::Expire)?;
        rounds = rounds.saturating_sub(1);
    }
    prop_assert_eq!(history.open(), Vec::<&super::TaskRef>::new(), "these are never done");
    Ok(())
}

proptest! {
    #![proptest_config(cases(700))]

    #[test]
    fn the_scheduler_does_what_the_reference_allows(events in histories()) {
        let mut history = History::new();
        for event in &events {
            history.play(event)?;
        }
        calm(&mut history)?;
    }
}
