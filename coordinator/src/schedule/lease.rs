//! Leases: granted, renewed, finished, lost.

use std::{collections::BTreeSet, time::Duration};

use prestage_proto::v1::{self, Retry, finished::Outcome};
use prost::Message;

use super::{Expired, Scheduler, Synchronized, TaskPhase, TaskRef, worker::WorkerEntry};
use crate::events::Happening;

impl Scheduler {
    /// A worker says what it is doing. What it says of leases that are not its own, or of an older
    /// generation, changes nothing.
    pub fn synchronize(&mut self, request: &v1::SynchronizeRequest, now: Duration) -> Synchronized {
        self.note_worker(request, now);
        let mut answer = Synchronized::default();
        for running in &request.running {
            self.note_running(&request.worker_id, running, now);
        }
        for finished in &request.finished {
            self.note_finished(&request.worker_id, finished, now, &mut answer);
        }
        answer
    }

    fn note_worker(&mut self, request: &v1::SynchronizeRequest, now: Duration) {
        let worker = self.workers.entry(request.worker_id.clone());
        let worker = worker.or_insert_with(|| WorkerEntry {
            name: String::new(),
            slots: 0,
            draining: false,
            last_seen: now,
            leases: BTreeSet::new(),
        });
        worker.name.clone_from(&request.worker_name);
        worker.slots = request.slots as usize;
        worker.draining = request.draining;
        worker.last_seen = now;
    }

    fn note_running(&mut self, worker: &str, running: &v1::Running, now: Duration) {
        let Some(task) = TaskRef::from_wire(&running.task_id) else {
            return;
        };
        let Some(entry) = self.task_mut(&task) else {
            return;
        };
        // After a restart of the coordinator nobody holds anything: the holder of the newest
        // generation takes its lease up again.
        let orphaned = matches!(entry.phase, TaskPhase::Waiting)
            && entry.record.generation == running.generation
            && entry.attempts == 0;
        if orphaned {
            entry.enter(TaskPhase::Leased { worker: worker.to_owned() }, now);
        }
        if !entry.is_held_by(worker, running.generation) {
            return;
        }
        entry.bytes_done = running.bytes_done.min(entry.record.bytes_total);
        if orphaned && let Some(worker) = self.workers.get_mut(worker) {
            worker.leases.insert(task);
        }
    }

    fn note_finished(
        &mut self,
        worker: &str,
        finished: &v1::Finished,
        now: Duration,
        answer: &mut Synchronized,
    ) {
        let running = v1::Running {
            task_id: finished.task_id.clone(),
            generation: finished.generation,
            ..Default::default()
        };
        self.note_running(worker, &running, now);
        let Some(task) = TaskRef::from_wire(&finished.task_id) else {
            return;
        };
        let attempts_max = self.policy.attempts_max;
        let Some(entry) = self.task_mut(&task) else {
            return;
        };
        if !entry.is_held_by(worker, finished.generation) {
            return;
        }
        let failure = match &finished.outcome {
            Some(Outcome::Result(result)) => match v1::TaskResult::decode(result.clone()) {
                // The lease ends when the result is durable: see `Scheduler::finish`.
                Ok(result) => {
                    answer.finished.push((task, result));
                    return;
                }
                Err(error) => failure(format!("a worker's result can't be read: {error}")),
            },
            Some(Outcome::Failure(failure)) => failure.clone(),
            None => failure("a worker ended a task without saying how".into()),
        };
        entry.attempts += 1;
        let never = failure.retry() == Retry::Never;
        if failure.retry() != Retry::SameWorker {
            entry.avoided.insert(worker.to_owned());
        }
        entry.last_failure = Some(failure.clone());
        let told = if failure.r#where.is_empty() {
            failure.what.clone()
        } else {
            format!("{} ({})", failure.what, failure.r#where)
        };
        entry.give_back(now);
        if never || entry.attempts >= attempts_max {
            answer.failed.push((task.clone(), failure));
        }
        self.forget_lease(worker, &task);
        let name = self.workers.get(worker).map(|worker| worker.name.clone()).unwrap_or_default();
        let task_id = task.task_id.clone();
        answer.setbacks.push((task, Happening::Failed { task_id, worker: name, what: told }));
    }

