//! What happened to a build and when: kept with the facts it belongs to, told by the build log.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Something that happened to a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildEvent {
    /// The build.
    pub build_id: String,
    /// When; whole milliseconds are kept.
    pub at: OffsetDateTime,
    /// What.
    pub what: Happening,
}

/// What can happen to a build between its beginning and its end, which are in its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// A worker was given a task.
    Leased {
        /// The task.
        task_id: String,
        /// Of the lease.
        generation: u32,
        /// The worker's name.
        worker: String,
    },
    /// The media certificate was made known to the site.
    Registered {
        /// It was known there already.
        before: bool,
    },
    /// A task's result came.
    Done {
        /// The task.
        task_id: String,
    },
    /// An attempt failed; others may follow.
    Failed {
        /// The task.
        task_id: String,
        /// The worker's name.
        worker: String,
        /// What went wrong.
        what: String,
    },
    /// A worker that had the task was silent for too long.
    Lost {
        /// The task.
        task_id: String,
        /// The worker's name.
        worker: String,
    },
}
