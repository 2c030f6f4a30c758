//! One run: hosts, people, faults; then the promises are checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use prestage_proto::v1::media_service_client::MediaServiceClient;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use turmoil::Sim;

use crate::{
    broken,
    database::{Database, Trouble},
    faults::{FAULTS_END, Fault, FaultPlan, Planned},
    hosts::{Fleet, MEDIA, PACKS},
    liar::liar,
    line::{SharedStore, Weather},
    network,
    people::{Order, Outcome, Outcomes, people},
    prepared::{PLANS, Prepared, Reference},
    promises,
    relay::relay,
    sources::Spoilt,
    world::{HostClock, World},
};

/// Hosts are looked at in turns of this length.
const TICK: Duration = Duration::from_millis(20);
/// When the faults are over, builds may take so long: some waits are minutes.
const ENDS_WITHIN: Duration = Duration::from_secs(900);
/// Then what was begun may be tidied up.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
/// Whoever starts has cleaned up after this time.
const STARTS_WITHIN: Duration = Duration::from_millis(100);

/// The host of the relay.
const RELAY: &str = "relay";
/// The host of the worker that lies.
const LIAR: &str = "liar";

/// What came of a run.
pub struct Report {
    /// Lines of the trace.
    pub lines: u64,
    /// Its SHA-256.
    pub trace: String,
    /// Promises that were not kept.
    pub broken: Vec<String>,
    /// Simulated time.
    pub took: Duration,
    /// How many builds ended in which way.
    pub ended: BTreeMap<String, usize>,
    /// Faults that happened.
    pub faults: usize,
}

/// Who is in a run, and what they do.
struct Cast {
    coordinators: Vec<String>,
    workers: Vec<String>,
    orders: Vec<Order>,
    /// Whether workers reach coordinators by way of somebody who says things twice.
    relayed: bool,
    /// Whether one more worker lies. Then all packs are made twice, or nobody would know.
    lied_to: bool,
    slow: BTreeSet<String>,
    verify_percent: u8,
    faults: FaultPlan,
}

impl Cast {
    fn draw(seed: u64, references: &[Reference]) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let named = |kind: &str, count: u32| (1..=count).map(|n| format!("{kind}{n}")).collect();
        let coordinators: Vec<String> = named("coord", dice.random_range(1..3));
        let workers: Vec<String> = named("worker", dice.random_range(2..5));
        let orders =
            (0..dice.random_range(1..4)).map(|number| order(&mut dice, number, references));
        let orders = orders.collect();
        let lied_to = dice.random_bool(0.1);
        let some = *[0, 0, 50, 100].choose(&mut dice).unwrap_or(&0);
        let verify_percent = if lied_to { 100 } else { some };
        let mut faults = FaultPlan::draw(seed, &coordinators, &workers);
        faults.may_fail |= lied_to;
        let relayed = dice.random_bool(0.25);
        let slow = workers.iter().take(usize::from(dice.random_bool(0.2))).cloned().collect();
        Self { coordinators, workers, orders, relayed, lied_to, slow, verify_percent, faults }
    }

    /// One build of each plan, and nothing goes wrong.
    fn undisturbed(plans: Vec<Reference>) -> Self {
        let order = |plan: Reference| Order {
            medium: format!("undisturbed-{}", plan.name),
            plan,
            at: Duration::from_secs(1),
            cancelled_after: None,
            requester: "alice".into(),
            priority: 0,
        };
        Self {
            coordinators: vec!["coord1".into()],
            workers: vec!["worker1".into()],
            orders: plans.into_iter().map(order).collect(),
            relayed: false,
            lied_to: false,
            slow: BTreeSet::new(),
            verify_percent: 0,
            faults: FaultPlan { planned: Vec::new(), may_fail: false },
        }
    }
}

fn order(dice: &mut StdRng, number: u32, references: &[Reference]) -> Order {
    let cancels = dice.random_bool(0.15);
    Order {
        plan: references[dice.random_range(0..references.len())].clone(),
        medium: format!("m{}-", (b'a' + number as u8) as char),
        at: Duration::from_millis(dice.random_range(500..15_000)),
        cancelled_after: cancels.then(|| Duration::from_millis(dice.random_range(0..10_000))),
        requester: ["alice", "bob"].choose(dice).map(ToString::to_string).unwrap_or_default(),
        priority: dice.random_range(0..2),
    }
}

