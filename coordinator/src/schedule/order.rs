//! In which order builds are served: by priority, then near deadlines, then fairly between requesters
//! and between their builds.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

/// What is asked of a build's place in the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOrder {
    /// Who asked: requesters have equal shares, however many builds they have.
    pub requester: String,
    /// Higher ones are served first.
    pub priority: i32,
    /// By when it should be done, on the clock that never jumps.
    pub deadline: Option<Duration>,
}

/// Smaller ones are served first.
pub(super) type Turn = (Reverse<i32>, Duration, u64, u64);

/// What every lease counts, besides its bytes: small tasks take a slot, too.
const LEASE_BYTES: u64 = 4 << 20;

/// Bytes that were given to each requester.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    requesters: BTreeMap<String, Share>,
}

#[derive(Clone, Debug, Default)]
struct Share {
    builds: usize,
    given: u64,
}

impl Shares {
    /// A requester has one more build. A new one begins where the least served one stands, or it
    /// would be served alone for as long as the others were served before.
    pub fn join(&mut self, requester: &str) {
        let least = self.requesters.values().map(|share| share.given).min().unwrap_or(0);
        let share = self.requesters.entry(requester.to_owned());
        share.or_insert(Share { builds: 0, given: least }).builds += 1;
    }

    /// A requester has one build less.
    pub fn leave(&mut self, requester: &str) {
        if let Some(share) = self.requesters.get_mut(requester) {
            share.builds = share.builds.saturating_sub(1);
            if share.builds == 0 {
                self.requesters.remove(requester);
            }
        }
    }

    /// A task of the requester's was given to a worker.
    pub fn give(&mut self, requester: &str, bytes: u64) {
        if let Some(share) = self.requesters.get_mut(requester) {
            share.given = share.given.saturating_add(cost(bytes));
        }
    }

    /// The turn of a build that was given `served`.
    pub fn turn(&self, order: &BuildOrder, served: u64, now: Duration, horizon: Duration) -> Turn {
        let near = order.deadline.filter(|deadline| deadline.saturating_sub(now) <= horizon);
        let given = self.requesters.get(&order.requester).map_or(0, |share| share.given);
        // One whose time comes near goes before others of its priority, the nearest first.
        (Reverse(order.priority), near.unwrap_or(Duration::MAX), given, served)
    }
}

/// What a lease of a task with so many bytes counts.
pub(super) fn cost(bytes: u64) -> u64 {
    bytes.saturating_add(LEASE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn order(requester: &str, priority: i32, deadline: Option<Duration>) -> BuildOrder {
        BuildOrder { requester: requester.into(), priority, deadline }
    }

    #[test]
    fn priority_then_near_deadlines_then_shares() {
        let mut shares = Shares::default();
        for requester in ["a", "b"] {
            shares.join(requester);
        }
        shares.give("a", 100 << 20);
        let now = HOUR * 10;
        let turn = |order: &BuildOrder, served| shares.turn(order, served, now, HOUR);
        let ordinary = turn(&order("a", 0, None), 0);
        assert!(turn(&order("a", 1, None), 9) < ordinary);
        assert!(turn(&order("a", 0, Some(now + HOUR / 2)), 9) < ordinary);
        assert!(
            turn(&order("a", 0, Some(HOUR)), 9) < turn(&order("a", 0, Some(now)), 9),
            "overdue"
        );
        assert_eq!(turn(&order("a", 0, Some(now + HOUR * 2)), 0), ordinary, "far away");
        assert!(turn(&order("b", 0, None), 9) < ordinary, "it was given less");
        assert!(turn(&order("a", 0, None), 0) < turn(&order("a", 0, None), 1));
    }

    #[test]
    fn a_newcomer_begins_where_the_least_served_stands() {
        let mut shares = Shares::default();
        shares.join("old");
        shares.give("old", 1 << 40);
        shares.join("new");
        let turn = |requester: &str| shares.turn(&order(requester, 0, None), 0, HOUR, HOUR);
        assert_eq!(turn("old"), turn("new"));
        shares.leave("old");
        assert_eq!(shares.requesters.len(), 1);
    }
}
