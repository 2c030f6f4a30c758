//! What events change in the reference.

use std::collections::BTreeSet;

use prestage_proto::v1::{self, Retry, finished::Outcome, task_result};

use super::{
    super::TaskRef,
    reference::{Holder, Reference, Task, Worker},
};
use crate::pipeline::opinion_key;

/// What a call must lead to.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Told {
    pub finished: Vec<TaskRef>,
    pub failed: Vec<TaskRef>,
}

impl Reference {
    pub fn call(&mut self, request: &v1::SynchronizeRequest) -> Told {
        let (name, now) = (request.worker_id.as_str(), self.now);
        let worker = self.workers.entry(name.to_owned()).or_default();
        (worker.said, worker.last_seen) = (request.clone(), now);
        let mentioned = request.running.iter().chain(&request.stopping);
        let mentioned: BTreeSet<(String, u32)> =
            mentioned.map(|running| (running.task_id.clone(), running.generation)).collect();
        worker.stopping.retain(|lease| mentioned.contains(lease));
        self.release_kept();
        let mut told = Told::default();
        for running in &request.running {
            self.take_up(name, &running.task_id, running.generation);
        }
        for finished in &request.finished {
            self.take_up(name, &finished.task_id, finished.generation);
            self.hear(name, finished, &mut told);
        }
        let strays = mentioned.iter().filter(|lease| !self.is_known(name, lease)).count();
        if let Some(worker) = self.workers.get_mut(name) {
            worker.strays = strays;
        }
        told
    }

    /// Whether it has this lease, or has had and is known not to have stopped yet.
    fn is_known(&self, name: &str, lease: &(String, u32)) -> bool {
        let holds = |task: &Task| {
            let mut held = task.holders.iter().filter(|holder| holder.worker == name);
            task.id.to_wire() == lease.0 && held.any(|holder| holder.generation == lease.1)
        };
        self.tasks.iter().any(holds)
            || self.workers.get(name).is_some_and(|worker| worker.stopping.contains(lease))
    }

    pub fn release_kept(&mut self) {
        let now = self.now;
        for task in &mut self.tasks {
            task.kept_until = task.kept_until.filter(|until| *until > now);
        }
        self.settle();
    }

    /// After a restart the holder of the newest generation goes on.
    fn take_up(&mut self, worker: &str, task: &str, generation: u32) {
        let (since, Some(at)) = (self.now, TaskRef::from_wire(task).and_then(|id| self.find(&id)))
        else {
            return;
        };
        let task = &mut self.tasks[at];
        if !task.is_done()
            && task.holders.is_empty()
            && task.attempts == 0
            && task.record.generation == generation
        {
            task.kept_until = None;
            task.holders.push(Holder { worker: worker.to_owned(), generation, since });
            self.settle();
        }
    }

    fn hear(&mut self, worker: &str, finished: &v1::Finished, told: &mut Told) {
        let Some(at) = TaskRef::from_wire(&finished.task_id).and_then(|id| self.find(&id)) else {
            return;
        };
        let is_this =
            |held: &Holder| held.worker == worker && held.generation == finished.generation;
        let id = &self.tasks[at].id;
        if !self.tasks[at].holders.iter().any(is_this) || told.finished.contains(id) {
            return;
        }
        match &finished.outcome {
            Some(Outcome::Failure(failure)) => self.fail(worker, at, failure.retry(), told),
            _ => {
                told.finished.push(self.tasks[at].id.clone());
                if let Some(worker) = self.workers.get_mut(worker) {
                    (worker.rests, worker.resting_until) = (0, None);
                    worker.faults.clear();
                }
            }
        }
    }

    fn fail(&mut self, worker: &str, at: usize, retry: Retry, told: &mut Told) {
        let task = &mut self.tasks[at];
        let id = task.id.clone();
        task.attempts += 1;
        task.holders.retain(|holder| holder.worker != worker);
        if retry != Retry::SameWorker {
            task.failed_by.insert(worker.to_owned());
        }
        self.settle();
        if retry != Retry::Never {
            self.blame(worker, &id);
        }
        if retry == Retry::Never || self.is_hopeless(at) {
            told.failed.push(id);
        }
    }

    /// Three faults in a row while others do well, or one after a rest.
    fn blame(&mut self, name: &str, task: &TaskRef) {
        let does_well = |worker: &Worker| {
            !worker.said.draining
                && !self.is_resting(worker)
                && worker.faults.is_empty()
                && worker.rests == 0
        };
        if !self.workers.iter().any(|(other, worker)| other != name && does_well(worker)) {
            return;
        }
        let (now, policy) = (self.now, self.policy);
        if let Some(worker) = self.workers.get_mut(name) {
            worker.faults.insert(task.clone());
            if worker.faults.len() >= policy.faults_max || worker.rests > 0 {
                worker.resting_until = Some(now + policy.rest * 2u32.pow(worker.rests.min(4)));
                worker.rests += 1;
                worker.faults.clear();
            }
        }
    }

