//! Several builds and several collectors in random orders on a real folder, each killed at any step, with
//! clocks that differ. `tests.rs` has every order of one build and one collector.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use prestage_cases::cases;
use proptest::prelude::*;
use tempfile::TempDir;

use super::mark::MARGIN;
use super::tests::{DAY, add_pack, keep_a_day, set_modified};
use super::*;
use crate::keys::{BuildId, ObjectKey, PackKey};
use crate::location::ObjectUrl;
use crate::objects::Objects;

const PACKS: [&str; 3] = ["one", "two", "three"];

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A build takes its next step; a new one begins when it has ended.
    Build {
        number: usize,
        ahead: bool,
    },
    KillBuild {
        number: usize,
    },
    /// A collector takes its next step.
    Collector {
        number: usize,
    },
    KillCollector {
        number: usize,
    },
    /// In the middle of a pack: its index is gone, it is not.
    TearPack {
        number: usize,
    },
    Time {
        minutes: u64,
    },
}

/// Where a build is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    New,
    Pinned,
    Waited,
    /// It relies on what it saw and on what it made.
    Uses,
}

#[derive(Default)]
struct Build {
    stage: Stage,
    runs: usize,
}

#[derive(Default)]
struct Collector {
    /// When it set its mark.
    marked: Option<SystemTime>,
    collection: Option<Collection>,
    removed: usize,
    runs: usize,
}

struct World {
    objects: Objects,
    builds: [Build; 2],
    collectors: [Collector; 2],
    now: SystemTime,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(&ObjectUrl::Local(folder.path().to_path_buf())).await.unwrap();
        let (builds, collectors, now) = (Default::default(), Default::default(), SystemTime::now());
        let world = Self { objects, builds, collectors, now, _folder: folder };
        for pack in PACKS {
            world.add_pack(pack, now - DAY * 9).await;
        }
        world
    }

    fn touch(&self, key: &ObjectKey, modified: SystemTime) {
        set_modified(&self.objects, key, modified);
    }

    async fn add_pack(&self, name: &str, modified: SystemTime) {
        let pack = add_pack(&self.objects, name).await;
        for key in [pack.pack(), pack.index()] {
            self.touch(&key, modified);
        }
    }

    async fn is_whole(&self, name: &str) -> bool {
        let pack = PackKey::of(name.as_bytes());
        self.objects.head(&pack.index()).await.unwrap().is_some()
            && self.objects.head(&pack.pack()).await.unwrap().is_some()
    }

    /// Each build uses one pack of its own, and one that both use.
    fn packs_of(number: usize) -> [&'static str; 2] {
        [PACKS[number], PACKS[2]]
    }

    fn id(&self, number: usize) -> BuildId {
        BuildId::new(format!("build-{number}-{}", self.builds[number].runs)).unwrap()
    }

    /// A build's clock goes ahead or behind, by as much as is allowed for.
    async fn step_build(&mut self, number: usize, ahead: bool) {
        let id = self.id(number);
        let clock = if ahead { self.now + MARGIN } else { self.now - MARGIN };
        let stage = match self.builds[number].stage {
            Stage::New => {
                let keys = Self::packs_of(number).map(|name| PackKey::of(name.as_bytes()).index());
                Pin::new(keys).put(&self.objects, &id).await.unwrap();
                self.touch(&id.pin(), self.now);
                Stage::Pinned
            }
            Stage::Pinned if mark::anybody(&self.objects, clock).await.unwrap() => Stage::Pinned,
            Stage::Pinned => Stage::Waited,
            Stage::Waited => {
                for name in Self::packs_of(number) {
                    if !self.is_whole(name).await {
                        self.add_pack(name, self.now).await;
                    }
                }
                Stage::Uses
            }
            Stage::Uses => {
                Pin::note_use(&self.objects, &id, clock).await.unwrap();
                self.objects.delete(&id.pin()).await.unwrap();
                self.builds[number].runs += 1;
                Stage::New
            }
        };
        self.builds[number].stage = stage;
    }

    async fn step_collector(&mut self, number: usize) {
        let name = format!("collector-{number}-{}", self.collectors[number].runs);
        let (now, objects) = (self.now, self.objects.clone());
        let collector = &mut self.collectors[number];
        let Some(marked) = collector.marked else {
            mark::set(&objects, &name).await.unwrap();
            collector.marked = Some(now);
            self.touch(&mark::key(&name).unwrap(), now);
            return;
        };
        let Some(collection) = &collector.collection else {
            // It sets its mark once more: the time counts from the first one here.
            let begun = Collection::begin(&objects, &name, &keep_a_day(), now).await.unwrap();
            collector.collection = Some(begun);
            self.touch(&mark::key(&name).unwrap(), marked);
            return;
        };
        let is_late = now.duration_since(marked).unwrap() >= COLLECTING_MAX;
        match collection.chosen.get(collector.removed).filter(|_| !is_late) {
            Some((item, _)) => {
                collection.remove(*item).await.unwrap();
                collector.removed += 1;
            }
            None => {
                mark::clear(&objects, &name).await.unwrap();
                *collector = Collector { runs: collector.runs + 1, ..Collector::default() };
            }
        }
    }

    /// A killed collector in the middle of a pack.
    async fn tear(&mut self, number: usize) {
        let collector = &mut self.collectors[number];
        let is_late = |marked| self.now.duration_since(marked).unwrap() >= COLLECTING_MAX;
        if let (Some(collection), false) =
            (&collector.collection, collector.marked.is_none_or(is_late))
            && let Some((item, _)) = collection.chosen.get(collector.removed)
        {
            self.objects.delete(&collection.items[*item].keys[0]).await.unwrap();
        }
        self.kill_collector(number);
    }

    fn kill_collector(&mut self, number: usize) {
        let runs = self.collectors[number].runs + 1;
        self.collectors[number] = Collector { runs, ..Collector::default() };
    }

    async fn play(&mut self, event: Event) {
        match event {
            Event::Build { number, ahead } => self.step_build(number, ahead).await,
            Event::Collector { number } => self.step_collector(number).await,
            Event::KillBuild { number } => {
                self.builds[number] =
                    Build { runs: self.builds[number].runs + 1, ..Build::default() };
            }
            Event::KillCollector { number } => self.kill_collector(number),
            Event::TearPack { number } => self.tear(number).await,
            Event::Time { minutes } => self.now += Duration::from_secs(minutes * 60),
        }
    }

    /// What builds rely on that is not there.
    async fn missed(&self) -> Vec<(usize, &'static str)> {
        let mut missed = Vec::new();
        for (number, build) in self.builds.iter().enumerate() {
            for name in Self::packs_of(number) {
                if build.stage == Stage::Uses && !self.is_whole(name).await {
                    missed.push((number, name));
                }
            }
        }
        missed
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..2usize, any::<bool>()).prop_map(|(number, ahead)| Event::Build { number, ahead }),
        8 => (0..2usize).prop_map(|number| Event::Collector { number }),
        1 => (0..2usize).prop_map(|number| Event::KillBuild { number }),
        1 => (0..2usize).prop_map(|number| Event::KillCollector { number }),
        1 => (0..2usize).prop_map(|number| Event::TearPack { number }),
        // Around the time for which marks count, most of all.
        2 => prop_oneof![Just(9u64), Just(10), Just(11), 1..9u64]
            .prop_map(|minutes| Event::Time { minutes }),
    ]
}

