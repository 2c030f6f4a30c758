//! A build in numbers: how far each phase is.

use prestage_proto::v1;

/// The phases of a build, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Fetching, encoding, splicing.
    Content,
    /// Tree, layout, tables.
    Assemble,
    /// Placing packs into the medium.
    Merge,
    /// Verification, and the final name.
    Publish,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Content, Self::Assemble, Self::Merge, Self::Publish];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Assemble => "assemble",
            Self::Merge => "merge",
            Self::Publish => "publish",
        }
    }

    /// The phase that a task belongs to.
    pub fn of(task: &v1::TaskStatus) -> Self {
        match task.kind.as_str() {
            "assemble" => Self::Assemble,
            "merge" => Self::Merge,
            "publish" => Self::Publish,
            _ => Self::Content,
        }
    }
}

/// How far a phase is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseSummary {
    /// Tasks of it.
    pub tasks: u32,
    /// Tasks that are done.
    pub done: u32,
    /// Of these, tasks whose result was there already.
    pub reused: u32,
    /// Bytes to be worked on, without those that were there.
    pub bytes_total: u64,
    /// Bytes done of them.
    pub bytes_done: u64,
}

/// Sums a phase up.
pub fn summarize(build: &v1::Build, phase: Phase) -> PhaseSummary {
    let mut summary = PhaseSummary::default();
    for task in build.tasks.iter().filter(|task| Phase::of(task) == phase) {
        summary.tasks += 1;
        if task.state() == v1::TaskState::Done {
            summary.done += 1;
        }
        if task.reused {
            summary.reused += 1;
        } else {
            summary.bytes_total += task.bytes_total;
            summary.bytes_done += task.bytes_done;
        }
    }
    summary
}
