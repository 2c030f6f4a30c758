//! How builds end: done, failed or cancelled; and what is cleaned up then.

use std::time::Duration;

use prestage_proto::v1;

use super::{Cancelled, Engine, Reply, results::results};
use crate::{
    CoordinatorError,
    build_log::build_log,
    numbers,
    pipeline::{MediaPipeline, assembled},
    records::{BuildRecord, BuildState},
    schedule::TaskRef,
    state::{StateError, StateStore},
};

/// A cancellation is answered after this time at the latest.
const CANCEL_MAX: Duration = Duration::from_secs(10);

/// A cancellation that waits for workers to stop.
pub(super) struct Cancelling {
    build_id: String,
    until: Duration,
    reply: Reply<Cancelled>,
}

/// Builds that have ended and have objects still. Those that this state doesn't know are another coordinator's.
pub(super) async fn ended_with_objects(
    store: &dyn StateStore,
    pipeline: &MediaPipeline,
) -> Result<Vec<String>, CoordinatorError> {
    let mut ended = Vec::new();
    for build_id in pipeline.builds_with_objects().await? {
        let known = store.build(&build_id).await?;
        if known.is_some_and(|(build, _)| build.state.is_ended()) {
            ended.push(build_id);
        }
    }
    Ok(ended)
}

impl Engine {
    pub(super) async fn fail(
        &mut self,
        task: &TaskRef,
        failure: v1::Failure,
    ) -> Result<(), StateError> {
        tracing::warn!(task = task.to_wire(), what = failure.what, "a task failed for good");
        self.end(&task.build_id, BuildState::Failed, Some(failure), Vec::new()).await
    }

    pub(super) async fn cancel(&mut self, build_id: String, reply: Reply<Cancelled>) {
        if !self.builds.contains_key(&build_id) {
            let _ = reply.send(Ok(Cancelled::NotRunning));
            return;
        }
        if let Err(error) = self.end(&build_id, BuildState::Cancelled, None, Vec::new()).await {
            let _ = reply.send(Err(error));
            return;
        }
        let until = self.clock.monotonic() + CANCEL_MAX;
        self.cancelling.push(Cancelling { build_id, until, reply });
        self.confirm_cancelled();
    }

    /// Answers cancellations whose workers have stopped, and those that took too long.
    pub(super) fn confirm_cancelled(&mut self) {
        let now = self.clock.monotonic();
        for waiting in std::mem::take(&mut self.cancelling) {
            let stopping = self.scheduler.stopping(&waiting.build_id);
            if stopping.is_empty() || now >= waiting.until {
                let _ = waiting.reply.send(Ok(Cancelled::Ended { stopping }));
            } else {
                self.cancelling.push(waiting);
            }
        }
    }

    pub(super) async fn end(
        &mut self,
        build_id: &str,
        state: BuildState,
        failure: Option<v1::Failure>,
        report_json: Vec<u8>,
    ) -> Result<(), StateError> {
        let Some(live) = self.builds.get(build_id) else {
            return Ok(());
        };
        let ended = Some(self.clock.now());
        let record = BuildRecord { state, failure, ended, report_json, ..live.record.clone() };
        // Nobody hears of it before it is durable, but nobody works on it any more either.
        if let Err(error) = self.store.end_build(&record).await {
            self.owed.insert(build_id.to_owned(), record);
            return Err(error);
        }
        self.ended(build_id, record);
        Ok(())
    }

    fn ended(&mut self, build_id: &str, record: BuildRecord) {
        let state = record.state;
        numbers::count_build(state);
        let mut open = Vec::new();
        if state != BuildState::Done
            && let Some(assembled) = assembled(&results(&self.scheduler, build_id))
        {
            open.extend(assembled.volumes.iter().map(|volume| volume.upload.clone()));
        }
        self.give_up(build_id.to_owned(), open);
        if state == BuildState::Done {
            self.keep_log(build_id.to_owned(), record.output.clone());
        }
        self.show_record(build_id, record);
        self.builds.remove(build_id);
        self.scheduler.remove_build(build_id, self.clock.monotonic());
        if !self.scheduler.stopping(build_id).is_empty() {
            self.written_still.insert(build_id.to_owned());
        }
        self.wake_workers();
    }

    /// Cleans up once more after builds whose workers have stopped by now: what these wrote meanwhile came
    /// too late for the first time.
    pub(super) fn clean_after_stopped(&mut self) {
        let scheduler = &self.scheduler;
        let stopped = self.written_still.extract_if(.., |id| scheduler.stopping(id).is_empty());
        for build_id in stopped.collect::<Vec<_>>() {
            self.give_up(build_id, Vec::new());
        }
    }

    pub(super) async fn pay_what_is_owed(&mut self) {
        for (build_id, record) in std::mem::take(&mut self.owed) {
            match self.store.end_build(&record).await {
                Ok(()) => self.ended(&build_id, record),
                Err(error) => {
                    tracing::error!(build_id, %error, "the end of a build can't be written down");
                    self.owed.insert(build_id, record);
                }
            }
        }
    }

    /// Frees what a build held, away from the engine: a store may take its time.
    pub(super) fn give_up(&mut self, build_id: String, uploads: Vec<String>) {
        let (pipeline, now) = (self.pipeline.clone(), self.clock.now());
        self.clean_up.spawn(async move {
            if let Err(error) = pipeline.give_up(&build_id, uploads, now).await {
                tracing::warn!(build_id, %error, "what the build left could not be removed");
            }
        });
    }

    /// The log beside the medium. The one that `prestage log` gives does not depend on it.
    fn keep_log(&mut self, build_id: String, output: String) {
        let (store, pipeline) = (self.store.clone(), self.pipeline.clone());
        self.clean_up.spawn(async move {
            let kept = async {
                let Some((build, tasks)) = store.build(&build_id).await? else {
                    return Ok(());
                };
                let events = store.events(&build_id).await?;
                pipeline.keep_log(&output, &build_log(&build, &tasks, &events)).await?;
                Ok::<_, CoordinatorError>(())
            };
            if let Err(error) = kept.await {
                tracing::warn!(build_id, %error, "the log could not be written beside the medium");
            }
        });
    }
}
