//! What comes to nothing: failures, lost workers, and when a task or a worker is given up.

use std::time::Duration;

use prestage_proto::v1::{self, Retry};

use super::{Expired, Scheduler, Synchronized, TaskEntry, TaskRef};
use crate::events::Happening;

impl Scheduler {
    pub(super) fn note_failure(
        &mut self,
        worker: &str,
        task: TaskRef,
        failure: v1::Failure,
        now: Duration,
        answer: &mut Synchronized,
    ) {
        let Some(entry) = self.task_mut(&task) else {
            return;
        };
        entry.attempts += 1;
        let retry = failure.retry();
        if retry != Retry::SameWorker {
            entry.avoided.insert(worker.to_owned());
        }
        entry.last_failure = Some(failure.clone());
        self.take_back(&task, worker, now);
        if retry != Retry::Never {
            self.note_fault(worker, &task, now);
        }
        let name = self.workers.get(worker).map(|worker| worker.name.clone()).unwrap_or_default();
        let what = told(&failure);
        let task_id = task.task_id.clone();
        answer.setbacks.push((task.clone(), Happening::Failed { task_id, worker: name, what }));
        if retry == Retry::Never || self.is_hopeless(&task) {
            answer.failed.push((task, failure));
        }
    }

    /// A worker is put aside only while others do well: when all fail, it isn't the worker.
    fn note_fault(&mut self, worker: &str, task: &TaskRef, now: Duration) {
        let others_do_well = self
            .workers
            .iter()
            .any(|(id, other)| id != worker && other.is_available(now) && other.has_no_faults());
        let policy = self.policy;
        if let Some(worker) = self.workers.get_mut(worker).filter(|_| others_do_well) {
            worker.note_fault(task, &policy, now);
        }
    }

    /// Whether another attempt is useless: enough distinct workers came to nothing, or all there are.
    fn is_hopeless(&self, task: &TaskRef) -> bool {
        let (workers, attempts) = (self.policy.workers_max, self.policy.attempts_max);
        let hopeless = |task: &TaskEntry| {
            task.avoided.len() >= workers
                || task.attempts >= attempts
                || (task.attempts as usize >= workers && !self.others_may(task))
        };
        // Somebody else may still be at it.
        self.task(task).is_some_and(|task| task.leases.is_empty() && hopeless(task))
    }

    /// Workers that were silent for too long lose their leases.
    pub fn expire(&mut self, now: Duration) -> Expired {
        self.release_kept(now);
        let ttl = self.policy.lease_ttl;
        let silent =
            self.workers.iter().filter(|(_, worker)| now.saturating_sub(worker.last_seen) > ttl);
        let lost: Vec<String> = silent.map(|(id, _)| id.clone()).collect();
        let mut expired = Expired::default();
        for id in lost {
            let Some(worker) = self.workers.remove(&id) else {
                continue;
            };
            tracing::warn!(worker = worker.name, leases = worker.leases.len(), "a worker is lost");
            for task in worker.leases.into_keys() {
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
        let Some(entry) = self.task_mut(&task) else {
            return;
        };
        entry.attempts += 1;
        entry.avoided.insert(worker_id.to_owned());
        self.take_back(&task, worker_id, now);
        let what = Happening::Lost { task_id: task.task_id.clone(), worker: name.to_owned() };
        expired.setbacks.push((task.clone(), what));
        if self.is_hopeless(&task)
            && let Some(entry) = self.task(&task)
        {
            let (label, attempts) = (&entry.record.label, entry.attempts);
            let what = format!("{label}: {attempts} workers were lost while they did it");
            let last = format!("the last one was '{name}'");
            expired.failed.push((task, v1::Failure { r#where: last, ..failure(what) }));
        }
    }
}

fn told(failure: &v1::Failure) -> String {
    match failure.r#where.as_str() {
        "" => failure.what.clone(),
        place => format!("{} ({place})", failure.what),
    }
}

/// A failure that another worker may not have.
pub(super) fn failure(what: String) -> v1::Failure {
    v1::Failure {
        what,
        advice: "see the workers' logs".into(),
        retry: Retry::OtherWorker.into(),
        ..Default::default()
    }
}
