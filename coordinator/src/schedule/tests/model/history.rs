//! A history is played to the scheduler, as the engine would, and to the reference; they are compared after
//! each event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prestage_proto::v1::{self, finished::Outcome, task_result};
use proptest::{prop_assert, prop_assert_eq, test_runner::TestCaseError};
use prost::Message;
use time::OffsetDateTime;

use super::super::{BuildOrder, SECOND, Scheduler, TaskPhase, TaskRef, call, failed};
use super::{
    events::{Call, Database, Event, News, Planned},
    policy,
    reference::{Reference, Task},
};
use crate::{records::TaskRecord, schedule::task_statuses};

type Checked = Result<(), TestCaseError>;
type LeaseId = (TaskRef, u32);

pub struct History {
    pub fleet: Scheduler,
    pub reference: Reference,
    durable: Durable,
    workers: BTreeMap<String, Sides>,
    /// Builds in the order in which they came.
    builds: Vec<(String, BuildOrder, usize)>,
    /// A number for each result that is brought.
    results: u64,
}

/// What the database keeps.
#[derive(Default)]
struct Durable {
    /// Of each task that was ever given out, its newest generation.
    generations: BTreeMap<TaskRef, u32>,
    /// Packs and workers that were given them.
    makers: BTreeSet<(String, String)>,
}

/// What a worker knows.
#[derive(Default)]
struct Sides {
    /// As of the last answer.
    leases: Vec<LeaseId>,
    /// Given up, not ended.
    stopping: Vec<LeaseId>,
    /// All that it ever had, the newest last.
    had: Vec<LeaseId>,
}

impl History {
    pub fn new() -> Self {
        Self {
            fleet: Scheduler::new(policy()),
            reference: Reference::new(policy(), SECOND),
            durable: Durable::default(),
            workers: BTreeMap::new(),
            builds: Vec::new(),
            results: 0,
        }
    }

    pub fn play(&mut self, event: &Event) -> Checked {
        match event {
            Event::Add { requester, priority, tasks } => self.add(*requester, *priority, tasks),
            Event::Follow { build, task } => self.follow(*build, task),
            Event::Call(call) => self.call(call)?,
            Event::Cancel { build } => self.cancel(*build),
            Event::Time { seconds } => self.reference.now += SECOND * u32::from(*seconds),
            Event::Expire => self.expire()?,
            Event::Restart => self.restart(),
        }
        self.compare()
    }

    fn add(&mut self, requester: u8, priority: i32, tasks: &[Planned]) {
        let id = format!("b{}", self.builds.len());
        let order = BuildOrder { requester: requester.to_string(), priority, deadline: None };
        self.fleet.add_build(&id, order.clone(), Vec::new(), self.reference.now);
        self.builds.push((id.clone(), order, 0));
        let last = self.builds.len() - 1;
        tasks.iter().for_each(|task| self.add_task(last, task));
    }

    fn follow(&mut self, build: u8, task: &Planned) {
        if let Some(at) = usize::from(build).checked_rem(self.builds.len()) {
            self.add_task(at, task);
        }
    }

    fn add_task(&mut self, at: usize, planned: &Planned) {
        let (build, order, tasks) = &mut self.builds[at];
        let record = planned.record(build, *tasks);
        *tasks += 1;
        let id = TaskRef::new(build, &record.task_id);
        let makers = self.durable.makers_of(&record.work_key);
        let now = self.reference.now;
        self.fleet.add_tasks(build, vec![record.clone()], now);
        self.fleet.add_makers(&id, makers.clone());
        if self.fleet.task(&id).is_none() {
            return;
        }
        self.reference.tasks.push(Task {
            id,
            priority: order.priority,
            sources: planned.sources(),
            record,
            holders: Vec::new(),
            attempts: 0,
            failed_by: BTreeSet::new(),
            makers,
            kept_until: None,
            ready_since: None,
        });
        self.reference.settle();
    }

    fn cancel(&mut self, build: u8) {
        if let Some(at) = usize::from(build).checked_rem(self.builds.len()) {
            let id = self.builds[at].0.clone();
            self.remove(&id);
        }
    }

    fn remove(&mut self, build: &str) {
        self.fleet.remove_build(build, self.reference.now);
        self.reference.remove_build(build);
    }

    fn expire(&mut self) -> Checked {
        let expired = self.fleet.expire(self.reference.now).failed;
        let failed = self.reference.expire();
        let of_fleet: Vec<&TaskRef> = expired.iter().map(|(task, _)| task).collect();
        prop_assert_eq!(of_fleet, failed.iter().collect::<Vec<_>>(), "given up with their workers");
        failed.iter().for_each(|task| self.remove(&task.build_id));
        Ok(())
    }