    pub(super) fn forget_lease(&mut self, worker: &str, task: &TaskRef) {
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.leases.remove(task);
        }
    }

    /// Fills the free slots of a worker. The new leases count from now on.
    pub fn grant(&mut self, worker_id: &str, now: Duration) -> Vec<(TaskRef, u32)> {
        let mut granted = Vec::new();
        while let Some(worker) = self.workers.get(worker_id) {
            if worker.draining || worker.leases.len() >= worker.slots {
                break;
            }
            let Some(task) = self.next_for(worker_id) else {
                break;
            };
            let Some(entry) = self.task_mut(&task) else {
                break;
            };
            entry.record.generation += 1;
            let generation = entry.record.generation;
            entry.enter(TaskPhase::Leased { worker: worker_id.to_owned() }, now);
            if let Some(build) = self.builds.get_mut(&task.build_id) {
                build.served += 1;
            }
            if let Some(worker) = self.workers.get_mut(worker_id) {
                worker.leases.insert(task.clone());
            }
            granted.push((task, generation));
        }
        granted
    }

    /// Takes back leases that could not be made durable, before anybody has heard of them.
    pub fn revoke(&mut self, worker_id: &str, leases: &[(TaskRef, u32)], now: Duration) {
        for (task, _) in leases {
            if let Some(entry) = self.task_mut(task) {
                entry.give_back(now);
            }
            self.forget_lease(worker_id, task);
        }
    }

    /// All that a worker should be doing.
    pub fn desired(&self, worker_id: &str) -> Vec<(TaskRef, u32, v1::Task)> {
        let leases = self.workers.get(worker_id).into_iter().flat_map(|worker| &worker.leases);
        let known = leases.filter_map(|task| {
            let entry = self.task(task)?;
            Some((task.clone(), entry.record.generation, entry.record.payload.clone()))
        });
        known.collect()
    }

    /// Workers that were silent for too long lose their leases.
    pub fn expire(&mut self, now: Duration) -> Expired {
        let silent = |worker: &WorkerEntry| now.saturating_sub(worker.last_seen);
        let ttl = self.policy.lease_ttl;
        let lost: Vec<String> = self
            .workers
            .iter()
            .filter(|(_, worker)| silent(worker) > ttl)
            .map(|(id, _)| id.clone())
            .collect();
        let mut expired = Expired::default();
        for id in lost {
            let Some(worker) = self.workers.remove(&id) else {
                continue;
            };
            tracing::warn!(worker = worker.name, leases = worker.leases.len(), "a worker is lost");
            for task in worker.leases {
                self.lose(&id, &worker.name, task, now, &mut expired);
            }
        }
        expired
    }

    fn lose(
        &mut self,
        worker_id: &str,
        name: &str,
        task: TaskRef,
        now: Duration,
        expired: &mut Expired,
    ) {
        let attempts_max = self.policy.attempts_max;
        let Some(entry) = self.task_mut(&task) else {
            return;
        };
        let what = Happening::Lost { task_id: task.task_id.clone(), worker: name.to_owned() };
        expired.setbacks.push((task.clone(), what));
        entry.attempts += 1;
        entry.avoided.insert(worker_id.to_owned());
        entry.give_back(now);
        if entry.attempts >= attempts_max {
            let label = &entry.record.label;
            let attempts = entry.attempts;
            let what = format!("{label}: {attempts} workers were lost while they did it");
            let last = format!("the last one was '{name}'");
            expired.failed.push((task, v1::Failure { r#where: last, ..failure(what) }));
        }
    }
}

fn failure(what: String) -> v1::Failure {
    v1::Failure {
        what,
        advice: "see the workers' logs".into(),
        retry: Retry::OtherWorker.into(),
        ..Default::default()
    }
}
