//! State in memory: for tests and simulation.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use prestage_proto::v1;

use super::{BuildWithTasks, Created, StateError, StateStore, may_end};
use crate::records::{BuildRecord, BuildState, NewTask};

/// A state that ends with the process.
#[derive(Default)]
pub struct MemoryState(Mutex<BTreeMap<String, BuildWithTasks>>);

impl MemoryState {
    fn builds(&self) -> MutexGuard<'_, BTreeMap<String, BuildWithTasks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn create_build(
        &self,
        build: &BuildRecord,
        tasks: &[NewTask],
    ) -> Result<Created, StateError> {
        let mut builds = self.builds();
        let same = builds.values().find(|(known, _)| known.request_id == build.request_id);
        if let Some((known, _)) = same {
            return Ok(Created::Existing(known.build_id.clone()));
        }
        builds.insert(build.build_id.clone(), (build.clone(), tasks.to_vec()));
        Ok(Created::New)
    }

    async fn grant(&self, leases: &[(String, String, u32)]) -> Result<(), StateError> {
        let mut builds = self.builds();
        for (build_id, task_id, generation) in leases {
            let tasks = builds.get_mut(build_id).into_iter().flat_map(|(_, tasks)| tasks);
            for task in tasks.filter(|task| task.task_id == *task_id) {
                task.generation = *generation;
            }
        }
        Ok(())
    }

    async fn finish_task(
        &self,
        build_id: &str,
        task_id: &str,
        result: &v1::TaskResult,
        follow_up: &[NewTask],
    ) -> Result<(), StateError> {
        if let Some((_, tasks)) = self.builds().get_mut(build_id) {
            for task in tasks.iter_mut().filter(|task| task.task_id == task_id) {
                task.result = Some(result.clone());
            }
            for new in follow_up {
                if !tasks.iter().any(|task| task.task_id == new.task_id) {
                    tasks.push(new.clone());
                }
            }
            tasks.sort_by(|a, b| a.task_id.cmp(&b.task_id));
        }
        Ok(())
    }

    async fn end_build(&self, build: &BuildRecord) -> Result<(), StateError> {
        if let Some((known, _)) = self.builds().get_mut(&build.build_id)
            && may_end(known.state)
        {
            *known = build.clone();
        }
        Ok(())
    }

    async fn running(&self) -> Result<Vec<BuildWithTasks>, StateError> {
        let builds = self.builds();
        let running = builds.values().filter(|(build, _)| build.state == BuildState::Running);
        Ok(running.cloned().collect())
    }

    async fn build(&self, build_id: &str) -> Result<Option<BuildWithTasks>, StateError> {
        Ok(self.builds().get(build_id).cloned())
    }

    async fn list(&self, after: &str, limit: u32) -> Result<Vec<BuildRecord>, StateError> {
        let builds = self.builds();
        let mut list: Vec<BuildRecord> = builds.values().map(|(build, _)| build.clone()).collect();
        list.sort_by(|a, b| (b.created, &b.build_id).cmp(&(a.created, &a.build_id)));
        let skip = list.iter().position(|build| build.build_id == after).map_or(0, |at| at + 1);
        Ok(list.into_iter().skip(skip).take(limit as usize).collect())
    }
}