async fn check(events: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new().await;
    for event in events {
        world.play(*event).await;
        prop_assert_eq!(world.missed().await, [], "after {:?}", event);
    }
    // Collectors that die now hold nobody up for longer than they may, whatever the clocks.
    (0..2).for_each(|number| world.kill_collector(number));
    world.now += COLLECTING_MAX + MARGIN * 2 + Duration::from_secs(1);
    for number in 0..2 {
        while world.builds[number].stage != Stage::Uses {
            let before = world.builds[number].stage;
            world.step_build(number, false).await;
            prop_assert_ne!(before, world.builds[number].stage, "it is held up for ever");
        }
    }
    // In the end all goes that nobody uses: at once, or after the month that an abandoned pin counts.
    for number in 0..2 {
        world.step_build(number, false).await;
    }
    world.now += DAY * 32;
    for run in ["last", "and after that"] {
        Collection::begin(&world.objects, run, &keep_a_day(), world.now)
            .await
            .unwrap()
            .end()
            .await
            .unwrap();
    }
    let left = Collection::rehearse(&world.objects, &keep_a_day(), world.now).await.unwrap();
    prop_assert_eq!((left.kept, left.removed.len()), (0, 0));
    let left = world.objects.list("builds").try_next().await.unwrap();
    prop_assert!(left.is_none(), "{:?} is left", left);
    // Whoever looks for collectors next removes the marks of those that were killed.
    prop_assert!(!mark::anybody(&world.objects, world.now).await.unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn what_builds_saw_stays_and_all_else_goes(events in proptest::collection::vec(event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(&events))?;
    }
}

/// The longest that a collector removes, seen by a build whose clock is ahead: too seldom in random orders.
#[tokio::test]
async fn a_mark_counts_for_as_long_as_its_collector_may_remove() {
    let mut world = World::new().await;
    let (collector, build) =
        (Event::Collector { number: 0 }, Event::Build { number: 0, ahead: true });
    let late = Event::Time { minutes: 9 };
    let events = [collector, collector, late, build, build, build];
    for event in events.into_iter().chain([collector; 3]) {
        world.play(event).await;
        assert_eq!(world.missed().await, []);
    }
    assert_eq!(world.builds[0].stage, Stage::Pinned, "it waits");
    assert_eq!(world.collectors[0].removed, 3);
}
