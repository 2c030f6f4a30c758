//! The two sides of the protocol: the product's scheduler behind the engine's rules, and a worker by the
//! rules of `worker/src/leases.rs`.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug, Formatter},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use prestage_proto::v1;

use super::super::{BuildOrder, Policy, Scheduler, TaskRef, call, done, example_task};
use crate::records::TaskRecord;

/// Time stands still: what time brings about are events of their own.
pub const NOW: Duration = Duration::from_secs(1000);
pub const SLOTS: u32 = 1;

/// A task, by its number, and the generation of its lease.
pub type LeaseId = (usize, u32);

/// A result that somebody brought.
pub type Brought = (usize, LeaseId);

/// What is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable {
    pub epoch: u8,
    pub tasks: Vec<Kept>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    pub generation: u32,
    pub result: Option<Brought>,
    /// Its build is cancelled.
    pub ended: bool,
}

/// A coordinator that leads, or believes that it does.
#[derive(Clone)]
pub struct Coordinator {
    pub epoch: u8,
    pub fleet: Scheduler,
    /// All of it that matters, as text: by it coordinators are compared.
    seen: String,
}

/// A worker's leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Worker {
    pub running: BTreeSet<LeaseId>,
    pub stopping: BTreeSet<LeaseId>,
    pub finished: BTreeSet<LeaseId>,
    /// It waits for an answer.
    pub calls: bool,
}

pub fn worker_name(number: usize) -> String {
    format!("w{number}")
}

/// Each task is a build of its own, the first one more urgent: so the order is no matter of history.
pub fn task_ref(number: usize) -> TaskRef {
    TaskRef::new(&format!("b{number}"), "1")
}

/// What [`task_ref`] was made of.
pub fn number(task: &TaskRef) -> usize {
    usize::from(task.build_id == "b1")
}

fn policy() -> Policy {
    Policy { faults_max: 99, ..Policy::default() }
}

impl Coordinator {
    /// Takes the lead: from what is durable, as `engine::start` does.
    pub fn start(durable: &Durable, same_work: bool) -> Arc<Self> {
        let mut fleet = Scheduler::new(policy());
        for (at, kept) in durable.tasks.iter().enumerate().filter(|(_, kept)| !kept.ended) {
            let result = kept.result.map(|brought| v1::TaskResult {
                bytes_read: digits(brought),
                ..Default::default()
            });
            let work_key = if same_work { "same".into() } else { at.to_string() };
            let (generation, example) = (kept.generation, example_task("1", &[]));
            let record = TaskRecord { work_key, generation, result, ..example };
            let priority = if at == 0 { 1 } else { 0 };
            let order = BuildOrder { requester: "me".into(), priority, deadline: None };
            fleet.add_build(&task_ref(at).build_id, order, vec![record], NOW);
        }
        Self { epoch: durable.epoch, fleet, seen: String::new() }.changed()
    }

    /// To be called after every change.
    pub fn changed(mut self) -> Arc<Self> {
        self.seen = self.view();
        Arc::new(self)
    }

    /// What it believes a task's result to be.
    pub fn result(&self, task: usize) -> Option<u64> {
        Some(self.fleet.task(&task_ref(task))?.record.result.as_ref()?.bytes_read)
    }

    pub fn desired(&self, worker: usize) -> BTreeSet<LeaseId> {
        let desired = self.fleet.desired(&worker_name(worker)).into_iter();
        desired.map(|(task, generation, _)| (number(&task), generation)).collect()
    }

    /// A worker is taken to be lost.
    pub fn lose(&mut self, worker: usize) -> bool {
        let Some(entry) = self.fleet.workers.get_mut(&worker_name(worker)) else {
            return false;
        };
        entry.last_seen = Duration::ZERO;
        self.fleet.expire(NOW);
        true
    }

    /// The time is over for which tasks are kept for their workers.
    pub fn stop_keeping(&mut self) -> bool {
        let kept = !self.fleet.kept.is_empty();
        self.fleet.release_kept(NOW + policy().return_grace);
        kept
    }

    /// All that decides what it does next. Workers are the same whenever they were seen, and how much builds
    /// were given does not matter here.
    fn view(&self) -> String {
        use std::fmt::Write;
        let mut view = format!("epoch {}", self.epoch);
        for (build, entry) in &self.fleet.builds {
            for task in entry.tasks.values() {
                let result = task.record.result.as_ref().map(|result| result.bytes_read);
                let leases = task.leases.iter().map(|lease| (&lease.worker, lease.generation));
                let _ = write!(
                    view,
                    "; {build}: {:?} {} {result:?} {:?} {} {:?} {} {} {} {}",
                    task.phase,
                    task.record.generation,
                    leases.collect::<Vec<_>>(),
                    task.attempts,
                    task.avoided,
                    task.last_failure.is_some(),
                    task.kept_until.is_some(),
                    task.ready_since.is_some(),
                    task.missing,
                );
            }
        }
        for (name, worker) in &self.fleet.workers {
            let leases = worker.leases.iter().map(|(task, held)| (task, held.generation));
            let (leases, stopping) = (leases.collect::<Vec<_>>(), &worker.stopping);
            let free = worker.free_slots(NOW);
            let _ = write!(view, "; {name}: {leases:?} {stopping:?} {free}");
        }
        view
    }
}

impl Debug for Coordinator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)
    }
}

impl PartialEq for Coordinator {
    fn eq(&self, other: &Self) -> bool {
        self.seen == other.seen
    }
}

impl Hash for Coordinator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seen.hash(state);
    }
}

/// Tells results apart.
pub fn digits((worker, (task, generation)): Brought) -> u64 {
    (worker as u64 + 1) * 1000 + (task as u64 + 1) * 100 + u64::from(generation)
}

/// What [`digits`] wrote.
pub fn brought(result: &v1::TaskResult) -> Brought {
    let (digits, generation) = (result.bytes_read as usize, result.bytes_read as u32 % 100);
    (digits / 1000 - 1, (digits / 100 % 10 - 1, generation))
}

impl Worker {
    /// As `Leases::follow` does it.
    pub fn follow(&mut self, desired: &BTreeSet<LeaseId>) {
        self.finished.retain(|lease| desired.contains(lease));
        self.stopping.extend(self.running.extract_if(.., |lease| !desired.contains(lease)));
        for lease in desired {
            if !self.stopping.contains(lease) && !self.finished.contains(lease) {
                self.running.insert(*lease);
            }
        }
    }

    /// As `Worker::note_silence` and `Leases::give_up` do it.
    pub fn give_up(&mut self) {
        self.finished.clear();
        self.stopping.append(&mut self.running);
    }

    pub fn request(&self, number: usize) -> v1::SynchronizeRequest {
        let said = |leases: &BTreeSet<LeaseId>| {
            let said = leases.iter().map(|(task, generation)| v1::Running {
                task_id: task_ref(*task).to_wire(),
                generation: *generation,
                bytes_done: 0,
            });
            said.collect()
        };
        let finished = self.finished.iter().map(|lease| {
            let result =
                v1::TaskResult { bytes_read: digits((number, *lease)), ..Default::default() };
            let encoded = prost::Message::encode_to_vec(&result).into();
            let outcome = Some(v1::finished::Outcome::Result(encoded));
            v1::Finished { outcome, ..done(&task_ref(lease.0), lease.1) }
        });
        v1::SynchronizeRequest {
            running: said(&self.running),
            stopping: said(&self.stopping),
            finished: finished.collect(),
            ..call(&worker_name(number), SLOTS)
        }
    }
}
