//! What each task waits for, since when and until when: for people, and for counting queues.

use std::{collections::HashMap, fmt, time::Duration};

use prestage_proto::v1;
use time::OffsetDateTime;

use super::{
    Scheduler, TaskEntry, TaskPhase, choose::reach_cost, task::Class, worker::WorkerEntry,
};

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Tasks of its build that come before it.
    Tasks {
        /// Not done yet.
        missing: usize,
        /// Of so many.
        of: usize,
    },
    /// Another build does the same work.
    SameWork {
        /// Which.
        build_id: String,
    },
    /// The worker that had it when the coordinator was restarted.
    Return,
    /// There is no worker at all, or none that takes tasks.
    Worker {
        /// So many there are, all draining.
        draining: usize,
    },
    /// No worker knows this kind of task.
    Release {
        /// The kind.
        kind: String,
        /// Workers there are.
        workers: usize,
    },
    /// No worker reaches any of its distribution points.
    Reach {
        /// Which.
        sources: Vec<String>,
        /// Workers there are.
        workers: usize,
    },
    /// All workers that could do it were put aside, since they fail everything.
    Rest {
        /// The first that is tried again.
        worker: String,
    },
    /// A nearer worker, for a while.
    Nearer {
        /// The names of the nearest.
        workers: Vec<String>,
    },
    /// A worker other than those that may have made what it is a second opinion on.
    Second {
        /// Their names.
        makers: Vec<String>,
    },
    /// Another try.
    Retry {
        /// Why the last one failed.
        failure: String,
    },
    /// A free slot of a worker.
    Slot {
        /// Workers that can do it.
        workers: usize,
    },
}

/// A wait, since when, and until when at the latest where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub what: Wait,
    /// Since when, on the clock that never jumps.
    pub since: Duration,
    /// Until when, on the same clock.
    pub until: Option<Duration>,
}

/// Tasks that wait for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// What for, in a word.
    pub reason: &'static str,
    /// How many.
    pub tasks: usize,
    /// How long the oldest has waited.
    pub oldest: Duration,
}

impl Wait {
    /// All that [`Wait::reason`] may say.
    pub const REASONS: [&str; 11] = [
        "tasks",
        "same_work",
        "return",
        "worker",
        "release",
        "reach",
        "rest",
        "nearer",
        "second",
        "retry",
        "slot",
    ];

    /// What for, in a word: a label of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Tasks { .. } => "tasks",
            Self::SameWork { .. } => "same_work",
            Self::Return => "return",
            Self::Worker { .. } => "worker",
            Self::Release { .. } => "release",
            Self::Reach { .. } => "reach",
            Self::Rest { .. } => "rest",
            Self::Nearer { .. } => "nearer",
            Self::Second { .. } => "second",
            Self::Retry { .. } => "retry",
            Self::Slot { .. } => "slot",
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tasks { missing, of } => write!(f, "{missing} of {of} tasks before it"),
            Self::SameWork { build_id } => write!(f, "build {build_id}, which does the same work"),
            Self::Return => write!(f, "the worker that had it before the coordinator's restart"),
            Self::Worker { draining: 0 } => write!(f, "a worker: none has reported"),
            Self::Worker { draining } => write!(f, "a worker: all {draining} are draining"),
            Self::Release { kind, workers } => {
                write!(f, "a worker of a newer release: none of {workers} knows '{kind}' tasks")
            }
            Self::Reach { sources, workers } => {
                write!(f, "a worker that reaches {}: none of {workers} does", sources.join(" or "))
            }
            Self::Rest { worker } => {
                write!(f, "'{worker}', which failed several tasks and is tried again later")
            }
            Self::Nearer { workers } => {
                write!(f, "a worker near its content ({}), then for any", workers.join(", "))
            }
            Self::Second { makers } => {
                let makers = makers.join("', '");
                write!(
                    f,
                    "a second opinion of another worker than '{makers}', who may have made it"
                )
            }
            Self::Retry { failure } => write!(f, "another try: {failure}"),
            Self::Slot { workers: 1 } => write!(f, "a free slot of the only worker that can do it"),
            Self::Slot { workers } => write!(f, "a free slot of one of {workers} workers"),
        }
    }
}

