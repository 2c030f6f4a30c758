//! One leads, and nobody else changes anything.

use std::{sync::Arc, time::Duration};

use prestage_proto::v1;

use super::{example_build, example_event, example_task};
use crate::{
    events::Happening,
    records::{BuildRecord, BuildState},
    schedule::TaskRef,
    state::{Candidate, Epoch, Leadership, StateError, StateStore},
};

/// Longer than the suite takes.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(400);

/// What the leaders write: older than all other builds of the suite.
pub(super) const BUILD: &str = "of leaders";

/// Runs this part of the suite, and gives what the last leader writes through.
pub(super) async fn run(store: &dyn StateStore) -> Result<Arc<dyn StateStore>, StateError> {
    has_one_leader(store).await?;
    resigns(store).await?;
    expires(store).await?;
    Ok(store.led(take(store, "the last", LONG).await?))
}

async fn has_one_leader(store: &dyn StateStore) -> Result<(), StateError> {
    assert_eq!(store.leader().await?, None);
    is_deposed(store, Epoch::NONE).await?;
    let first = take(store, "one", LONG).await?;
    let (one, two) = (candidate("one"), candidate("two"));
    let standby = Leadership::Standby { leader: one.address.clone() };
    assert_eq!(store.take_lead(&two, LONG).await?, standby);
    assert_eq!(store.leader().await?, Some(one.address));
    store.keep_lead(first, LONG).await?;
    store.led(first).create_build(&build(), &[example_task("1", &[])]).await?;
    // The process before a restart, perhaps still dying, is not this one.
    let again = take(store, "one", LONG).await?;
    assert!(again > first);
    is_deposed(store, first).await?;
    is_deposed(store, Epoch::NONE).await
}

async fn resigns(store: &dyn StateStore) -> Result<(), StateError> {
    let epoch = take(store, "one", LONG).await?;
    store.resign(epoch).await?;
    assert_eq!(store.leader().await?, None);
    is_deposed(store, epoch).await?;
    let next = take(store, "two", LONG).await?;
    assert!(next > epoch);
    is_deposed(store, epoch).await?;
    store.resign(next).await
}

async fn expires(store: &dyn StateStore) -> Result<(), StateError> {
    let first = take(store, "one", SHORT).await?;
    let standby = Leadership::Standby { leader: candidate("one").address };
    assert_eq!(store.take_lead(&candidate("two"), SHORT).await?, standby);
    // Kept, it outlives its first term.
    store.keep_lead(first, LONG).await?;
    tokio::time::sleep(SHORT * 2).await;
    assert!(store.leader().await?.is_some());
    store.keep_lead(first, SHORT).await?;
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(store.leader().await?, None);
    let second = take(store, "two", LONG).await?;
    assert!(second > first);
    is_deposed(store, first).await?;
    store.led(second).end_build(&ended()).await?;
    store.resign(second).await
}

/// Nothing that is written in this epoch changes anything.
async fn is_deposed(store: &dyn StateStore, epoch: Epoch) -> Result<(), StateError> {
    let before = all(store).await?;
    let deposed = store.led(epoch);
    let task = TaskRef { build_id: BUILD.into(), task_id: "1".into() };
    let done = example_event(BUILD, Happening::Done { task_id: "1".into() });
    let result = v1::TaskResult { bytes_read: 5, ..Default::default() };
    let at = done.at;
    let refused = [
        deposed.create_build(&example_build("another"), &[]).await.map(drop),
        deposed.note(&[done]).await,
        deposed.finish_task(&task, at, &result, &[example_task("2", &[])]).await.map(drop),
        deposed.end_build(&ended()).await,
        deposed.keep_lead(epoch, LONG).await,
    ];
    let all_deposed = refused.iter().all(|write| matches!(write, Err(StateError::Deposed)));
    assert!(all_deposed, "{refused:?}");
    // To give up what one doesn't have is no fault.
    deposed.resign(epoch).await?;
    assert!(all(store).await? == before, "a deposed leader changed something");
    Ok(())
}

/// Whatever a deposed leader could have changed.
async fn all(store: &dyn StateStore) -> Result<impl PartialEq + use<>, StateError> {
    let builds = (store.list("", 100).await?, store.build(BUILD).await?);
    Ok((builds, store.events(BUILD).await?, store.leader().await?))
}

async fn take(store: &dyn StateStore, name: &str, ttl: Duration) -> Result<Epoch, StateError> {
    match store.take_lead(&candidate(name), ttl).await? {
        Leadership::Active { epoch } => Ok(epoch),
        Leadership::Standby { leader } => panic!("{leader} leads, and not {name}"),
    }
}

fn candidate(name: &str) -> Candidate {
    Candidate { name: name.into(), address: format!("http://{name}:7780") }
}

fn build() -> BuildRecord {
    let build = example_build(BUILD);
    BuildRecord { created: build.created - time::Duration::days(1), ..build }
}

fn ended() -> BuildRecord {
    let build = build();
    BuildRecord { state: BuildState::Cancelled, ended: Some(build.created), ..build }
}
