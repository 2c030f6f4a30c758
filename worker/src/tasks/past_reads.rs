//! What a worker remembers of distribution points, and in which order it therefore tries them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For so long after a failure a distribution point is tried after all others.
const MISTRUST: Duration = Duration::from_secs(120);
/// How much of the average the newest measurement is.
const NEWEST: f64 = 0.3;
/// A distribution point so much slower than the fastest one gives up its place in the order.
const MUCH_SLOWER: f64 = 4.0;

/// How reading from distribution points went, shared by all tasks of a worker.
#[derive(Clone, Debug, Default)]
pub struct PastReads {
    points: Arc<Mutex<HashMap<String, Past>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Past {
    failed: Option<Instant>,
    /// Bytes a second, averaged.
    rate: Option<f64>,
}

impl PastReads {
    /// The numbers of `names`, which are in order of preference, in the order to try them: those
    /// that failed a moment ago last, and before them those much slower than the fastest.
    #[must_use]
    pub fn order(&self, names: &[&str], now: Instant) -> Vec<usize> {
        let points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let past = |number: usize| points.get(names[number]).copied().unwrap_or_default();
        let mut order: Vec<usize> = (0..names.len()).collect();
        let rates = order.iter().filter_map(|&number| past(number).rate);
        let fastest = rates.fold(0.0, f64::max);
        order.sort_by_key(|&number| {
            let Past { failed, rate } = past(number);
            let failed = failed.is_some_and(|at| now.saturating_duration_since(at) < MISTRUST);
            (failed, rate.is_some_and(|rate| rate * MUCH_SLOWER < fastest))
        });
        order
    }

    /// A distribution point could not be read.
    pub fn failed(&self, name: &str, now: Instant) {
        self.change(name, |past| past.failed = Some(now));
    }

    /// It gave `bytes` in `took`.
    pub fn gave(&self, name: &str, bytes: u64, took: Duration) {
        let measured = (bytes > 0).then(|| bytes as f64 / took.as_secs_f64().max(0.001));
        self.change(name, |past| {
            past.failed = None;
            let Some(measured) = measured else {
                return;
            };
            let before = past.rate.unwrap_or(measured);
            past.rate = Some(before + (measured - before) * NEWEST);
        });
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Past)) {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        change(points.entry(name.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["near", "far", "farther"];
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn preference_holds_until_something_fails() {
        let (past, now) = (PastReads::default(), Instant::now());
        assert_eq!(past.order(&NAMES, now), [0, 1, 2]);
        past.failed("near", now);
        past.failed("far", now);
        assert_eq!(past.order(&NAMES, now), [2, 0, 1]);
        past.gave("far", 1, SECOND);
        assert_eq!(past.order(&NAMES, now), [1, 2, 0], "it is there again");
        assert_eq!(past.order(&NAMES, now + MISTRUST), [0, 1, 2], "long ago");
    }

    #[test]
    fn only_a_much_slower_one_loses_its_place() {
        let (past, now) = (PastReads::default(), Instant::now());
        past.gave("near", 10 << 20, SECOND);
        past.gave("far", 30 << 20, SECOND);
        assert_eq!(past.order(&NAMES, now), [0, 1, 2]);
        past.gave("farther", 50 << 20, SECOND);
        assert_eq!(past.order(&NAMES, now), [1, 2, 0]);
        // It recovers: the average follows.
        for _ in 0..3 {
            past.gave("near", 50 << 20, SECOND);
        }
        assert_eq!(past.order(&NAMES, now), [0, 1, 2]);
        past.gave("near", 0, SECOND);
        assert_eq!(past.order(&NAMES, now), [0, 1, 2], "nothing read says nothing");
    }
}
