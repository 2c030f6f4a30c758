//! Giving up compositions that nobody knows of: of workers that were killed between opening one and
//! saying so. And uploads of media and packs, of workers that were killed while one was under way; packs in quarantine;
//! and packs that nobody uses any more, if that is wanted.

use std::{collections::BTreeSet, time::Duration};

use prestage_store::{ObjectUrl, UploadToken};
use time::OffsetDateTime;

use super::{Engine, ending::ended_with_objects, results::results};
use crate::{
    CoordinatorError,
    pipeline::{MediaPipeline, assembled},
    state::{StateError, StateStore},
};

/// Workers that were out of reach when a build ended may have written since.
async fn remove_late_objects(
    store: &dyn StateStore,
    pipeline: &MediaPipeline,
    now: OffsetDateTime,
) -> Result<(), CoordinatorError> {
    for build_id in ended_with_objects(store, pipeline).await? {
        pipeline.give_up(&build_id, Vec::new(), now).await?;
    }
    Ok(())
}

/// How often they are looked for.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Outputs of so many of the last builds are looked beside.
const BUILDS: u32 = 200;

impl Engine {
    /// Looks for them if it is time, away from the engine.
    pub(super) async fn reap_when_due(&mut self) -> Result<(), StateError> {
        let now = self.clock.monotonic();
        if self.reap_at.is_some_and(|due| now < due) {
            return Ok(());
        }
        self.reap_at = Some(now + INTERVAL);
        let builds = self.store.list("", BUILDS).await?;
        let outputs: BTreeSet<&str> = builds.iter().map(|build| build.output.as_str()).collect();
        let outputs: Vec<ObjectUrl> =
            outputs.into_iter().filter_map(|output| ObjectUrl::parse(output).ok()).collect();
        let folders: BTreeSet<String> =
            outputs.iter().filter_map(|output| Some(output.parent().ok()?.to_string())).collect();
        let (live, store) = (self.open_compositions(), self.store.clone());
        let (pipeline, now) = (self.pipeline.clone(), self.clock.now());
        self.clean_up.spawn(async move {
            // First at the start: who decided may have died before it was done.
            if let Err(error) = pipeline.carry_out_quarantine().await {
                tracing::warn!(%error, "packs in quarantine can't be removed yet");
            }
            for folder in folders {
                if let Err(error) = pipeline.reap(&folder, &live, now).await {
                    tracing::warn!(folder, %error, "abandoned compositions can't be looked for");
                }
            }
            for output in outputs {
                if let Err(error) = pipeline.reap_output(&output, &live, now).await {
                    tracing::warn!(%output, %error, "abandoned uploads can't be looked for");
                }
            }
            if let Err(error) = remove_late_objects(&*store, &pipeline, now).await {
                tracing::warn!(%error, "objects of builds that have ended can't be looked for");
            }
            if let Err(error) = pipeline.collect_if_wanted(now).await {
                tracing::warn!(%error, "garbage can't be collected");
            }
            if let Err(error) = pipeline.reap_uploads(now).await {
                tracing::warn!(%error, "abandoned uploads of packs can't be looked for");
            }
        });
        Ok(())
    }

    /// Those that running builds are making.
    fn open_compositions(&self) -> Vec<UploadToken> {
        let mut open = Vec::new();
        for build_id in self.builds.keys() {
            if let Some(assembled) = assembled(&results(&self.scheduler, build_id)) {
                let volumes = assembled.volumes.iter();
                open.extend(volumes.map(|volume| UploadToken::from(volume.upload.clone())));
            }
        }
        open
    }
}
