//! From a result that a worker brings to what follows from it: durable first, then it counts.

use prestage_proto::v1;

use super::Engine;
use crate::{
    numbers,
    pipeline::{FollowUp, PipelineError, Results},
    records::BuildState,
    schedule::{Scheduler, TaskRef},
    state::StateError,
};

/// The result of a task that counts from now on.
struct Counts {
    /// The durable one: it may be an earlier one than was brought.
    result: v1::TaskResult,
    /// Tasks of other builds that it is the result of too.
    same: Vec<TaskRef>,
}

/// All results of a build that count.
pub(super) fn results<'a>(scheduler: &'a Scheduler, build_id: &str) -> Results<'a> {
    let tasks = scheduler.tasks(build_id);
    tasks
        .filter_map(|task| Some((task.record.task_id.as_str(), task.record.result.as_ref()?)))
        .collect()
}

impl Engine {
    /// After a restart: what followed from results that were durable is asked for once more.
    pub(super) async fn resume(&mut self) -> Result<(), StateError> {
        let done: Vec<TaskRef> = self
            .builds
            .keys()
            .flat_map(|build_id| {
                let finished = self.scheduler.tasks(build_id);
                let finished = finished.filter(|task| task.record.result.is_some());
                finished.map(|task| TaskRef {
                    build_id: build_id.clone(),
                    task_id: task.record.task_id.clone(),
                })
            })
            .collect();
        for task in done {
            let result = self.result_of(&task);
            if let Some(result) = result {
                self.finish(&task, &result).await?;
            }
        }
        Ok(())
    }

    fn result_of(&self, task: &TaskRef) -> Option<v1::TaskResult> {
        let mut tasks = self.scheduler.tasks(&task.build_id);
        tasks.find(|entry| entry.record.task_id == task.task_id)?.record.result.clone()
    }

    /// A result is there: make it durable with what follows from it, then let it count. Other
    /// builds that wait for the same work get it too.
    pub(super) async fn finish(
        &mut self,
        task: &TaskRef,
        result: &v1::TaskResult,
    ) -> Result<(), StateError> {
        // Workers are woken for what counts alone: one repeats what does not count yet whenever it is woken.
        let Some(counts) = self.finish_one(task, result.clone()).await? else {
            return Ok(());
        };
        let shared = v1::TaskResult { reused: true, ..counts.result };
        // All of them are known now: asking again for each would make a hundred builds ten thousand.
        for task in counts.same {
            self.finish_one(&task, shared.clone()).await?;
        }
        self.wake_workers();
        Ok(())
    }

    /// Nothing, if the result does not count (yet).
    async fn finish_one(
        &mut self,
        task: &TaskRef,
        mut result: v1::TaskResult,
    ) -> Result<Option<Counts>, StateError> {
        let follow_up = loop {
            let Some(follow_up) = self.follow_up(task, &result).await? else {
                return Ok(None);
            };
            let (store, now) = (self.store.clone(), self.clock.now());
            match store.finish_task(task, now, &result, &follow_up.tasks).await? {
                None => break follow_up,
                Some(earlier) => result = earlier,
            }
        };
        let now = self.clock.monotonic();
        if let Some(entry) = self.scheduler.task(task) {
            let began = entry.leases.first().map(|lease| lease.since);
            numbers::count_done(entry, &result, began.map(|began| now.saturating_sub(began)));
        }
        let same = self.scheduler.finish(task, &result, now);
        self.scheduler.add_tasks(&task.build_id, follow_up.tasks, now);
        if let Some(report) = follow_up.report_json
            && self.scheduler.is_complete(&task.build_id)
        {
            self.end(&task.build_id, BuildState::Done, None, report).await?;
        } else {
            self.show(&task.build_id, true);
        }
        Ok(Some(Counts { result, same }))
    }

    /// Names all that may have made a pack that a worker doubts.
    async fn with_makers(
        &self,
        task: &TaskRef,
        error: PipelineError,
    ) -> Result<PipelineError, StateError> {
        let makers = self.scheduler.task(task).map(|task| task.makers.clone());
        let makers = makers.filter(|makers| !makers.is_empty());
        Ok(match (makers, error.doubt()) {
            (Some(makers), _) => error.made_by_any_of(makers),
            (None, Some((pack_key, _))) => {
                let makers = self.store.makers(&pack_key).await?;
                error.made_by_any_of(makers)
            }
            (None, None) => error,
        })
    }

    /// What follows from a result, if it is one that can be used.
    async fn follow_up(
        &mut self,
        task: &TaskRef,
        result: &v1::TaskResult,
    ) -> Result<Option<FollowUp>, StateError> {
        let Some(live) = self.builds.get(&task.build_id) else {
            return Ok(None);
        };
        let mut results = results(&self.scheduler, &task.build_id);
        results.insert(&task.task_id, result);
        match self.pipeline.follow_up(&live.record, &task.task_id, &results) {
            Ok(follow_up) => Ok(Some(follow_up)),
            Err(error) => {
                let error = self.with_makers(task, error).await?;
                match error.doubt() {
                    Some((pack_key, doubt)) => self.condemn(task, pack_key, doubt, error.into()),
                    None => self.fail(task, error.into()).await?,
                }
                Ok(None)
            }
        }
    }
}
