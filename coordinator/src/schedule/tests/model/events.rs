//! What happens to a fleet, drawn at random.

use prestage_proto::v1::{self, Retry, task::Work};
use proptest::prelude::*;

use super::super::{example_task, reach};
use crate::{pipeline::opinion_key, records::TaskRecord};

/// One event. Numbers that are too large wrap round, so that all of a history stays meaningful when it is
/// shrunk.
#[derive(Clone)]
pub enum Event {
    Add { requester: u8, priority: i32, tasks: Vec<Planned> },
    Follow { build: u8, task: Planned },
    Call(Call),
    Cancel { build: u8 },
    Time { seconds: u8 },
    Expire,
    Restart,
}

/// A task that is planned.
#[derive(Clone)]
pub struct Planned {
    pub kind: Kind,
    /// After the one before it, or the one before that.
    pub after: [bool; 2],
    pub content: Content,
    /// Work that several builds need; 0 is this task's alone.
    pub work: u8,
    pub mib: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Encode,
    Verify,
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Store,
    Dp1,
    Dp2,
    Either,
}

/// A worker calls.
#[derive(Clone)]
pub struct Call {
    pub worker: u8,
    pub slots: u32,
    pub draining: bool,
    pub reach: Reaches,
    pub knows: Knows,
    /// It was started anew: of what it had it says nothing.
    pub forgets: bool,
    /// What it gave up has ended.
    pub stopped: bool,
    /// What it says of leases that it has or ever had, counted from the newest.
    pub news: Vec<(u8, News)>,
    pub database: Database,
}

#[derive(Clone, Copy, Debug)]
pub enum Reaches {
    Everything,
    NearDp1,
    OnlyDp2,
}

#[derive(Clone, Copy, Debug)]
pub enum Knows {
    /// It is of the release before kinds were said.
    Nothing,
    Everything,
    Opinions,
}

#[derive(Clone, Copy, Debug)]
pub enum News {
    Done { made: bool },
    Failed(Retry),
}

/// What the database takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Works,
    /// New leases can't be written down.
    NoLeases,
    /// The first result is written down, what follows for other builds is not.
    NoShared,
}

impl Planned {
    pub fn sources(&self) -> &'static [&'static str] {
        match (self.kind, self.content) {
            (Kind::Merge, _) | (_, Content::Store) => &[],
            (_, Content::Dp1) => &["dp1"],
            (_, Content::Dp2) => &["dp2"],
            (_, Content::Either) => &["dp1", "dp2"],
        }
    }

    /// As the `number`th task of a build.
    pub fn record(&self, build: &str, number: usize) -> TaskRecord {
        let behind = |back: usize| number.checked_sub(back).map(|before| before.to_string());
        let deps = [(self.after[0], behind(1)), (self.after[1], behind(2))];
        let deps = deps.into_iter().filter_map(|(wanted, dep)| dep.filter(|_| wanted));
        let pack = match self.work {
            0 => format!("{build}/{number}"),
            work => format!("work {work}"),
        };
        let (kind, work_key) = match self.kind {
            Kind::Encode => ("encode", pack.clone()),
            Kind::Verify => ("verify", opinion_key(&pack)),
            // What has no key is nobody else's.
            Kind::Merge => ("merge", String::new()),
        };
        TaskRecord {
            kind: kind.into(),
            work_key,
            payload: v1::Task { objects_url: "/objects".into(), work: self.work(&pack) },
            deps: deps.collect(),
            bytes_total: u64::from(self.mib) << 20,
            ..example_task(&number.to_string(), &[])
        }
    }

    fn work(&self, pack: &str) -> Option<Work> {
        let source = |name: &&str| v1::ContentSource {
            distribution_point: (*name).to_owned(),
            content_library: String::new(),
        };
        let sources = self.sources().iter().map(source).collect();
        let encode = v1::EncodeTask { sources, pack_key: pack.into(), ..Default::default() };
        match self.kind {
            Kind::Encode => Some(Work::Encode(encode)),
            Kind::Verify => Some(Work::Verify(v1::VerifyTask { encode: Some(encode) })),
            Kind::Merge => None,
        }
    }
}