/// What the fleet is for tasks of a class.
struct Able<'a> {
    workers: Vec<(&'a WorkerEntry, u32)>,
}

type AbleByClass<'a> = HashMap<&'a Class, Able<'a>>;

impl Scheduler {
    /// What a task waits for; `None` if it doesn't.
    fn waiting<'a>(
        &'a self,
        task: &'a TaskEntry,
        now: Duration,
        able: &mut AbleByClass<'a>,
    ) -> Option<Waiting> {
        if task.phase != TaskPhase::Waiting {
            return None;
        }
        let wait = |what| Some(Waiting { what, since: task.since, until: None });
        if task.missing > 0 {
            return wait(Wait::Tasks { missing: task.missing, of: task.record.deps.len() });
        }
        if task.kept_until.is_some() {
            let until = task.kept_until;
            return Some(Waiting { what: Wait::Return, since: task.since, until });
        }
        if let Some(doing) = self.flights.doing(&task.record.work_key) {
            return wait(Wait::SameWork { build_id: doing.build_id.clone() });
        }
        let since = task.ready_since.unwrap_or(task.since);
        let able = able.entry(&task.class).or_insert_with(|| self.able(&task.class));
        let (what, until) = self.wants_worker(task, able, since, now);
        Some(Waiting { what, since, until })
    }

    fn able<'a>(&'a self, class: &Class) -> Able<'a> {
        let workers = self.workers.values().filter(|worker| !worker.draining);
        let workers = workers.filter_map(|w| Some((w, reach_cost(w, class)?)));
        Able { workers: workers.collect() }
    }

    fn wants_worker(
        &self,
        task: &TaskEntry,
        able: &Able<'_>,
        since: Duration,
        now: Duration,
    ) -> (Wait, Option<Duration>) {
        if able.workers.is_empty() {
            return (self.why_nobody(&task.class), None);
        }
        if able.workers.iter().all(|(worker, _)| task.makers.contains(&worker.name)) {
            return (Wait::Second { makers: task.makers.iter().cloned().collect() }, None);
        }
        if let Some(failure) = &task.last_failure {
            return (Wait::Retry { failure: failure.what.clone() }, None);
        }
        let rested: Vec<_> = able.workers.iter().filter(|(w, _)| w.is_available(now)).collect();
        let Some(nearest) = rested.iter().map(|(_, cost)| *cost).min() else {
            let first = able.workers.iter().filter_map(|(w, _)| Some((w.resting_until?, &w.name)));
            return match first.min() {
                Some((until, name)) => (Wait::Rest { worker: name.clone() }, Some(until)),
                None => (Wait::Slot { workers: able.workers.len() }, None),
            };
        };
        let until = since + self.policy.hold_out;
        if now < until && rested.iter().any(|(_, cost)| *cost > nearest) {
            let near = rested.iter().filter(|(_, cost)| *cost == nearest);
            let workers = near.map(|(worker, _)| worker.name.clone()).collect();
            return (Wait::Nearer { workers }, Some(until));
        }
        (Wait::Slot { workers: rested.len() }, None)
    }

    fn why_nobody(&self, class: &Class) -> Wait {
        let mut taking = self.workers.values().filter(|worker| !worker.draining).peekable();
        if taking.peek().is_none() {
            return Wait::Worker { draining: self.workers.len() };
        }
        let taking: Vec<_> = taking.collect();
        let workers = taking.len();
        if !taking.iter().any(|worker| worker.knows(&class.kind)) {
            return Wait::Release { kind: class.kind.clone(), workers };
        }
        Wait::Reach { sources: class.sources.clone(), workers }
    }

    /// Why new tasks can't be done by any worker that is there; none if they can, or if there is no
    /// worker yet: workers come and go, but where some are and none can, something is wrong.
    pub fn unsatisfiable(&self, tasks: &[crate::records::TaskRecord]) -> Vec<(String, Wait)> {
        if self.workers.values().all(|worker| worker.draining) {
            return Vec::new();
        }
        let open = tasks.iter().filter(|task| task.result.is_none());
        let entries = open.map(|task| TaskEntry::new(task.clone(), Duration::ZERO));
        let nobody = entries.filter(|task| self.able(&task.class).workers.is_empty());
        nobody.map(|task| (task.record.label.clone(), self.why_nobody(&task.class))).collect()
    }

    /// How many tasks wait for what, and how long: what workers are scaled by.
    pub fn queue(&self, now: Duration) -> Vec<QueueDepth> {
        let mut depths: Vec<QueueDepth> = Vec::new();
        let mut able = AbleByClass::new();
        for task in self.builds.values().flat_map(|build| build.tasks.values()) {
            let Some(waiting) = self.waiting(task, now, &mut able) else {
                continue;
            };
            let (reason, waited) = (waiting.what.reason(), now.saturating_sub(waiting.since));
            match depths.iter_mut().find(|depth| depth.reason == reason) {
                Some(depth) => {
                    depth.tasks += 1;
                    depth.oldest = depth.oldest.max(waited);
                }
                None => depths.push(QueueDepth { reason, tasks: 1, oldest: waited }),
            }
        }
        depths
    }

    /// Slots of workers: free and busy.
    pub fn slots(&self, now: Duration) -> (usize, usize) {
        let free = self.workers.values().map(|worker| worker.free_slots(now)).sum();
        (free, self.workers.values().map(|worker| worker.leases.len()).sum())
    }

    /// Workers: those that take tasks, that are draining, that were put aside.
    pub fn worker_states(&self, now: Duration) -> [(&'static str, usize); 3] {
        let draining = self.workers.values().filter(|worker| worker.draining).count();
        let resting = |worker: &&WorkerEntry| !worker.draining && worker.is_resting(now);
        let resting = self.workers.values().filter(resting).count();
        let taking = self.workers.len() - draining - resting;
        [("taking", taking), ("draining", draining), ("resting", resting)]
    }
}

