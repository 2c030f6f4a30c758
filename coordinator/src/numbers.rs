//! What operators watch: queues by reason, workers, task times, bytes by way, hit rates.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use prestage_proto::v1::{self, task::Work, task_result};
use prestage_telemetry::Number;

use crate::{
    records::BuildState,
    schedule::{Scheduler, TaskEntry, Wait},
};

/// Shows the fleet as it stands.
pub(crate) fn show_fleet(scheduler: &Scheduler, builds: usize, now: Duration) {
    let queue = scheduler.queue(now);
    // A reason that nobody waits for any more must be seen to be gone.
    for reason in Wait::REASONS {
        let depth = queue.iter().find(|depth| depth.reason == reason);
        let (tasks, oldest) = depth.map_or((0, Duration::ZERO), |d| (d.tasks, d.oldest));
        gauge!(Number::QueueTasks.name(), "reason" => reason).set(tasks as f64);
        gauge!(Number::QueueAge.name(), "reason" => reason).set(oldest.as_secs_f64());
    }
    for (state, workers) in scheduler.worker_states(now) {
        gauge!(Number::Workers.name(), "state" => state).set(workers as f64);
    }
    let (free, busy) = scheduler.slots(now);
    gauge!(Number::WorkerSlots.name(), "state" => "free").set(free as f64);
    gauge!(Number::WorkerSlots.name(), "state" => "busy").set(busy as f64);
    gauge!(Number::Builds.name(), "state" => "running").set(builds as f64);
}

/// Whether this coordinator is the active one.
pub(crate) fn show_leader(is_leader: bool) {
    gauge!(Number::Leader.name()).set(f64::from(u8::from(is_leader)));
}

/// A task is done: `took` is how long its lease lasted.
pub(crate) fn count_done(task: &TaskEntry, result: &v1::TaskResult, took: Option<Duration>) {
    let kind = task.record.kind.clone();
    let outcome = if result.reused { "reused" } else { "done" };
    counter!(Number::Tasks.name(), "kind" => kind.clone(), "outcome" => outcome).increment(1);
    if let Some(took) = took.filter(|_| !result.reused) {
        histogram!(Number::TaskSeconds.name(), "kind" => kind).record(took.as_secs_f64());
    }
    let count = |way: &'static str, bytes: u64| {
        counter!(Number::Bytes.name(), "way" => way).increment(bytes);
    };
    if result.reused {
        return count("reused", task.record.bytes_total);
    }
    count("read", result.bytes_read);
    match (&task.record.payload.work, &result.work) {
        (Some(Work::Splice(_)), _) => count("spliced", result.bytes_written),
        (_, Some(task_result::Work::Merge(merged))) => {
            count("copied", merged.bytes_copied);
            count("uploaded", merged.bytes_uploaded);
        }
        (_, Some(task_result::Work::Pack(_) | task_result::Work::Run(_))) => {
            count("encoded", result.bytes_written);
        }
        _ => {}
    }
}

/// A lease came to nothing.
pub(crate) fn count_setback(kind: &str, outcome: &'static str) {
    counter!(Number::Tasks.name(), "kind" => kind.to_owned(), "outcome" => outcome).increment(1);
}

/// Two workers made different packs of the same content.
pub(crate) fn count_poisoned() {
    counter!(Number::PoisonedPacks.name()).increment(1);
}

/// A lease was not lent access to the object store.
pub(crate) fn count_not_lent() {
    counter!(Number::NotLent.name()).increment(1);
}

/// A build ended.
pub(crate) fn count_build(state: BuildState) {
    counter!(Number::BuildsEnded.name(), "outcome" => state.as_str()).increment(1);
}
