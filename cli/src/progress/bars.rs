//! Bars on a terminal: one for each phase that has bytes, one for each running task.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use prestage_proto::v1::{self, TaskState};

use super::summary::{Phase, summarize};

const PHASE: &str = "{prefix:>9.bold} {bar:32.cyan/blue} {bytes:>10} of {total_bytes:<10} \
                     {bytes_per_sec:>12} {eta:>5} left  {msg}";
const TASK: &str = "{prefix:>9} {bar:32} {bytes:>10} of {total_bytes:<10} {wide_msg}";
const WAITING: &str = "{prefix:>9.bold} {spinner} {wide_msg}";

/// The bars of one build.
pub struct Bars {
    all: MultiProgress,
    phases: BTreeMap<Phase, ProgressBar>,
    tasks: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// No bars yet.
    pub fn new() -> Self {
        Self { all: MultiProgress::new(), phases: BTreeMap::new(), tasks: BTreeMap::new() }
    }

    /// Shows the build as it stands now.
    pub fn show(&mut self, build: &v1::Build) {
        for phase in Phase::ALL {
            self.show_phase(build, phase);
        }
        let running = |task: &&v1::TaskStatus| task.state() == TaskState::Leased;
        for task in build.tasks.iter().filter(running) {
            self.show_task(task);
        }
        let over = |id: &String| {
            let task = build.tasks.iter().find(|task| task.task_id == *id);
            task.is_none_or(|task| task.state() != TaskState::Leased)
        };
        let ended: Vec<String> = self.tasks.keys().filter(|id| over(id)).cloned().collect();
        for id in ended {
            if let Some(bar) = self.tasks.remove(&id) {
                bar.finish_and_clear();
            }
        }
    }

    fn show_phase(&mut self, build: &v1::Build, phase: Phase) {
        let summary = summarize(build, phase);
        if summary.tasks == 0 || (summary.bytes_total == 0 && summary.done == 0) {
            return;
        }
        let bar = self.phases.entry(phase).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(summary.bytes_total));
            bar.set_prefix(phase.name());
            bar.set_style(style(if summary.bytes_total > 0 { PHASE } else { WAITING }));
            bar
        });
        bar.set_length(summary.bytes_total);
        bar.set_position(summary.bytes_done);
        let reused = match summary.reused {
            0 => String::new(),
            reused => format!(", {reused} reused"),
        };
        bar.set_message(format!("{} of {} done{reused}", summary.done, summary.tasks));
    }

    fn show_task(&mut self, task: &v1::TaskStatus) {
        let bar = self.tasks.entry(task.task_id.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(task.bytes_total));
            bar.set_style(style(if task.bytes_total > 0 { TASK } else { WAITING }));
            bar.set_prefix(task.kind.clone());
            bar.set_message(task.label.clone());
            bar
        });
        bar.set_position(task.bytes_done);
        bar.tick();
    }

    /// A remark above the bars.
    pub fn say(&self, text: &str) {
        // A terminal that has gone away does not want to hear it.
        let _ = self.all.println(text);
    }

    /// Leaves the phases on the screen, takes the tasks away.
    pub fn finish(&self) {
        for bar in self.tasks.values() {
            bar.finish_and_clear();
        }
        for bar in self.phases.values() {
            bar.abandon();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