/// Runs a seed.
pub fn run(seed: u64, prepared: &Prepared, shown: bool) -> io::Result<Report> {
    let cast = Cast::draw(seed, &prepared.references()?);
    let stage = Stage::set(World::new(seed, shown), prepared, &cast)?;
    Ok(stage.play(seed, cast)?.0)
}

/// Builds plans undisturbed; gives the files of each medium.
pub fn build_undisturbed(
    prepared: &Prepared,
    plans: Vec<Reference>,
    shown: bool,
) -> io::Result<(Report, Vec<Reference>)> {
    let cast = Cast::undisturbed(plans);
    let stage = Stage::set(World::new(0, shown), prepared, &cast)?;
    let store = stage.fleet.store.clone();
    let (report, outcomes) = stage.play(0, cast)?;
    let media = outcomes.into_iter().map(|Outcome { order, .. }| {
        let volumes = promises::volumes(&store.open(), &order.medium);
        Reference { volumes, ..order.plan }
    });
    Ok((report, media.collect()))
}

/// Has a coordinator plan media; gives the plans by name.
pub fn plan(prepared: &Prepared, shown: bool) -> io::Result<Vec<Reference>> {
    let cast = Cast::undisturbed(Vec::new());
    let stage = Stage::set(World::new(0, shown), prepared, &cast)?;
    let plans = Arc::new(Mutex::new(Vec::new()));
    let mut sim = stage.hosts(0, &cast);
    sim.client("people", planner(stage.fleet.clone(), prepared.clone(), plans.clone()));
    stage.until_done(&mut sim, &mut Scene::default())?;
    prepared.keep_listings(&stage.fleet.store.open())?;
    Ok(std::mem::take(&mut plans.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Everything but the hosts.
struct Stage {
    fleet: Fleet,
    site: PathBuf,
}

/// What of the faults is going on.
#[derive(Default)]
struct Scene {
    /// What is to come, the latest first.
    to_come: Vec<Planned>,
    /// What ends, and when.
    to_end: Vec<(Duration, Ending)>,
    happened: usize,
    /// Workers whose disk was away.
    disks: BTreeSet<String>,
}

/// How a fault ends.
enum Ending {
    Bounce(String),
    Repair(String, String),
    Release(String, String),
    Weather,
    Trouble,
    Disk(PathBuf),
    Source(Spoilt),
}

impl Stage {
    fn set(world: World, prepared: &Prepared, cast: &Cast) -> io::Result<Self> {
        prepared.renew_site()?;
        let store = watched_store(&world, &cast.orders);
        prepared.put_listings(&mut store.open(), world.now())?;
        let hosts = cast.coordinators.iter().chain(&cast.workers);
        let clocks: BTreeMap<String, HostClock> =
            hosts.map(|host| (host.clone(), HostClock::new(&world))).collect();
        let fleet = Fleet {
            database: Database::new(&world),
            store,
            folder: prepared.folder.clone(),
            coordinators: cast.coordinators.clone(),
            reached_by_workers: match cast.relayed {
                true => vec![RELAY.to_owned()],
                false => cast.coordinators.clone(),
            },
            slow: cast.slow.clone(),
            verify_percent: cast.verify_percent,
            clocks,
            starts: Arc::default(),
            world,
        };
        let hosts = cast.coordinators.iter().chain(&cast.workers).map(String::as_str);
        for host in hosts.chain([LIAR]) {
            fs::create_dir_all(fleet.disk(host))?;
        }
        Ok(Self { fleet, site: prepared.site() })
    }

    fn hosts(&self, seed: u64, cast: &Cast) -> Sim<'static> {
        let mut sim = turmoil::Builder::new()
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(24 * 3600))
            .epoch(SystemTime::from(self.fleet.world.now()))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(60))
            .tcp_capacity(1 << 16)
            .rng_seed(seed)
            .build();
        for host in &cast.coordinators {
            let (fleet, name) = (self.fleet.clone(), host.clone());
            sim.host(host.as_str(), move || fleet.clone().coordinator(name.clone()));
        }
        for host in &cast.workers {
            let (fleet, name) = (self.fleet.clone(), host.clone());
            sim.host(host.as_str(), move || fleet.clone().worker(name.clone()));
        }
        if cast.relayed {
            let fleet = self.fleet.clone();
            sim.host(RELAY, move || relay(fleet.clone()));
        }
        if cast.lied_to {
            let fleet = self.fleet.clone();
            sim.host(LIAR, move || liar(fleet.clone(), LIAR.to_owned()));
        }
        sim
    }

    fn play(self, seed: u64, cast: Cast) -> io::Result<(Report, Vec<Outcome>)> {
        let mut sim = self.hosts(seed, &cast);
        let outcomes = Outcomes::default();
        let orders = cast.orders.clone();
        sim.client("people", people(self.fleet.clone(), orders, outcomes.clone()));
        let mut scene = Scene { to_come: cast.faults.planned.clone(), ..Scene::default() };
        scene.to_come.reverse();
        self.until_done(&mut sim, &mut scene)?;
        self.settle(&mut sim, SETTLES_WITHIN)?;
        // What could not be removed from a disk that was away goes when its worker starts again.
        for host in &scene.disks {
            sim.bounce(host.as_str());
        }
        self.settle(&mut sim, STARTS_WITHIN)?;
        drop(sim);
        let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        promises::check(&self.fleet, &cast.orders, &outcomes, cast.faults.may_fail);
        Ok((self.report(&outcomes, scene.happened), outcomes))
    }

    fn report(&self, outcomes: &[Outcome], faults: usize) -> Report {
        let (lines, trace) = self.fleet.world.trace();
        let mut ended = BTreeMap::new();
        for outcome in outcomes {
            *ended.entry(format!("{:?}", outcome.build.state()).to_lowercase()).or_default() += 1;
        }
        let (broken, took) = (self.fleet.world.broken(), self.fleet.world.elapsed());
        Report { lines, trace, broken, took, ended, faults }
    }

    /// Until everybody has what they want, or too late.
    fn until_done(&self, sim: &mut Sim<'_>, scene: &mut Scene) -> io::Result<()> {
        loop {
            self.direct(sim, scene)?;
            if sim.step().map_err(|error| io::Error::other(error.to_string()))? {
                break;
            }
            if sim.elapsed() > FAULTS_END + ENDS_WITHIN {
                broken!(self.fleet.world, "P2: not everything has ended in time");
                break;
            }
        }
        // What has not ended yet ends now.
        for (_, ending) in std::mem::take(&mut scene.to_end) {
            self.end(sim, ending)?;
        }
        Ok(())
    }

    fn settle(&self, sim: &mut Sim<'_>, within: Duration) -> io::Result<()> {
        let until = sim.elapsed() + within;
        while sim.elapsed() < until {
            self.fleet.world.set_elapsed(sim.elapsed());
            sim.step().map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }

    /// Time goes on, faults begin and end.
    fn direct(&self, sim: &mut Sim<'_>, scene: &mut Scene) -> io::Result<()> {
        let now = sim.elapsed();
        self.fleet.world.set_elapsed(now);
        let due = |(until, _): &(Duration, Ending)| *until <= now;
        while let Some(at) = scene.to_end.iter().position(due) {
            let (_, ending) = scene.to_end.remove(at);
            self.end(sim, ending)?;
        }
        while let Some(planned) = scene.to_come.pop_if(|planned| planned.at <= now) {
            self.fleet.world.note("FAULT", format_args!("{:?}", planned.fault));
            let until = (now + planned.lasts).min(FAULTS_END);
            if let Fault::Disk(host) = &planned.fault {
                scene.disks.insert(host.clone());
            }
            let ending = self.begin(sim, planned.fault)?;
            scene.happened += 1;
            scene.to_end.extend(ending.map(|ending| (until, ending)));
        }
        Ok(())
    }

    fn begin(&self, sim: &mut Sim<'_>, fault: Fault) -> io::Result<Option<Ending>> {
        Ok(Some(match fault {
            Fault::Crash(host) => {
                sim.crash(host.as_str());
                Ending::Bounce(host)
            }
            Fault::Partition(one, other) => {
                sim.partition(one.as_str(), other.as_str());
                Ending::Repair(one, other)
            }
            Fault::OneWay(from, to) => {
                sim.partition_oneway(from.as_str(), to.as_str());
                Ending::Repair(from, to)
            }
            Fault::Hold(one, other) => {
                sim.hold(one.as_str(), other.as_str());
                Ending::Release(one, other)
            }
            Fault::Weather(weather) => {
                self.fleet.store.set_weather(weather);
                Ending::Weather
            }
            Fault::Trouble(trouble) => {
                self.fleet.database.set_trouble(trouble);
                Ending::Trouble
            }
            Fault::Clock(host, wrong_by) => {
                if let Some(clock) = self.fleet.clocks.get(&host) {
                    clock.jump(wrong_by);
                }
                return Ok(None);
            }
            Fault::Disk(host) => {
                let staging = self.fleet.disk(&host).join("prestage-staging");
                if !staging.is_dir() {
                    return Ok(None);
                }
                fs::rename(&staging, staging.with_extension("aside"))?;
                fs::write(&staging, "this is no folder")?;
                Ending::Disk(staging)
            }
            Fault::Evict(number) => self.spoil(Spoilt::vanish(&self.site, number)?),
            Fault::Damage(number) => self.spoil(Spoilt::damage(&self.site, number)?),
            Fault::Lose(number) => {
                self.lose_pack(number);
                return Ok(None);
            }
        }))
    }

    fn spoil(&self, spoilt: Spoilt) -> Ending {
        let path = spoilt.path().strip_prefix(&self.site).unwrap_or(spoilt.path());
        self.fleet.world.note("FAULT", format_args!("{}", path.display()));
        Ending::Source(spoilt)
    }

    fn lose_pack(&self, number: usize) {
        let mut store = self.fleet.store.open();
        let mut packs = store.keys(PACKS);
        packs.retain(|key| key.starts_with("site/packs/"));
        if let Some(key) = packs.get(number % packs.len().max(1)) {
            self.fleet.world.note("FAULT", format_args!("{key} is gone"));
            store.evict(PACKS, key);
        }
    }

    fn end(&self, sim: &mut Sim<'_>, ending: Ending) -> io::Result<()> {
        match ending {
            Ending::Bounce(host) => sim.bounce(host.as_str()),
            Ending::Repair(one, other) => sim.repair(one.as_str(), other.as_str()),
            Ending::Release(one, other) => sim.release(one.as_str(), other.as_str()),
            Ending::Weather => self.fleet.store.set_weather(Weather::default()),
            Ending::Trouble => self.fleet.database.set_trouble(Trouble::default()),
            Ending::Disk(staging) => {
                fs::remove_file(&staging)?;
                fs::rename(staging.with_extension("aside"), &staging)?;
            }
            Ending::Source(spoilt) => spoilt.undo()?,
        }
        Ok(())
    }
}

/// A store that looks at each medium when it gets its name.
fn watched_store(world: &World, orders: &[Order]) -> SharedStore {
    let world = world.clone();
    let expected: BTreeMap<String, Bytes> = orders
        .iter()
        .flat_map(|order| {
            let volumes = order.plan.volumes.iter();
            volumes.map(|(end, body)| (format!("{}{end}", order.medium), body.clone()))
        })
        .collect();
    SharedStore::new(move |bucket, key, body| {
        if let Some(whole) = expected.get(key).filter(|_| bucket == MEDIA)
            && !body.is_empty()
            && body != whole
        {
            let (found, wanted) = (body.len(), whole.len());
            broken!(
                world,
                "P1: {key} appears with {found} bytes that are not the {wanted} it should have"
            );
        }
    })
}

/// Somebody who wants plans.
async fn planner(
    fleet: Fleet,
    prepared: Prepared,
    plans: Arc<Mutex<Vec<Reference>>>,
) -> turmoil::Result {
    let coordinators = network::coordinators(&fleet.coordinators);
    let mut client = MediaServiceClient::new(coordinators.patient(Duration::from_secs(30)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    for name in PLANS {
        let request = prepared.request(name, fleet.world.now())?;
        let answer = client.plan_media(request).await?.into_inner();
        let plan = Reference { name, plan_json: answer.plan_json, volumes: Vec::new() };
        plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
    }
    Ok(())
}
