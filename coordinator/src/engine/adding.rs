//! A build comes to be: durable first, then here. A write that seems to fail may have been done: then the
//! build is there, its client may never ask again, and it has to be done all the same.

use std::time::Duration;

use tracing::Span;

use super::{Engine, Makers};
use crate::{
    records::{BuildRecord, BuildState, NewTask},
    state::{Created, StateError},
};

/// A write that seemed to fail is done by then, or never.
const MAY_APPEAR_FOR: Duration = Duration::from_secs(120);

/// The span of a build that goes on here.
pub(super) fn resumed(build: &BuildRecord) -> Span {
    let span = tracing::info_span!("build", build_id = build.build_id, resumed = true);
    prestage_telemetry::span_under(span, &build.traceparent)
}

impl Engine {
    pub(super) async fn add(
        &mut self,
        build: BuildRecord,
        tasks: Vec<NewTask>,
        span: Span,
    ) -> Result<Created, StateError> {
        let build_id = build.build_id.clone();
        let created = self.create(build, tasks, span).await;
        if !matches!(created, Ok(_) | Err(StateError::Deposed)) {
            let until = self.clock.monotonic() + MAY_APPEAR_FOR;
            self.doubtful.insert(build_id, until);
        }
        created
    }

    async fn create(
        &mut self,
        build: BuildRecord,
        tasks: Vec<NewTask>,
        span: Span,
    ) -> Result<Created, StateError> {
        let makers = self.makers(&tasks).await?;
        let created = self.store.create_build(&build, &tasks).await?;
        match &created {
            Created::New => self.begin(build, tasks, makers, span).await?,
            Created::Existing(build_id) => drop(self.find(build_id).await?),
        }
        Ok(created)
    }

    /// Whether there is such a build. One that is to be done, and is not known here, begins.
    async fn find(&mut self, build_id: &str) -> Result<bool, StateError> {
        if self.builds.contains_key(build_id) || self.owed.contains_key(build_id) {
            return Ok(true);
        }
        let Some((build, tasks)) = self.store.build(build_id).await? else {
            return Ok(false);
        };
        if !build.state.is_ended() {
            tracing::warn!(build_id, "its writing seemed to fail, but it is there: it begins now");
            let (makers, span) = (self.makers(&tasks).await?, resumed(&build));
            let mut live = self.builds.values().map(|live| &live.record);
            if live.any(|live| live.output == build.output && live.created > build.created) {
                let output = build.output.clone();
                self.take_up(build, tasks, makers, span);
                self.end_superseded(build_id, &output).await?;
            } else {
                self.begin(build, tasks, makers, span).await?;
            }
        }
        Ok(true)
    }

    async fn begin(
        &mut self,
        build: BuildRecord,
        tasks: Vec<NewTask>,
        makers: Makers,
        span: Span,
    ) -> Result<(), StateError> {
        self.supersede(&build.output).await?;
        if !build.state.is_ended() {
            self.take_up(build, tasks, makers, span);
            self.wake_workers();
        }
        Ok(())
    }

    /// Older builds into the same output would overwrite the newer one's medium: they end here.
    async fn supersede(&mut self, output: &str) -> Result<(), StateError> {
        let older = self.builds.values().filter(|live| live.record.output == output);
        let older: Vec<String> = older.map(|live| live.record.build_id.clone()).collect();
        for build_id in older {
            self.end_superseded(&build_id, output).await?;
        }
        Ok(())
    }

    async fn end_superseded(&mut self, build_id: &str, output: &str) -> Result<(), StateError> {
        tracing::warn!(build_id, output, "cancelled: a newer build writes the same medium");
        self.end(build_id, BuildState::Cancelled, None, Vec::new()).await
    }

    /// Looks whether builds are there whose writing seemed to fail.
    pub(super) async fn look_for_doubtful(&mut self) {
        let now = self.clock.monotonic();
        let mut doubtful = std::mem::take(&mut self.doubtful);
        while let Some((build_id, until)) = doubtful.pop_first() {
            match self.find(&build_id).await {
                Ok(true) => {}
                Ok(false) if now < until => drop(self.doubtful.insert(build_id, until)),
                // What was begun for it is not needed.
                Ok(false) => self.give_up(build_id, Vec::new()),
                Err(error) => {
                    tracing::warn!(build_id, %error, "whether it is there can't be seen yet");
                    self.doubtful.insert(build_id, until);
                    break;
                }
            }
        }
        self.doubtful.append(&mut doubtful);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prestage_seal::KeyRing;
    use prestage_store::{ObjectUrl, Objects, StoreOptions};

    use super::*;
    use crate::{
        audit::Audit,
        clock::SystemClock,
        engine::load,
        pipeline::MediaPipeline,
        schedule::Policy,
        server::seal_keys,
        state::{Candidate, Leadership, MemoryState, StateStore, conformance::example_build},
    };

    async fn leading() -> Arc<dyn StateStore> {
        let store = MemoryState::default();
        let candidate = Candidate { name: "one".into(), address: "http://one:7780".into() };
        let lead = store.take_lead(&candidate, Duration::from_secs(3600)).await.unwrap();
        let Leadership::Active { epoch } = lead else { panic!("{lead:?}") };
        store.led(epoch)
    }

    async fn engine(folder: &std::path::Path, store: &Arc<dyn StateStore>) -> Engine {
        let objects = Objects::open(&ObjectUrl::Local(folder.join("objects"))).await.unwrap();
        let keys = KeyRing::open(&seal_keys(&[], folder)).await.unwrap();
        let clock = Arc::new(SystemClock::new());
        let audit = Audit::new(store.clone(), clock.clone());
        let options = StoreOptions::default();
        let pipeline = MediaPipeline::new(objects, options, Arc::new(keys), audit, false);
        load(store.clone(), Arc::new(pipeline), clock, Policy::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_build_whose_writing_seemed_to_fail_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let store = leading().await;
        let mut engine = engine(folder.path(), &store).await;
        // They are written, and nobody hears of it.
        let [asked, unasked] = ["asked again", "never asked again"]
            .map(|id| BuildRecord { output: format!("/out/{id}.wim"), ..example_build(id) });
        for build in [&asked, &unasked] {
            store.create_build(build, &[]).await.unwrap();
        }
        let again = BuildRecord { build_id: "another id".into(), ..asked.clone() };
        let created = engine.add(again, Vec::new(), Span::none()).await.unwrap();
        assert_eq!(created, Created::Existing(asked.build_id.clone()));
        let known = |engine: &Engine| engine.builds.keys().cloned().collect::<Vec<_>>();
        assert_eq!(known(&engine), ["asked again"]);

        let (past, future) = (Duration::ZERO, engine.clock.monotonic() + MAY_APPEAR_FOR);
        for (id, until) in [("never asked again", past), ("late", future), ("vain", past)] {
            engine.doubtful.insert(id.into(), until);
        }
        engine.look_for_doubtful().await;
        assert_eq!(engine.builds.len(), 2);
        assert!(engine.builds.contains_key("never asked again"));
        assert!(engine.doubtful.keys().eq(["late"]), "it may still appear");
        // A newer build into the same medium goes before one that is found late.
        let late = BuildRecord { created: asked.created - MAY_APPEAR_FOR, ..example_build("late") };
        let late = BuildRecord { output: asked.output.clone(), ..late };
        store.create_build(&late, &[]).await.unwrap();
        engine.look_for_doubtful().await;
        assert_eq!(engine.builds.len(), 2);
        let (late, _) = store.build("late").await.unwrap().unwrap();
        assert_eq!(late.state, BuildState::Cancelled);
    }
}