/// The tasks of a build as clients see them. `now` is the present on both clocks.
pub fn task_statuses(
    scheduler: &Scheduler,
    build_id: &str,
    now: (Duration, OffsetDateTime),
) -> Vec<v1::TaskStatus> {
    let mut able = AbleByClass::new();
    let tasks = scheduler.tasks(build_id);
    tasks
        .map(|task| status(task, scheduler.waiting(task, now.0, &mut able), now, scheduler))
        .collect()
}

fn status(
    task: &TaskEntry,
    waiting: Option<Waiting>,
    now: (Duration, OffsetDateTime),
    scheduler: &Scheduler,
) -> v1::TaskStatus {
    let record = &task.record;
    let state = match (task.phase, &waiting) {
        (TaskPhase::Done, _) => v1::TaskState::Done,
        (TaskPhase::Leased, _) => v1::TaskState::Leased,
        (_, Some(Waiting { what: Wait::Tasks { .. }, .. })) => v1::TaskState::Blocked,
        _ => v1::TaskState::Ready,
    };
    let names = task.leases.iter().filter_map(|lease| scheduler.workers.get(&lease.worker));
    let names: Vec<&str> = names.map(|worker| worker.name.as_str()).collect();
    let wall = |at: Duration| {
        let time = if at <= now.0 { now.1 - (now.0 - at) } else { now.1 + (at - now.0) };
        Some(crate::service::timestamp(time))
    };
    let since = waiting.as_ref().map_or(task.since, |waiting| waiting.since);
    v1::TaskStatus {
        task_id: record.task_id.clone(),
        kind: record.kind.clone(),
        label: record.label.clone(),
        state: state.into(),
        bytes_done: task.bytes_done(),
        bytes_total: record.bytes_total,
        worker: names.join(", "),
        generation: record.generation,
        reused: record.result.as_ref().is_some_and(|result| result.reused),
        waiting_for: waiting.as_ref().map(|w| w.what.to_string()).unwrap_or_default(),
        since: wall(since),
        until: waiting.and_then(|waiting| waiting.until).and_then(wall),
    }
}
