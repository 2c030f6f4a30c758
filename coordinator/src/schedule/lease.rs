//! Leases: granted, renewed, finished.

use std::time::Duration;

use bytes::Bytes;
use prestage_proto::v1::{self, finished::Outcome, task_result};
use prost::Message;

use crate::pipeline::{check_answer, opinion_key};

use super::{
    Scheduler, Synchronized, TaskEntry, TaskPhase, TaskRef,
    order::cost,
    setback::failure,
    task::Lease,
    worker::{HeldLease, WorkerEntry},
};

impl Scheduler {
    /// A worker says what it is doing. What it says of leases that are not its own, or of an older
    /// generation, changes nothing.
    pub fn synchronize(&mut self, request: &v1::SynchronizeRequest, now: Duration) -> Synchronized {
        let worker = self.workers.entry(request.worker_id.clone());
        worker.or_insert_with(|| WorkerEntry::new(now)).note(request, now);
        self.release_kept(now);
        let mut answer = Synchronized::default();
        for running in &request.running {
            self.note_running(&request.worker_id, running, now);
        }
        for finished in &request.finished {
            self.note_finished(&request.worker_id, finished, now, &mut answer);
        }
        if let Some(worker) = self.workers.get_mut(&request.worker_id) {
            worker.count_strays(request);
        }
        answer
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
        let orphaned = entry.phase == TaskPhase::Waiting
            && entry.record.generation == running.generation
            && entry.attempts == 0;
        if orphaned {
            self.release(&task, now);
            self.hand_over(&task, worker, running.generation, now);
        }
        if let Some(entry) = self.task_mut(&task) {
            let bytes_total = entry.record.bytes_total;
            if let Some(lease) = entry.lease_mut(worker, running.generation) {
                lease.bytes_done = running.bytes_done.min(bytes_total);
            }
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
        let Some(entry) = self.task_mut(&task) else {
            return;
        };
        if entry.lease_mut(worker, finished.generation).is_none() {
            return;
        }
        // Its result is about to be made durable: another word on the same lease comes too late.
        if answer.finished.iter().any(|(known, _)| *known == task) {
            return;
        }
        let failure = match &finished.outcome {
            Some(Outcome::Result(result)) => match v1::TaskResult::decode(result.clone()) {
                // The lease ends when the result is durable: see `Scheduler::finish`.
                Ok(result) => match check_answer(&entry.record.payload, &result) {
                    Ok(()) => {
                        let known = self.workers.get_mut(worker);
                        let name = known.map(|worker| {
                            worker.note_success();
                            worker.name.clone()
                        });
                        let worker = name.unwrap_or_default();
                        answer.finished.push((task, v1::TaskResult { worker, ..result }));
                        return;
                    }
                    Err(error) => failure(error.to_string()),
                },
                Err(error) => failure(format!("a worker's result can't be read: {error}")),
            },
            Some(Outcome::Failure(failure)) => failure.clone(),
            None => failure("a worker ended a task without saying how".into()),
        };
        self.note_failure(worker, task, failure, now, answer);
    }

    /// Fills the free slots of a worker. The new leases count from now on.
    pub fn grant(&mut self, worker_id: &str, now: Duration) -> Vec<(TaskRef, u32)> {
        let mut granted = Vec::new();
        while self.workers.get(worker_id).is_some_and(|worker| worker.free_slots(now) > 0) {
            let Some(task) = self.next_for(worker_id, now) else {
                break;
            };
            let Some(entry) = self.task_mut(&task) else {
                break;
            };
            entry.record.generation += 1;
            let (generation, bytes) = (entry.record.generation, entry.record.bytes_total);
            self.hand_over(&task, worker_id, generation, now);
            if let Some(build) = self.builds.get_mut(&task.build_id) {
                build.served = build.served.saturating_add(cost(bytes));
                self.shares.give(&build.order.requester, bytes);
            }
            granted.push((task, generation));
        }
        granted
    }

    /// A worker was given a task, and that is durable: it may have made whatever lies under the task's name
    /// from now on, so it gives no second opinion on it, in no build.
    pub fn note_maker(&mut self, task: &TaskRef, worker: &str) {
        let Some(entry) = self.task(task).filter(|entry| entry.record.kind == "encode") else {
            return;
        };
        for opinion in self.flights.open(&opinion_key(&entry.record.work_key)) {
            self.add_makers(&opinion, [worker.to_owned()]);
        }
    }

    /// A worker that says that it made what lies there itself is the only one to be doubted: the digest that
    /// it gave for it is compared with what is found. Of what was found there, nobody knows whose it is.
    pub(super) fn note_made(&mut self, task: &TaskRef, result: &v1::TaskResult) {
        let Some(task_result::Work::Pack(v1::PackResult { pack_key, made: true, .. })) =
            &result.work
        else {
            return;
        };
        for opinion in self.flights.open(&opinion_key(pack_key)) {
            if opinion.build_id == task.build_id
                && let Some(entry) = self.task_mut(&opinion)
            {
                entry.makers = [result.worker.clone()].into();
            }
        }
    }

    /// The same of what was done before a build was taken up.
    pub fn note_all_made(&mut self, build_id: &str) {
        let done = |task: &TaskEntry| {
            let result = task.record.result.clone()?;
            Some((TaskRef::new(build_id, &task.record.task_id), result))
        };
        let all: Vec<_> = self.tasks(build_id).filter_map(done).collect();
        for (task, result) in all {
            self.note_made(&task, &result);
        }
    }

    /// Who may have made what a task is a second opinion on.
    pub fn add_makers(&mut self, opinion: &TaskRef, makers: impl IntoIterator<Item = String>) {
        if let Some(entry) = self.task_mut(opinion) {
            entry.makers.extend(makers);
        }
    }

    /// The worker has the task from now on.
    fn hand_over(&mut self, task: &TaskRef, worker_id: &str, generation: u32, now: Duration) {
        let Some(worker) = self.workers.get_mut(worker_id) else {
            return;
        };
        let build = self.builds.get_mut(&task.build_id);
        let Some(entry) = build.and_then(|build| build.tasks.get_mut(&task.task_id)) else {
            return;
        };
        let payload = worker.reach.fitted(&entry.record.payload).encode_to_vec().into();
        worker.leases.insert(task.clone(), HeldLease { generation, task: payload });
        let worker = worker_id.to_owned();
        entry.leases.push(Lease { worker, generation, since: now, bytes_done: 0 });
        if entry.phase == TaskPhase::Waiting {
            entry.enter(TaskPhase::Leased, now);
        }
        let key = entry.record.work_key.clone();
        self.flights.set_leased(&key, task, true);
        self.refresh(task, now);
        self.refresh_work(&key, now);
    }

    /// A lease is over without a result. The task waits again, if nobody else has it.
    pub(super) fn take_back(&mut self, task: &TaskRef, worker_id: &str, now: Duration) {
        if let Some(worker) = self.workers.get_mut(worker_id) {
            worker.leases.remove(task);
        }
        let Some(entry) = self.task_mut(task) else {
            return;
        };
        entry.leases.retain(|lease| lease.worker != worker_id);
        if !entry.leases.is_empty() || entry.phase != TaskPhase::Leased {
            return;
        }
        entry.enter(TaskPhase::Waiting, now);
        let key = entry.record.work_key.clone();
        self.flights.set_leased(&key, task, false);
        self.refresh(task, now);
        self.refresh_work(&key, now);
    }

    /// Takes back leases that could not be made durable, before anybody has heard of them.
    pub fn revoke(&mut self, worker_id: &str, leases: &[(TaskRef, u32)], now: Duration) {
        for (task, _) in leases {
            self.take_back(task, worker_id, now);
        }
    }

    /// All that a worker should be doing: tasks are encoded.
    pub fn desired(&self, worker_id: &str) -> Vec<(TaskRef, u32, Bytes)> {
        let leases = self.workers.get(worker_id).into_iter().flat_map(|worker| &worker.leases);
        leases.map(|(task, held)| (task.clone(), held.generation, held.task.clone())).collect()
    }
}
