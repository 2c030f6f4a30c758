//! What goes wrong in a run, and when: drawn from the seed before it begins.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::{database::Trouble, line::Weather};

/// Faults end at this time; then everything must come to its end.
pub const FAULTS_END: Duration = Duration::from_secs(40);

/// Something that goes wrong for a while.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A process is killed, and started again later.
    Crash(String),
    /// Nothing gets from one host to the other, in either direction.
    Partition(String, String),
    /// Nothing gets from the first to the second.
    OneWay(String, String),
    /// What is sent arrives later, all at once.
    Hold(String, String),
    /// The object store, and the way there.
    Weather(Weather),
    /// The database.
    Trouble(Trouble),
    /// A clock is wrong by so many milliseconds; it stays so.
    Clock(String, i64),
    /// A worker's disk can't be used.
    Disk(String),
    /// Files of a content can't be read at one distribution point.
    Evict(usize),
    /// A file of a content has other bytes at one distribution point.
    Damage(usize),
    /// Somebody else removes a pack.
    Lose(usize),
}

/// A fault and its time.
#[derive(Clone, Debug)]
pub struct Planned {
    /// When it begins.
    pub at: Duration,
    /// How long it takes.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

/// What may go wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crash,
    Network,
    Store,
    Database,
    Clock,
    Disk,
    Source,
    Loss,
}

/// In how many of a hundred runs each of them may: not everything each time, so that rare things happen alone
/// too.
const CHANCES: [(Kind, f64); 8] = [
    (Kind::Crash, 60.0),
    (Kind::Network, 50.0),
    (Kind::Store, 50.0),
    (Kind::Database, 40.0),
    (Kind::Clock, 20.0),
    (Kind::Disk, 15.0),
    (Kind::Source, 20.0),
    (Kind::Loss, 8.0),
];

/// The faults of a run.
pub struct FaultPlan {
    /// In order of time.
    pub planned: Vec<Planned>,
    /// Whether content may be missing for good at some moment, so that builds may end with a reason.
    pub may_fail: bool,
}

impl FaultPlan {
    /// Draws it.
    pub fn draw(seed: u64, coordinators: &[String], workers: &[String]) -> Self {
        let mut dice = StdRng::seed_from_u64(seed ^ 0xfa17);
        let mut may =
            |(kind, percent): (Kind, f64)| dice.random_bool(percent / 100.0).then_some(kind);
        let kinds: Vec<Kind> = CHANCES.into_iter().filter_map(&mut may).collect();
        let count = dice.random_range(1..12);
        let mut drawing = Drawing { dice, coordinators, workers };
        let mut planned: Vec<Planned> = (0..count).filter_map(|_| drawing.one(&kinds)).collect();
        planned.sort_by_key(|planned| planned.at);
        let may_fail = kinds.contains(&Kind::Source) || kinds.contains(&Kind::Loss);
        Self { planned, may_fail }
    }
}

struct Drawing<'a> {
    dice: StdRng,
    coordinators: &'a [String],
    workers: &'a [String],
}

impl Drawing<'_> {
    fn one(&mut self, kinds: &[Kind]) -> Option<Planned> {
        let kind = *kinds.choose(&mut self.dice)?;
        let fault = self.fault(kind);
        let at = Duration::from_millis(self.dice.random_range(0..30_000));
        let lasts = Duration::from_millis(self.dice.random_range(100..10_000));
        Some(Planned { at, lasts, fault })
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        match kind {
            Kind::Crash => Fault::Crash(self.host()),
            Kind::Network => self.between(),
            Kind::Store => Fault::Weather(self.weather()),
            Kind::Database => Fault::Trouble(self.trouble()),
            Kind::Clock => {
                let hours = 3_600_000;
                Fault::Clock(self.host(), self.dice.random_range(-3 * hours..3 * hours))
            }
            Kind::Disk => Fault::Disk(self.worker()),
            Kind::Source if self.dice.random_bool(0.5) => Fault::Evict(self.number()),
            Kind::Source => Fault::Damage(self.number()),
            Kind::Loss => Fault::Lose(self.number()),
        }
    }

    /// Of a file or a pack, to be taken modulo how many there are.
    fn number(&mut self) -> usize {
        self.dice.random_range(0..1000)
    }

    /// Nothing in half of all cases, else up to so much.
    fn some(&mut self, most: f64) -> f64 {
        match self.dice.random_bool(0.5) {
            true => self.dice.random_range(0.0..most),
            false => 0.0,
        }
    }

    fn host(&mut self) -> String {
        let all: Vec<&String> = self.coordinators.iter().chain(self.workers).collect();
        all.choose(&mut self.dice).map(ToString::to_string).unwrap_or_default()
    }

    fn worker(&mut self) -> String {
        self.workers.choose(&mut self.dice).cloned().unwrap_or_default()
    }

    fn between(&mut self) -> Fault {
        let one = self.coordinators.choose(&mut self.dice).cloned().unwrap_or_default();
        let others: Vec<&String> =
            self.coordinators.iter().chain(self.workers).filter(|host| **host != one).collect();
        let other = others.choose(&mut self.dice).map(ToString::to_string).unwrap_or_default();
        match self.dice.random_range(0..4) {
            0 => Fault::Partition(one, other),
            1 => Fault::OneWay(one, other),
            2 => Fault::OneWay(other, one),
            _ => Fault::Hold(one, other),
        }
    }

    fn weather(&mut self) -> Weather {
        Weather {
            down: self.dice.random_bool(0.2),
            lost: self.some(20.0),
            lost_answers: self.some(20.0),
            refused: self.some(20.0),
            damaged: self.some(5.0),
            doubled: self.some(10.0),
            slow: 250 + self.some(750.0) as u64,
        }
    }

    fn trouble(&mut self) -> Trouble {
        Trouble {
            down: self.dice.random_bool(0.3),
            failing: self.some(20.0),
            lost_answers: self.some(20.0),
            slow: self.some(300.0) as u64,
        }
    }
}
