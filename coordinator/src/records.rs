//! Builds and tasks, as they are kept.

use prestage_proto::v1;
use time::OffsetDateTime;

/// What becomes of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuildState {
    /// Tasks are left.
    Running,
    /// The medium is there.
    Done,
    /// A task failed for good.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl BuildState {
    /// Whether nothing more happens to the build.
    pub fn is_ended(self) -> bool {
        self != Self::Running
    }

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// From how it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Running, Self::Done, Self::Failed, Self::Cancelled];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

/// One medium being made.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildRecord {
    /// Its id.
    pub build_id: String,
    /// The request that asked for it: the same one again gives the same build.
    pub request_id: String,
    /// The medium's name.
    pub name: String,
    /// Who asked.
    pub requester: String,
    /// Higher ones are served first.
    pub priority: i32,
    /// By when it should be done.
    pub deadline: Option<OffsetDateTime>,
    /// The plan. Its secret part is sealed.
    pub plan_json: Vec<u8>,
    /// Where the medium goes.
    pub output: String,
    /// How it stands.
    pub state: BuildState,
    /// Why it failed.
    pub failure: Option<v1::Failure>,
    /// When it was asked for.
    pub created: OffsetDateTime,
    /// When it ended.
    pub ended: Option<OffsetDateTime>,
    /// What was made.
    pub report_json: Vec<u8>,
    /// W3C trace context that all its tasks belong to.
    pub traceparent: String,
}

/// A unit of work that a worker leases.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// Unique within its build.
    pub task_id: String,
    /// `encode`, `run`, `join`, `splice`, `boot`, `assemble`, `merge`, `publish`.
    pub kind: String,
    /// What a person calls it.
    pub label: String,
    /// Tasks with the same key give the same result; empty for those that don't.
    pub work_key: String,
    /// What the worker gets.
    pub payload: v1::Task,
    /// Tasks of the build that must be done first.
    pub deps: Vec<String>,
    /// Bytes of content, for progress and for order.
    pub bytes_total: u64,
    /// Its result, once it is done.
    pub result: Option<v1::TaskResult>,
    /// The generation of its newest lease.
    pub generation: u32,
}

/// A task to be added; `result` is set when it need not run.
pub type NewTask = TaskRecord;
