//! How often somebody may call. Whoever asks too much is told when to ask again, and takes nothing from
//! the others.

use std::{fmt, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use prestage_trust::Role;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::rules::Rule;

/// A script that looks at builds.
const READS: (u32, u32) = (200, 2_000);
/// A depot's night: hundreds of builds at once, then nothing.
const WRITES: (u32, u32) = (20, 1_000);
/// Each end of a task is a call of its worker's, and workers of one name may be several.
const WORK: (u32, u32) = (200, 2_000);
/// Probes, and workers that are enrolled: by address.
const STRANGERS: (u32, u32) = (20, 100);
/// So many callers are remembered; then those who have not called lately are forgotten.
const CALLERS_MAX: usize = 10_000;

/// Calls a second, and how many may come at once.
fn quota((per_second, at_once): (u32, u32)) -> Quota {
    let (per_second, at_once) = (NonZeroU32::new(per_second), NonZeroU32::new(at_once));
    let (least, per_second) = (NonZeroU32::MIN, per_second.unwrap_or(NonZeroU32::MIN));
    Quota::per_second(per_second).allow_burst(at_once.unwrap_or(least))
}

type Keyed<C> =
    RateLimiter<String, HashMapStateStore<String>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Counts calls by caller.
pub(crate) struct Rates<C: Clock = DefaultClock> {
    reads: Keyed<C>,
    writes: Keyed<C>,
    work: Keyed<C>,
    strangers: Keyed<C>,
    clock: C,
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(DefaultClock::default())
    }
}

impl<C: Clock> fmt::Debug for Rates<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates")
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn new(clock: C) -> Self {
        let keyed =
            |limits| RateLimiter::new(quota(limits), HashMapStateStore::default(), clock.clone());
        Self {
            reads: keyed(READS),
            writes: keyed(WRITES),
            work: keyed(WORK),
            strangers: keyed(STRANGERS),
            clock,
        }
    }

    /// Counts a call of somebody who is known, or of nobody at an address.
    pub fn count(&self, caller: &str, is_known: bool, rule: Rule) -> Result<(), Status> {
        let limiter = match rule {
            _ if !is_known => &self.strangers,
            Rule::Has(Role::Work) => &self.work,
            Rule::Has(Role::Submit | Role::Seal | Role::Admin) => &self.writes,
            Rule::Has(Role::Read) | Rule::Known | Rule::Anybody => &self.reads,
        };
        let key = caller.to_owned();
        let counted = limiter
            .check_key(&key)
            .map_err(|not_yet| too_many(not_yet.wait_time_from(self.clock.now())));
        if limiter.len() > CALLERS_MAX {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        counted
    }
}

fn too_many(wait: Duration) -> Status {
    ask_again("too many calls", wait)
}

/// Refuses what there is no room for at the moment, and says when to ask again.
pub(super) fn ask_again(what: &str, wait: Duration) -> Status {
    let what = format!("{what}: ask again in {:.1} s", wait.as_secs_f64());
    let details = ErrorDetails::with_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, what, details)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn who_asks_too_much_is_told_when_to_ask_again_and_others_are_not() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::new(clock.clone());
        let submit = Rule::Has(Role::Submit);
        for _ in 0..WRITES.1 {
            rates.count("user/alice", true, submit).unwrap();
        }
        let refused = rates.count("user/alice", true, submit).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let retry = refused.get_error_details().retry_info().cloned().unwrap();
        let wait = retry.retry_delay.unwrap();
        assert!(wait > Duration::ZERO && wait < Duration::from_secs(1), "{wait:?}");
        // She may still look, and others may do anything.
        rates.count("user/alice", true, Rule::Has(Role::Read)).unwrap();
        rates.count("user/bob", true, submit).unwrap();
        clock.advance(wait);
        rates.count("user/alice", true, submit).unwrap();
        rates.count("user/alice", true, submit).unwrap_err();
    }

    #[test]
    fn strangers_share_little_and_are_forgotten() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::new(clock.clone());
        for _ in 0..STRANGERS.1 {
            rates.count("10.0.0.1", false, Rule::Anybody).unwrap();
        }
        rates.count("10.0.0.1", false, Rule::Anybody).unwrap_err();
        for number in 0..CALLERS_MAX {
            rates.count(&format!("address {number}"), false, Rule::Anybody).unwrap();
            clock.advance(Duration::from_millis(1));
        }
        assert!(rates.strangers.len() <= CALLERS_MAX, "{}", rates.strangers.len());
    }
}
