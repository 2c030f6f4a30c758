//! Plain lines: what begins, what ends, and now and then how far it is. A pure function of what is
//! shown and of the time that is passed in.

use std::{collections::BTreeMap, time::Duration};

use prestage_proto::v1::{self, TaskState};

use super::summary::{Phase, PhaseSummary, summarize};
use crate::output::bytes;

/// A summary line is due after so long.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(10);

/// What was said so far.
#[derive(Default)]
pub struct Lines {
    states: BTreeMap<String, TaskState>,
    summarized: Duration,
    began: BTreeMap<&'static str, (Duration, u64)>,
}

impl Lines {
    /// The lines that are due now.
    pub fn update(&mut self, build: &v1::Build, elapsed: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for task in &build.tasks {
            let before = self.states.insert(task.task_id.clone(), task.state());
            if before != Some(task.state()) {
                lines.extend(changed(task, before));
            }
        }
        if elapsed.saturating_sub(self.summarized) >= SUMMARY_INTERVAL {
            self.summarized = elapsed;
            lines
                .extend(Phase::ALL.iter().filter_map(|&phase| self.summary(build, phase, elapsed)));
        }
        lines
    }

    fn summary(&mut self, build: &v1::Build, phase: Phase, elapsed: Duration) -> Option<String> {
        let summary = summarize(build, phase);
        if summary.done == summary.tasks || summary.bytes_total == 0 {
            return None;
        }
        let (since, from) =
            *self.began.entry(phase.name()).or_insert((elapsed, summary.bytes_done));
        let rate = rate(summary.bytes_done.saturating_sub(from), elapsed.saturating_sub(since));
        Some(summary_line(phase, summary, rate))
    }
}

fn changed(task: &v1::TaskStatus, before: Option<TaskState>) -> Option<String> {
    let size =
        if task.bytes_total > 0 { format!(", {}", bytes(task.bytes_total)) } else { String::new() };
    let label = format!("{} {}", task.kind, task.label);
    match task.state() {
        TaskState::Done if task.reused => Some(format!("reused   {label}{size}")),
        TaskState::Done => Some(format!("done     {label}{size}")),
        TaskState::Leased if task.generation > 1 => {
            Some(format!("again    {label}{size}, try {}", task.generation))
        }
        TaskState::Leased => Some(format!("started  {label}{size}")),
        TaskState::Failed => Some(format!("failed   {label}")),
        TaskState::Ready if before == Some(TaskState::Leased) => {
            Some(format!("waiting  {label}: {}", task.waiting_for))
        }
        _ => None,
    }
}

fn summary_line(phase: Phase, summary: PhaseSummary, rate: Option<u64>) -> String {
    let percent = summary.bytes_done * 100 / summary.bytes_total.max(1);
    let mut line = format!(
        "progress {}: {percent} %, {} of {}, {} of {} tasks",
        phase.name(),
        bytes(summary.bytes_done),
        bytes(summary.bytes_total),
        summary.done,
        summary.tasks
    );
    if let Some(rate) = rate {
        let left = (summary.bytes_total - summary.bytes_done.min(summary.bytes_total)) / rate;
        line.push_str(&format!(", {}/s, {} s left", bytes(rate), left));
    }
    line
}

/// Bytes a second, once there is something to measure.
fn rate(bytes: u64, time: Duration) -> Option<u64> {
    let millis = u64::try_from(time.as_millis()).ok().filter(|&millis| millis > 0)?;
    Some(bytes.saturating_mul(1000) / millis).filter(|&rate| rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, state: TaskState, done: u64) -> v1::TaskStatus {
        v1::TaskStatus {
            task_id: id.into(),
            kind: "encode".into(),
            label: format!("PS1{id}"),
            state: state.into(),
            bytes_done: done,
            bytes_total: 10 << 20,
            generation: 1,
            ..Default::default()
        }
    }

    fn build(tasks: Vec<v1::TaskStatus>) -> v1::Build {
        v1::Build { tasks, ..Default::default() }
    }

    #[test]
    fn says_what_changes_once() {
        let mut lines = Lines::default();
        let running = build(vec![task("1", TaskState::Leased, 0), task("2", TaskState::Ready, 0)]);
        let second = Duration::from_secs(1);
        assert_eq!(lines.update(&running, second), ["started  encode PS11, 10 MiB"]);
        assert!(lines.update(&running, second).is_empty());
        let mut reused = task("2", TaskState::Done, 10 << 20);
        reused.reused = true;
        let later = build(vec![task("1", TaskState::Done, 10 << 20), reused]);
        let expected = ["done     encode PS11, 10 MiB", "reused   encode PS12, 10 MiB"];
        assert_eq!(lines.update(&later, second), expected);
    }

    #[test]
    fn tells_rate_and_time_left() {
        let mut lines = Lines::default();
        let at = |done| build(vec![task("1", TaskState::Leased, done)]);
        lines.update(&at(0), Duration::ZERO);
        lines.update(&at(1 << 20), Duration::from_secs(10));
        let said = lines.update(&at(6 << 20), Duration::from_secs(20));
        let expected = "progress content: 60 %, 6 MiB of 10 MiB, 0 of 1 tasks, 512 KiB/s, 8 s left";
        assert_eq!(said, [expected]);
    }
}