impl Knows {
    pub fn said(self) -> Vec<String> {
        let kinds: &[&str] = match self {
            Self::Nothing => &[],
            Self::Everything => &["encode", "verify", "merge"],
            Self::Opinions => &["verify"],
        };
        kinds.iter().map(|kind| (*kind).to_owned()).collect()
    }
}

impl Reaches {
    pub fn said(self) -> Vec<v1::Reach> {
        match self {
            Self::Everything => Vec::new(),
            Self::NearDp1 => reach(&[("dp1", 0), ("*", 9)]),
            Self::OnlyDp2 => reach(&[("dp2", 3)]),
        }
    }
}

/// A history: builds and workers first, or nothing would happen for long.
pub fn histories() -> impl Strategy<Value = Vec<Event>> {
    let begin = (proptest::collection::vec(add(), 1..4), proptest::collection::vec(call(), 0..4));
    (begin, proptest::collection::vec(event(), 0..60))
        .prop_map(|((builds, calls), rest)| [builds, calls, rest].concat())
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => add(),
        1 => (0u8..8, planned()).prop_map(|(build, task)| Event::Follow { build, task }),
        24 => call(),
        1 => (0u8..8).prop_map(|build| Event::Cancel { build }),
        5 => (1u8..9).prop_map(|seconds| Event::Time { seconds }),
        1 => (10u8..30).prop_map(|seconds| Event::Time { seconds }),
        2 => Just(Event::Expire),
        1 => Just(Event::Restart),
    ]
}

fn add() -> impl Strategy<Value = Event> {
    let priority = prop_oneof![3 => Just(0), 1 => Just(1)];
    (0u8..3, priority, proptest::collection::vec(planned(), 1..6))
        .prop_map(|(requester, priority, tasks)| Event::Add { requester, priority, tasks })
}

fn planned() -> impl Strategy<Value = Planned> {
    let kind =
        prop_oneof![5 => Just(Kind::Encode), 2 => Just(Kind::Verify), 1 => Just(Kind::Merge)];
    let content = prop_oneof![
        2 => Just(Content::Store), 2 => Just(Content::Dp1), 1 => Just(Content::Dp2), 1 => Just(Content::Either)
    ];
    let after = [proptest::bool::weighted(0.3), proptest::bool::weighted(0.2)];
    (kind, after, content, 0u8..4, 0u8..64).prop_map(|(kind, after, content, work, mib)| Planned {
        kind,
        after,
        content,
        work,
        mib,
    })
}

fn call() -> impl Strategy<Value = Event> {
    let reach = prop_oneof![
        3 => Just(Reaches::Everything), 1 => Just(Reaches::NearDp1), 1 => Just(Reaches::OnlyDp2)
    ];
    let database = prop_oneof![
        20 => Just(Database::Works), 1 => Just(Database::NoLeases), 1 => Just(Database::NoShared)
    ];
    let seldom = || proptest::bool::weighted(0.06);
    let news = proptest::collection::vec((0u8..4, news()), 0..3);
    let slots = prop_oneof![1 => Just(0u32), 12 => 1u32..4];
    let knows = prop_oneof![4 => Just(Knows::Everything), 1 => Just(Knows::Nothing)];
    let stopped = proptest::bool::weighted(0.8);
    (0u8..4, slots, seldom(), reach, knows, seldom(), stopped, news, database).prop_map(
        |(worker, slots, draining, reach, knows, forgets, stopped, news, database)| {
            Event::Call(Call {
                worker,
                slots,
                draining,
                reach,
                knows,
                forgets,
                stopped,
                news,
                database,
            })
        },
    )
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        5 => any::<bool>().prop_map(|made| News::Done { made }),
        2 => Just(News::Failed(Retry::OtherWorker)),
        1 => Just(News::Failed(Retry::SameWorker)),
        1 => proptest::bool::weighted(0.3).prop_map(|never| News::Failed(
            if never { Retry::Never } else { Retry::OtherWorker }
        )),
    ]
}
