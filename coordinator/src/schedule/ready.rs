//! Tasks of a build that only want a worker.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::task::Class;

/// They are kept by class, since workers differ in what they reach, not task by task.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    classes: BTreeMap<Class, BTreeSet<(Reverse<u64>, String)>>,
}

impl Ready {
    pub fn insert(&mut self, class: &Class, bytes: u64, task_id: &str) {
        let tasks = match self.classes.get_mut(class) {
            Some(tasks) => tasks,
            None => self.classes.entry(class.clone()).or_default(),
        };
        tasks.insert((Reverse(bytes), task_id.to_owned()));
    }

    pub fn remove(&mut self, class: &Class, bytes: u64, task_id: &str) {
        if let Some(tasks) = self.classes.get_mut(class) {
            tasks.remove(&(Reverse(bytes), task_id.to_owned()));
            if tasks.is_empty() {
                self.classes.remove(class);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Classes with their tasks, largest first.
    pub fn classes(&self) -> impl Iterator<Item = (&Class, impl Iterator<Item = (u64, &str)>)> {
        self.classes.iter().map(|(class, tasks)| {
            (class, tasks.iter().map(|(Reverse(bytes), task_id)| (*bytes, task_id.as_str())))
        })
    }
}
