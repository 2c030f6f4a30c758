//! Whether the promises were kept, when all is over.

use std::{collections::BTreeMap, path::Path, time::Duration};

use bytes::Bytes;
use memchr::memmem;
use prestage_coordinator::state::StateStore;
use prestage_proto::v1::BuildState;
use prestage_store::{
    Composer, ObjectUrl, Objects,
    compose::Compose,
    gc::{Collection, GarbagePolicy},
};

use crate::{
    broken,
    hosts::{Fleet, MEDIA, PACKS},
    people::{Order, Outcome},
    prepared::{CANARY, output},
    store::Store,
};

/// After so long, what nobody knows of is removed.
const FORGOTTEN: Duration = Duration::from_secs(2 * 24 * 3600);

/// The files of a medium in the store, by what their names end in.
pub fn volumes(store: &Store, medium: &str) -> Vec<(String, Bytes)> {
    let keys = store.keys(MEDIA).into_iter().filter_map(|key| {
        let end = key.strip_prefix(medium)?.to_owned();
        let is_volume = end.ends_with(".wim") || end.ends_with(".swm");
        is_volume.then(|| (end, store.body(MEDIA, &key).unwrap_or_default()))
    });
    keys.collect()
}

/// Checks all that can be seen at the end.
pub fn check(fleet: &Fleet, orders: &[Order], outcomes: &[Outcome], may_fail: bool) {
    check_outcomes(fleet, orders, outcomes, may_fail);
    check_secrets(fleet);
    check_disks(fleet);
    // The product's own tidying up, for which two days pass.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    match runtime.enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(async {
            check_state(fleet).await;
            if let Err(problem) = tidy_up(fleet, orders).await {
                broken!(fleet.world, "P6: what nobody knows of can't be removed: {problem}");
            }
        }),
        Err(problem) => broken!(fleet.world, "no runtime: {problem}"),
    }
    check_store(fleet);
}

/// P1, P2, P7: every build has ended for a reason, and media are bit for bit the undisturbed ones.
fn check_outcomes(fleet: &Fleet, orders: &[Order], outcomes: &[Outcome], may_fail: bool) {
    let world = &fleet.world;
    let by_medium: BTreeMap<&str, &Outcome> =
        outcomes.iter().map(|outcome| (outcome.order.medium.as_str(), outcome)).collect();
    for order in orders {
        let Some(outcome) = by_medium.get(order.medium.as_str()) else {
            broken!(world, "P2: nobody knows what became of {}", order.medium);
            continue;
        };
        let (build, medium) = (&outcome.build, &order.medium);
        let there = volumes(&fleet.store.open(), medium);
        match build.state() {
            BuildState::Done if order.plan.volumes.is_empty() => {}
            BuildState::Done if there != order.plan.volumes => {
                broken!(world, "P7: {medium} is not the medium that is made undisturbed");
            }
            BuildState::Done => {}
            BuildState::Cancelled if order.cancelled_after.is_some() => {}
            BuildState::Failed => {
                let what = build.failure.as_ref().map_or("", |failure| failure.what.as_str());
                world.note("people", format_args!("{medium}: {what}"));
                if what.is_empty() || !may_fail {
                    broken!(world, "P2: {medium} failed without need: '{what}'");
                }
            }
            state => broken!(world, "P2: {medium} ended as {state:?}"),
        }
    }
}

/// P10: the password is nowhere in clear.
fn check_secrets(fleet: &Fleet) {
    let store = fleet.store.open();
    let utf16: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bucket in [PACKS, MEDIA] {
        for key in store.keys(bucket) {
            let body = store.body(bucket, &key).unwrap_or_default();
            if [CANARY.as_bytes(), &utf16].iter().any(|form| memmem::find(&body, form).is_some()) {
                broken!(fleet.world, "P10: {bucket}/{key} has the media password");
            }
        }
    }
}

/// P6: nothing is left on the disks of workers.
fn check_disks(fleet: &Fleet) {
    let hosts = fleet.folder.join("hosts");
    for file in files_below(&hosts) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "lock" {
            let file = file.strip_prefix(&hosts).unwrap_or(&file);
            broken!(fleet.world, "P6: {} is left", file.display());
        }
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<_> = paths
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    found.sort();
    found
}

/// P5 and P6: what is durable is what came first, and no build is left running.
async fn check_state(fleet: &Fleet) {
    let kept = fleet.database.kept();
    let builds = kept.list("", 1000).await.unwrap_or_default();
    let mut whole = Vec::new();
    for build in builds {
        if !build.state.is_ended() {
            broken!(fleet.world, "P6: build {} is still running", build.build_id);
        }
        whole.extend(kept.build(&build.build_id).await.ok().flatten());
    }
    fleet.database.check_results(&whole);
}

/// What processes that were killed have left behind goes by itself after a day.
async fn tidy_up(fleet: &Fleet, orders: &[Order]) -> Result<(), Box<dyn std::error::Error>> {
    let options = fleet.store.options(&fleet.world, "people", 1);
    let composer = Composer::new(options.clone());
    let packs = ObjectUrl::parse(&format!("s3://{PACKS}/site"))?;
    let objects = Objects::open_with(&packs, &options).await?;
    let later = (fleet.world.now() + FORGOTTEN).into();
    let day = FORGOTTEN / 2;
    let uploads = composer.reap_uploads(&objects, day, later).await?;
    // Pins of builds that never came to be last longest.
    let month = fleet.world.now() + 20 * FORGOTTEN;
    let all = GarbagePolicy::default();
    let collection = Collection::begin(&objects, "later", &all, month.into()).await?;
    let _ = collection.end().await?;
    let media = ObjectUrl::parse(&format!("s3://{MEDIA}"))?;
    let mut unmarked = 0;
    for order in orders {
        let output = ObjectUrl::parse(&output(&order.medium))?;
        unmarked += composer.reap_output(&output, &[], day, later).await?;
    }
    let _ = composer.reap(&media, &[], day, later).await?;
    fleet.world.note(
        "people",
        format_args!("{uploads} uploads of packs were given up, {unmarked} of media"),
    );
    Ok(())
}

/// P6: nothing is left in the store but packs, listings, media and what lies beside them.
fn check_store(fleet: &Fleet) {
    let store = fleet.store.open();
    for upload in store.open_uploads() {
        broken!(fleet.world, "P6: the upload of {upload} is still open");
    }
    let is_left = |key: &String| key.contains("/builds/") || key.contains(".prestage/");
    for key in store.keys(PACKS).iter().chain(&store.keys(MEDIA)).filter(|key| is_left(key)) {
        broken!(fleet.world, "P6: {key} is left");
    }
}
