//! Work that several builds need: it is done once.

use std::collections::{BTreeSet, HashMap};

use prestage_proto::v1::{self, task::Work as TaskWork, task_result};

use super::TaskRef;

/// Tasks by the work that they are: those with one key have one result.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    works: HashMap<String, Work>,
}

#[derive(Clone, Debug, Default)]
struct Work {
    /// Tasks that are not done.
    open: BTreeSet<TaskRef>,
    /// Those of them that a worker has.
    leased: BTreeSet<TaskRef>,
}

impl Flights {
    /// Adds a task that is not done. An empty key is of work that is nobody else's.
    pub fn add(&mut self, key: &str, task: &TaskRef) {
        if !key.is_empty() {
            self.works.entry(key.to_owned()).or_default().open.insert(task.clone());
        }
    }

    /// A task is done, or its build is gone.
    pub fn remove(&mut self, key: &str, task: &TaskRef) {
        if let Some(work) = self.works.get_mut(key) {
            work.open.remove(task);
            work.leased.remove(task);
            if work.open.is_empty() {
                self.works.remove(key);
            }
        }
    }

    /// Notes whether a worker has the task.
    pub fn set_leased(&mut self, key: &str, task: &TaskRef, leased: bool) {
        if let Some(work) = self.works.get_mut(key) {
            if leased {
                work.leased.insert(task.clone());
            } else {
                work.leased.remove(task);
            }
        }
    }

    /// A task that does this work now.
    pub fn doing(&self, key: &str) -> Option<&TaskRef> {
        self.works.get(key)?.leased.first()
    }

    /// All open tasks of this work.
    pub fn open(&self, key: &str) -> Vec<TaskRef> {
        self.works.get(key).into_iter().flat_map(|work| work.open.iter().cloned()).collect()
    }
}

/// Whether the result of another task of the same work is this one's, too. One that was found there is not,
/// where the task has it compared.
pub(super) fn suffices(task: &v1::Task, result: &v1::TaskResult) -> bool {
    let compares =
        matches!(&task.work, Some(TaskWork::Encode(v1::EncodeTask { compare_found: true, .. })));
    let found =
        matches!(&result.work, Some(task_result::Work::Pack(v1::PackResult { made: false, .. })));
    !(compares && found)
}