    fn is_hopeless(&self, at: usize) -> bool {
        let (task, policy) = (&self.tasks[at], &self.policy);
        task.holders.is_empty()
            && (task.failed_by.len() >= policy.workers_max
                || task.attempts >= policy.attempts_max
                || task.attempts as usize >= policy.workers_max && !self.others_may(task))
    }

    /// Silent workers lose what they have.
    pub fn expire(&mut self) -> Vec<TaskRef> {
        self.release_kept();
        let (now, ttl) = (self.now, self.policy.lease_ttl);
        let silent = self.workers.iter().filter(|(_, worker)| now > worker.last_seen + ttl);
        let silent: Vec<String> = silent.map(|(name, _)| name.clone()).collect();
        let mut failed = Vec::new();
        for name in silent {
            self.workers.remove(&name);
            let lost = |at: &usize| self.tasks[*at].is_held_by(&name);
            let lost: Vec<usize> = (0..self.tasks.len()).filter(lost).collect();
            for at in lost {
                let task = &mut self.tasks[at];
                task.attempts += 1;
                task.failed_by.insert(name.clone());
                task.holders.retain(|holder| holder.worker != name);
                self.settle();
                if self.is_hopeless(at) {
                    failed.push(self.tasks[at].id.clone());
                }
            }
        }
        failed
    }

    /// A result is durable. Gives the tasks of other builds whose result it is, too.
    pub fn finish(&mut self, id: &TaskRef, result: &v1::TaskResult) -> Vec<TaskRef> {
        let Some(at) = self.find(id) else {
            return Vec::new();
        };
        let task = &mut self.tasks[at];
        if task.holders.len() == 1 && !result.reused {
            self.measured.push(task.record.kind.clone());
        }
        task.record.result.get_or_insert_with(|| result.clone());
        task.holders.clear();
        let (build_id, key) = (id.build_id.clone(), task.record.work_key.clone());
        self.note_made(&build_id, result);
        self.settle();
        let is_same = |task: &&Task| {
            !key.is_empty()
                && task.record.work_key == key
                && !task.is_done()
                && task.holders.is_empty()
        };
        self.tasks.iter().filter(is_same).map(|task| task.id.clone()).collect()
    }

    /// Who says that it made a pack, and saw its own there, is the only one to be doubted.
    fn note_made(&mut self, build_id: &str, result: &v1::TaskResult) {
        let Some(task_result::Work::Pack(v1::PackResult { pack_key, made: true, .. })) =
            &result.work
        else {
            return;
        };
        for task in &mut self.tasks {
            if task.id.build_id == build_id
                && task.record.work_key == opinion_key(pack_key)
                && !task.is_done()
            {
                task.makers = [result.worker.clone()].into();
            }
        }
    }

    /// A build has ended.
    pub fn remove_build(&mut self, build_id: &str) {
        for task in self.tasks.extract_if(.., |task| task.id.build_id == build_id) {
            for holder in task.holders {
                if let Some(worker) = self.workers.get_mut(&holder.worker) {
                    worker.stopping.insert((task.id.to_wire(), holder.generation));
                }
            }
        }
        self.settle();
    }

    /// The coordinator is started anew: it knows what is durable, and nothing else.
    pub fn restart(&mut self, makers: impl Fn(&str) -> BTreeSet<String>) {
        self.workers.clear();
        self.measured.clear();
        let until = self.now + self.policy.return_grace;
        for task in &mut self.tasks {
            task.holders.clear();
            task.attempts = 0;
            task.failed_by.clear();
            task.makers = makers(&task.record.work_key);
            task.ready_since = None;
            task.kept_until = (!task.is_done() && task.record.generation > 0).then_some(until);
        }
        let done = self
            .tasks
            .iter()
            .filter_map(|task| Some((task.id.build_id.clone(), task.record.result.clone()?)));
        for (build_id, result) in done.collect::<Vec<_>>() {
            self.note_made(&build_id, &result);
        }
        self.settle();
    }

    /// A worker is given a task.
    pub fn give(&mut self, at: usize, worker: &str, generation: u32) {
        let since = self.now;
        let task = &mut self.tasks[at];
        task.record.generation = generation;
        task.holders.push(Holder { worker: worker.to_owned(), generation, since });
        self.settle();
    }

    /// It never heard of it.
    pub fn take_back(&mut self, worker: &str, id: &TaskRef) {
        if let Some(at) = self.find(id) {
            self.tasks[at].holders.retain(|holder| holder.worker != worker);
            self.settle();
        }
    }
}
