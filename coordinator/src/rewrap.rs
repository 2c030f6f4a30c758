//! Plans of running builds follow the current key, so that an old one can be taken away.

use std::sync::Arc;

use crate::{
    pipeline::MediaPipeline,
    state::{StateError, StateStore},
};

/// Puts the plans of running builds under the current key. Whoever has just taken the lead does so,
/// beside its other work: a KMS may be slow, and no build waits for this. One that can't be opened
/// stays as it is.
pub(crate) async fn rewrap_running(
    store: &dyn StateStore,
    pipeline: &Arc<MediaPipeline>,
) -> Result<(), StateError> {
    let (mut rewrapped, mut left) = (0_usize, 0_usize);
    for (build, _) in store.running().await? {
        match pipeline.rewrap(&build.plan_json).await {
            Ok(None) => {}
            Ok(Some(plan_json)) => {
                store.rewrap_plan(&build.build_id, &plan_json).await?;
                rewrapped += 1;
            }
            Err(error) => {
                left += 1;
                tracing::warn!(build_id = build.build_id, %error, "the build's plan stays under its key");
            }
        }
    }
    if rewrapped > 0 || left > 0 {
        tracing::info!(rewrapped, left, "plans of running builds follow the current seal key");
    }
    Ok(())
}
