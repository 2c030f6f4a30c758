//! Which task a worker should do next.

use std::{collections::HashMap, time::Duration};

use super::{
    BuildEntry, Scheduler, TaskEntry, TaskPhase, TaskRef, task::Class, worker::WorkerEntry,
};

/// Kinds that two workers may do at once: what they make is a pure function of the task, published
/// under a name that says so, and the second one finds the first one's.
const MAY_RUN_TWICE: [&str; 4] = ["encode", "run", "splice", "boot"];

impl Scheduler {
    /// The task that `worker` should do next: of the first build in order that has one for it, its
    /// largest; if there is none, another try at one that is far behind.
    pub(super) fn next_for(&self, worker: &str, now: Duration) -> Option<TaskRef> {
        let entry = self.workers.get(worker)?;
        let horizon = self.policy.deadline_horizon;
        let mut builds: Vec<(_, &String, &BuildEntry)> = self
            .ready_builds
            .iter()
            .filter_map(|build_id| self.builds.get_key_value(build_id))
            .map(|(id, build)| {
                (self.shares.turn(&build.order, build.served, now, horizon), id, build)
            })
            .collect();
        builds.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut nearest = HashMap::new();
        let chosen = builds.into_iter().find_map(|(_, build_id, build)| {
            let task_id = self.pick(build, worker, entry, now, &mut nearest)?;
            Some(TaskRef::new(build_id, task_id))
        });
        chosen.or_else(|| self.straggler_for(worker, entry, now))
    }

    /// A build's largest task that suits the worker.
    fn pick<'a>(
        &self,
        build: &'a BuildEntry,
        worker: &str,
        entry: &WorkerEntry,
        now: Duration,
        nearest: &mut HashMap<&'a Class, Option<u32>>,
    ) -> Option<&'a str> {
        let mut best: Option<(u64, &'a str)> = None;
        for (class, tasks) in build.ready.classes() {
            let Some(cost) = reach_cost(entry, class) else {
                continue;
            };
            for (bytes, task_id) in tasks {
                if best.is_some_and(|(most, _)| most >= bytes) {
                    break;
                }
                let Some(task) = build.tasks.get(task_id) else {
                    continue;
                };
                let shunned = task.avoided.contains(worker) && self.others_may(task)
                    || task.makers.contains(&entry.name);
                let least = match task.avoided.is_empty() && task.makers.is_empty() {
                    true => *nearest.entry(class).or_insert_with(|| self.nearest(task, now)),
                    false => self.nearest(task, now),
                };
                if !shunned && !self.is_held_out(task, cost, least, now) {
                    best = Some((bytes, task_id));
                    break;
                }
            }
        }
        best.map(|(_, task_id)| task_id)
    }

    /// Whether a worker that has not failed the task could do it.
    pub(super) fn others_may(&self, task: &TaskEntry) -> bool {
        self.workers.iter().any(|(id, worker)| {
            !worker.draining
                && !task.avoided.contains(id)
                && !task.makers.contains(&worker.name)
                && reach_cost(worker, &task.class).is_some()
        })
    }

    /// What the task costs the worker that is nearest to its content.
    pub(super) fn nearest(&self, task: &TaskEntry, now: Duration) -> Option<u32> {
        let able = self.workers.iter().filter(|(id, worker)| {
            worker.is_available(now)
                && !task.avoided.contains(*id)
                && !task.makers.contains(&worker.name)
        });
        able.filter_map(|(_, worker)| reach_cost(worker, &task.class)).min()
    }

    /// Whether the task still waits for a nearer worker.
    fn is_held_out(
        &self,
        task: &TaskEntry,
        cost: u32,
        nearest: Option<u32>,
        now: Duration,
    ) -> bool {
        let since = task.ready_since.unwrap_or(now);
        nearest.is_some_and(|nearest| nearest < cost) && now < since + self.policy.hold_out
    }

    /// A task of another worker's that is far behind: first result wins.
    fn straggler_for(&self, worker: &str, entry: &WorkerEntry, now: Duration) -> Option<TaskRef> {
        let leased = self.workers.iter().filter(|(id, _)| *id != worker);
        let leased = leased.flat_map(|(_, other)| other.leases.keys());
        leased
            .filter(|task| self.is_straggler(task, worker, entry, now))
            .max_by_key(|task| self.task(task).map(|task| now.saturating_sub(task.since)))
            .cloned()
    }

    fn is_straggler(
        &self,
        task: &TaskRef,
        worker: &str,
        entry: &WorkerEntry,
        now: Duration,
    ) -> bool {
        let Some(task) = self.task(task) else {
            return false;
        };
        let (record, [lease]) = (&task.record, &task.leases[..]) else {
            return false;
        };
        let ran = now.saturating_sub(lease.since);
        task.phase == TaskPhase::Leased
            && MAY_RUN_TWICE.contains(&record.kind.as_str())
            && !task.avoided.contains(worker)
            && reach_cost(entry, &task.class).is_some()
            && ran >= self.policy.straggler_after
            && self.paces.is_straggler(&record.kind, record.bytes_total, lease.bytes_done, ran)
    }
}

/// What tasks of a class cost a worker; `None` if it can't do them.
pub(super) fn reach_cost(worker: &WorkerEntry, class: &Class) -> Option<u32> {
    worker.knows(&class.kind).then(|| worker.reach.cost(&class.sources)).flatten()
}
