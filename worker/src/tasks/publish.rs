//! Publishing: the compositions are verified together, then they appear under their names.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use prestage_proto::v1;
use prestage_store::{
    BuildId, Compose, ComposedView, ObjectKey, ObjectUrl, Objects, PutRule, Receipt, Recipe,
    StoreError, UploadToken, recipe::RecipePart,
};
use prestage_wim::{RangeRead, Wim, WimError, verify};

use super::{
    Tools,
    error::TaskError,
    merge::{build_id, output_url, recipe_parts},
    seen::check_packs,
    stale::remove_stale_volumes,
};

/// A volume before it is composed, as the WIM reader wants it.
struct Unpublished {
    view: ComposedView,
    output: ObjectUrl,
}

#[async_trait]
impl RangeRead for Unpublished {
    fn size(&self) -> u64 {
        self.view.size()
    }

    fn name(&self) -> String {
        self.output.to_string()
    }

    async fn read(&self, range: Range<u64>) -> prestage_wim::Result<Bytes> {
        let read = self.view.read_range(range).await;
        read.map_err(|error| WimError::Io(std::io::Error::other(error)))
    }
}

/// A volume whose parts are in place.
struct Placed<'a> {
    task: &'a v1::PlacedVolume,
    output: ObjectUrl,
    glue: ObjectKey,
    recipe: Arc<Recipe>,
    parts: Vec<RecipePart>,
}

/// Verifies the medium's structure through its recipes, finishes the compositions, and writes what
/// belongs beside them. All of it may be repeated: glue and recipes stay until the coordinator
/// knows the result, so that a result that was lost with its worker can be had again.
pub async fn publish(
    task: &v1::PublishTask,
    tools: &Tools,
) -> Result<v1::PublishResult, TaskError> {
    let build = build_id(&task.build_id)?;
    let mut volumes = Vec::with_capacity(task.volumes.len());
    for (number, volume) in (1..).zip(&task.volumes) {
        volumes.push(placed(volume, &build, number, tools).await?);
    }
    let Some(first) = volumes.first() else {
        return Err(TaskError::BadTask("it names no volume".into()));
    };
    verify_unpublished(&volumes, tools).await?;
    // Each volume's recipe names the packs of all.
    check_packs(&first.recipe, tools).await?;
    // The first volume makes the set complete: without it, the others are nothing.
    for volume in volumes.iter().rev() {
        finish(volume, tools).await?;
    }
    let (objects, key) = Objects::open_around(&first.output, &tools.store_options).await?;
    // Before the manifest that names them is replaced: all of this may be repeated.
    remove_stale_volumes(&objects, &key, &first.output, volumes.len()).await?;
    write_sidecars(&objects, &key, &task.sidecars).await?;
    let bytes = volumes.iter().map(|volume| volume.recipe.total_bytes()).sum();
    Ok(v1::PublishResult { output: first.output.to_string(), bytes })
}

async fn placed<'a>(
    task: &'a v1::PlacedVolume,
    build: &BuildId,
    number: u32,
    tools: &Tools,
) -> Result<Placed<'a>, TaskError> {
    let output = output_url(&task.output)?;
    let (recipe, parts) = recipe_parts(build, number, &output, tools).await?;
    Ok(Placed { task, output, glue: build.glue(number), recipe: Arc::new(recipe), parts })
}

async fn verify_unpublished(volumes: &[Placed<'_>], tools: &Tools) -> Result<(), TaskError> {
    let source = |volume: &Placed<'_>| -> Arc<dyn RangeRead> {
        let (glue, recipe) = (volume.glue.clone(), volume.recipe.clone());
        let view = ComposedView::new(&tools.objects, glue, recipe);
        Arc::new(Unpublished { view, output: volume.output.clone() })
    };
    let sources = volumes.iter().map(source).collect();
    let check = async {
        let wim = Wim::open_set(sources).await?;
        verify::verify_structure(&wim).await
    };
    check.await.map(drop).map_err(TaskError::wim("the assembled medium"))
}

async fn finish(volume: &Placed<'_>, tools: &Tools) -> Result<(), TaskError> {
    let receipts = volume.task.parts.iter().map(|part| Receipt::from(part.receipt.clone()));
    let (recipe, glue) = (&volume.recipe, &volume.glue);
    let bound = volume.parts.iter().map(|part| recipe.bind(part, &tools.objects, glue));
    let parts: Vec<_> = bound.zip(receipts).collect();
    let token = UploadToken::from(volume.task.upload.clone());
    Ok(tools.composer.finish(&token, &parts).await?)
}

async fn write_sidecars(
    objects: &Objects,
    medium: &ObjectKey,
    sidecars: &[v1::Sidecar],
) -> Result<(), StoreError> {
    for sidecar in sidecars {
        let key = ObjectKey::new(format!("{medium}{}", sidecar.suffix))?;
        objects.put_small(&key, sidecar.body.clone(), PutRule::Overwrite).await?;
    }
    Ok(())
}
