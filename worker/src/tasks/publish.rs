//! Publishing: the composition is verified, then it appears under its name.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use prestage_proto::v1;
use prestage_store::{
    BuildId, Compose, ComposedView, ObjectUrl, Objects, PutRule, Receipt, StoreError, StoreOptions,
    UploadToken,
};
use prestage_wim::{RangeRead, Wim, WimError, verify};

use super::{
    Tools,
    error::TaskError,
    merge::{build_id, output_url, recipe_parts},
};

/// The medium before it is composed, as the WIM reader wants it.
struct Unpublished(ComposedView);

#[async_trait]
impl RangeRead for Unpublished {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read(&self, range: Range<u64>) -> prestage_wim::Result<Bytes> {
        let read = self.0.read_range(range).await;
        read.map_err(|error| WimError::Io(std::io::Error::other(error)))
    }
}

/// Verifies the medium's structure through its recipe, finishes the composition, and writes what
/// belongs beside it. All of it may be repeated: glue and recipe stay until the coordinator knows
/// the result, so that a result that was lost with its worker can be had again.
pub async fn publish(
    task: &v1::PublishTask,
    tools: &Tools,
) -> Result<v1::PublishResult, TaskError> {
    let build = build_id(&task.build_id)?;
    let output = output_url(&task.output)?;
    let (recipe, parts) = recipe_parts(&build, &output, tools).await?;
    let bytes = recipe.total_bytes();
    verify_unpublished(&build, Arc::new(recipe), tools).await?;
    let placed = task.parts.iter().map(|placed| Receipt::from(placed.receipt.clone()));
    let parts: Vec<_> =
        parts.iter().map(|part| part.bind(&tools.objects, &build)).zip(placed).collect();
    tools.composer.finish(&UploadToken::from(task.upload.clone()), &parts).await?;
    write_sidecars(&output, &task.sidecars).await?;
    Ok(v1::PublishResult { output: output.to_string(), bytes })
}

async fn verify_unpublished(
    build: &BuildId,
    recipe: Arc<prestage_store::Recipe>,
    tools: &Tools,
) -> Result<(), TaskError> {
    let view = ComposedView::new(&tools.objects, build, recipe);
    let check = async {
        let wim = Wim::open(Arc::new(Unpublished(view))).await?;
        verify::verify_structure(&wim).await
    };
    check.await.map(drop).map_err(TaskError::wim("the assembled medium"))
}

async fn write_sidecars(output: &ObjectUrl, sidecars: &[v1::Sidecar]) -> Result<(), StoreError> {
    let (objects, key) = Objects::open_around(output, &StoreOptions::from_env()).await?;
    for sidecar in sidecars {
        let key = prestage_store::ObjectKey::new(format!("{key}{}", sidecar.suffix))?;
        objects.put_small(&key, sidecar.body.clone(), PutRule::Overwrite).await?;
    }
    Ok(())
}