    fn restart(&mut self) {
        let now = self.reference.now;
        for task in &mut self.reference.tasks {
            task.record.generation = self.durable.generations.get(&task.id).copied().unwrap_or(0);
        }
        let durable = &self.durable;
        self.reference.restart(|key| durable.makers_of(key));
        self.fleet = Scheduler::new(policy());
        for (build, order, _) in &self.builds {
            let of_build = |task: &&Task| task.id.build_id == *build;
            let tasks = self.reference.tasks.iter().filter(of_build);
            let records: Vec<TaskRecord> = tasks.clone().map(|task| task.record.clone()).collect();
            if records.is_empty() {
                continue;
            }
            self.fleet.add_build(build, order.clone(), records, now);
            tasks.for_each(|task| self.fleet.add_makers(&task.id, task.makers.clone()));
            self.fleet.note_all_made(build);
        }
        // What followed from durable results is done once more.
        let done = self.reference.tasks.iter().filter(|task| task.is_done());
        let done: Vec<_> =
            done.filter_map(|t| Some((t.id.clone(), t.record.result.clone()?))).collect();
        for (task, result) in done {
            self.finish(&task, &result, Database::Works);
        }
    }

    fn call(&mut self, called: &Call) -> Checked {
        let name = format!("w{}", called.worker);
        let request = self.request(&name, called);
        let answer = self.fleet.synchronize(&request, self.reference.now);
        let told = self.reference.call(&request);
        let finished: Vec<&TaskRef> = answer.finished.iter().map(|(task, _)| task).collect();
        prop_assert_eq!(finished, told.finished.iter().collect::<Vec<_>>(), "results that count");
        let failed: Vec<&TaskRef> = answer.failed.iter().map(|(task, _)| task).collect();
        prop_assert_eq!(failed, told.failed.iter().collect::<Vec<_>>(), "tasks given up");
        for task in &told.failed {
            self.remove(&task.build_id);
        }
        for (task, result) in &answer.finished {
            self.finish(task, result, called.database);
        }
        self.grant(&name, called.database)
    }

    /// As the engine does it.
    fn finish(&mut self, task: &TaskRef, result: &v1::TaskResult, database: Database) {
        let now = self.reference.now;
        let same = self.fleet.finish(task, result, now);
        self.reference.finish(task, result);
        let shared = v1::TaskResult { reused: true, ..result.clone() };
        for task in same.iter().filter(|_| database != Database::NoShared) {
            self.fleet.finish(task, &shared, now);
            self.reference.finish(task, &shared);
        }
    }

    fn grant(&mut self, name: &str, database: Database) -> Checked {
        let now = self.reference.now;
        let granted = self.fleet.grant(name, now);
        for (id, generation) in &granted {
            prop_assert_eq!(self.reference.forbids(name, id), None, "{:?} to {}", id, name);
            prop_assert_eq!(self.reference.prefers(name, id), None, "{:?} to {}", id, name);
            let at = self.reference.find(id).unwrap();
            let before = self.reference.tasks[at].record.generation;
            prop_assert!(*generation > before, "{:?}: {} after {}", id, generation, before);
            self.reference.give(at, name, *generation);
        }
        if database == Database::NoLeases && !granted.is_empty() {
            self.fleet.revoke(name, &granted, now);
            granted.iter().for_each(|(id, _)| self.reference.take_back(name, id));
            return Ok(());
        }
        for (id, generation) in granted {
            self.fleet.note_maker(&id, name);
            let at = self.reference.find(&id).unwrap();
            self.reference.note_maker(at, name);
            self.durable.lease(&self.reference.tasks[at], name, generation);
        }
        let idle = self.reference.due(name).next().map(|task| &task.id);
        prop_assert_eq!(idle, None, "{} has a free slot and is not given this", name);
        let desired = self.fleet.desired(name).into_iter();
        let leases = desired.map(|(task, generation, _)| (task, generation)).collect();
        self.workers.entry(name.into()).or_default().answered(leases);
        Ok(())
    }

