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

/// What may go wrong in a run: not everything each time, so that rare things happen alone too.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    crashes: bool,
    network: bool,
    store: bool,
    database: bool,
    clocks: bool,
    disks: bool,
    sources: bool,
    losses: bool,
}

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
        let mut maybe = |percent: f64| dice.random_bool(percent / 100.0);
        let kinds = Kinds {
            crashes: maybe(60.0),
            network: maybe(50.0),
            store: maybe(50.0),
            database: maybe(40.0),
            clocks: maybe(20.0),
            disks: maybe(15.0),
            sources: maybe(20.0),
            losses: maybe(8.0),
        };
        let count = dice.random_range(1..12);
        let mut drawing = Drawing { dice, coordinators, workers };
        let mut planned: Vec<Planned> = (0..count).filter_map(|_| drawing.one(kinds)).collect();
        planned.sort_by_key(|planned| planned.at);
        Self { planned, may_fail: kinds.sources || kinds.losses }
    }
}

struct Drawing<'a> {
    dice: StdRng,
    coordinators: &'a [String],
    workers: &'a [String],
}

impl Drawing<'_> {
    fn one(&mut self, kinds: Kinds) -> Option<Planned> {
        let fault = self.fault(kinds)?;
        let at = Duration::from_millis(self.dice.random_range(0..30_000));
        let lasts = Duration::from_millis(self.dice.random_range(100..10_000));
        Some(Planned { at, lasts, fault })
    }

    fn fault(&mut self, kinds: Kinds) -> Option<Fault> {
        let possible = [
            (kinds.crashes, 0),
            (kinds.network, 1),
            (kinds.store, 2),
            (kinds.database, 3),
            (kinds.clocks, 4),
            (kinds.disks, 5),
            (kinds.sources, 6),
            (kinds.losses, 7),
        ];
        let possible: Vec<i32> =
            possible.into_iter().filter_map(|(on, kind)| on.then_some(kind)).collect();
        Some(match possible.choose(&mut self.dice)? {
            0 => Fault::Crash(self.host()),
            1 => self.between(),
            2 => Fault::Weather(self.weather()),
            3 => Fault::Trouble(self.trouble()),
            4 => {
                let hours = 3_600_000;
                Fault::Clock(self.host(), self.dice.random_range(-3 * hours..3 * hours))
            }
            5 => Fault::Disk(self.worker()),
            6 if self.dice.random_bool(0.5) => Fault::Evict(self.dice.random_range(0..1000)),
            6 => Fault::Damage(self.dice.random_range(0..1000)),
            _ => Fault::Lose(self.dice.random_range(0..1000)),
        })
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
        let down = self.dice.random_bool(0.2);
        let mut some = |most: f64| match self.dice.random_bool(0.5) {
            true => self.dice.random_range(0.0..most),
            false => 0.0,
        };
        Weather {
            down,
            lost: some(20.0),
            lost_answers: some(20.0),
            refused: some(20.0),
            damaged: some(5.0),
            doubled: some(10.0),
            slow: 250 + some(750.0) as u64,
        }
    }

    fn trouble(&mut self) -> Trouble {
        let down = self.dice.random_bool(0.3);
        let mut some = |most: f64| match self.dice.random_bool(0.5) {
            true => self.dice.random_range(0.0..most),
            false => 0.0,
        };
        Trouble { down, failing: some(20.0), lost_answers: some(20.0), slow: some(300.0) as u64 }
    }
}
