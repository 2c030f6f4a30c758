//! What a worker remembers of distribution points, and in which order it therefore tries them.

use std::{
    collections::HashMap,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// For so long after a failure a distribution point is tried after all others.
const MISTRUST: Duration = Duration::from_secs(120);
/// How much of the average the newest measurement is.
const NEWEST: f64 = 0.3;
/// A distribution point so much slower than the fastest one gives up its place in the order.
const MUCH_SLOWER: f64 = 4.0;

/// Less than this is answered in the time of one question, whatever the line gives.
const TELLING_BYTES: u64 = 256 << 10;

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

    /// A reader from a distribution point, whose time spent in reading is its rate: not the time in which
    /// what was read is compressed, or the content would decide and not the line.
    pub fn measured(&self, name: &str, reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let (past, name) = (self.clone(), name.to_owned());
        Box::new(Measured { past, name, reader, bytes: 0, spent: Duration::ZERO })
    }

    /// A distribution point could not be read.
    pub fn failed(&self, name: &str, now: Instant) {
        self.change(name, |past| past.failed = Some(now));
    }

    /// It gave `bytes` in `took`.
    pub fn gave(&self, name: &str, bytes: u64, took: Duration) {
        let measured =
            (bytes >= TELLING_BYTES).then(|| bytes as f64 / took.as_secs_f64().max(0.001));
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

struct Measured {
    past: PastReads,
    name: String,
    reader: Box<dyn Read + Send>,
    bytes: u64,
    spent: Duration,
}

impl Read for Measured {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let read = self.reader.read(out)?;
        self.spent += began.elapsed();
        self.bytes += read as u64;
        Ok(read)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.past.gave(&self.name, self.bytes, self.spent);
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
        past.gave("far", 1 << 20, SECOND);
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

    /// A line that takes this long for each piece.
    struct Line(io::Take<io::Repeat>, Duration);

    impl Read for Line {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.1);
            self.0.read(out)
        }
    }

    #[test]
    fn what_is_done_with_the_bytes_does_not_slow_their_source() {
        let past = PastReads::default();
        for (name, line, compressing) in [("near", 1, 20), ("far", 10, 0)] {
            let bytes = io::repeat(7).take(16 << 20);
            let mut reader =
                past.measured(name, Box::new(Line(bytes, Duration::from_millis(line))));
            let mut piece = vec![0; 1 << 20];
            while reader.read(&mut piece).unwrap() > 0 {
                std::thread::sleep(Duration::from_millis(compressing));
            }
        }
        let points = past.points.lock().unwrap();
        assert!(points["near"].rate.unwrap() > points["far"].rate.unwrap());
    }
}