    fn request(&mut self, name: &str, called: &Call) -> v1::SynchronizeRequest {
        let worker = self.workers.entry(name.into()).or_default();
        if called.forgets {
            worker.leases.clear();
        }
        if called.stopped || called.forgets {
            worker.stopping.clear();
        }
        let mut finished = Vec::new();
        for (back, news) in &called.news {
            let from_newest = usize::from(*back).checked_rem(worker.had.len());
            if let Some(lease) = from_newest.and_then(|back| worker.had.iter().rev().nth(back)) {
                self.results += 1;
                finished.push(self.reference.report(lease, *news, self.results));
            }
        }
        let running = |leases: &[LeaseId]| -> Vec<v1::Running> {
            let running = |(task, generation): &LeaseId| v1::Running {
                task_id: task.to_wire(),
                generation: *generation,
                bytes_done: 1,
            };
            leases.iter().map(running).collect()
        };
        v1::SynchronizeRequest {
            draining: called.draining,
            reach: called.reach.said(),
            kinds: called.knows.said(),
            running: running(&worker.leases),
            stopping: running(&worker.stopping),
            finished,
            ..call(name, called.slots)
        }
    }

    /// Each task stands where the reference says, and who waits says for what.
    fn compare(&self) -> Checked {
        let reference = &self.reference;
        for task in &reference.tasks {
            let entry = self.fleet.task(&task.id);
            let entry =
                entry.ok_or_else(|| TestCaseError::fail(format!("{:?} is gone", task.id)))?;
            let phase = match (task.is_done(), task.holders.is_empty()) {
                (true, _) => TaskPhase::Done,
                (false, false) => TaskPhase::Leased,
                (false, true) => TaskPhase::Waiting,
            };
            prop_assert_eq!(entry.phase, phase, "{:?}", &task.id);
            prop_assert_eq!(&entry.record.result, &task.record.result, "{:?}", &task.id);
            let leases: BTreeSet<_> =
                entry.leases.iter().map(|lease| (&lease.worker, lease.generation)).collect();
            let holders = task.holders.iter().map(|holder| (&holder.worker, holder.generation));
            prop_assert_eq!(leases, holders.collect(), "{:?}", &task.id);
        }
        let now = (reference.now, OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1 << 30));
        for (build, ..) in &self.builds {
            for status in task_statuses(&self.fleet, build, now) {
                let task = reference.find(&TaskRef::new(build, &status.task_id));
                let task = task.map(|at| &reference.tasks[at]);
                let waits = task.is_some_and(|task| !task.is_done() && task.holders.is_empty());
                prop_assert_eq!(waits, !status.waiting_for.is_empty(), "{:?}", status);
                let blocked = task.is_some_and(|task| waits && !reference.are_deps_done(task));
                prop_assert_eq!(blocked, status.state() == v1::TaskState::Blocked, "{:?}", status);
            }
        }
        Ok(())
    }

    /// Tasks of running builds that are not done.
    pub fn open(&self) -> Vec<&TaskRef> {
        self.reference.tasks.iter().filter(|task| !task.is_done()).map(|task| &task.id).collect()
    }
}

impl Durable {
    fn makers_of(&self, work_key: &str) -> BTreeSet<String> {
        let of_pack = |(opinion, _): &&(String, String)| opinion == work_key;
        self.makers.iter().filter(of_pack).map(|(_, worker)| worker.clone()).collect()
    }

    fn lease(&mut self, task: &Task, worker: &str, generation: u32) {
        self.generations.insert(task.id.clone(), generation);
        if task.record.kind == "encode" {
            let opinion = crate::pipeline::opinion_key(&task.record.work_key);
            self.makers.insert((opinion, worker.to_owned()));
        }
    }
}

impl Sides {
    fn answered(&mut self, leases: Vec<LeaseId>) {
        let gone = |lease: &LeaseId| !leases.contains(lease);
        self.stopping.extend(self.leases.extract_if(.., |lease| gone(lease)));
        let new = leases.iter().filter(|lease| !self.had.contains(lease)).cloned();
        self.had.extend(new.collect::<Vec<_>>());
        self.leases = leases;
    }
}

impl Reference {
    /// What a worker says of a lease. Each result is another one.
    fn report(&self, (task, generation): &LeaseId, news: News, number: u64) -> v1::Finished {
        let News::Done { made } = news else {
            let News::Failed(retry) = news else { unreachable!() };
            return failed(task, *generation, retry);
        };
        let work = self.find(task).map(|at| &self.tasks[at].record).map(|record| {
            let key = record.work_key.as_str();
            let pack_key = key.strip_prefix("verify ").unwrap_or(key).to_owned();
            match record.kind.as_str() {
                "verify" => {
                    task_result::Work::Verify(v1::VerifyResult { pack_key, ..Default::default() })
                }
                _ => {
                    task_result::Work::Pack(v1::PackResult { pack_key, made, ..Default::default() })
                }
            }
        });
        let result = v1::TaskResult { work, bytes_read: number, ..Default::default() };
        let outcome = Some(Outcome::Result(result.encode_to_vec().into()));
        v1::Finished { task_id: task.to_wire(), generation: *generation, outcome }
    }
}
