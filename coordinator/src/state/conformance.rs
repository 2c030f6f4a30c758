//! What every [`StateStore`] must do: run against each implementation.

mod audit;
mod identities;
mod lead;

use prestage_proto::v1;
use time::{Duration, OffsetDateTime};

use super::{BuildWithTasks, Created, StateError, StateStore};
use crate::{
    events::{BuildEvent, Happening},
    records::{BuildRecord, BuildState, TaskRecord},
    schedule::TaskRef,
};

/// A build for tests.
pub fn example_build(id: &str) -> BuildRecord {
    BuildRecord {
        build_id: id.into(),
        request_id: format!("request of {id}"),
        name: "w11".into(),
        requester: "someone".into(),
        priority: 2,
        deadline: Some(OffsetDateTime::UNIX_EPOCH + Duration::days(20_001)),
        plan_json: b"{}".to_vec(),
        output: "/out/w11.wim".into(),
        state: BuildState::Running,
        failure: None,
        created: OffsetDateTime::UNIX_EPOCH + Duration::days(20_000),
        ended: None,
        report_json: Vec::new(),
        traceparent: String::new(),
    }
}

/// A task for tests.
pub fn example_task(id: &str, deps: &[&str]) -> TaskRecord {
    TaskRecord {
        task_id: id.into(),
        kind: "encode".into(),
        label: format!("task {id}"),
        work_key: format!("work of {id}"),
        payload: v1::Task { objects_url: "/objects".into(), work: None },
        deps: deps.iter().map(|dep| (*dep).to_owned()).collect(),
        bytes_total: 7,
        result: None,
        generation: 0,
    }
}

/// An event for tests.
pub fn example_event(build_id: &str, what: Happening) -> BuildEvent {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::milliseconds(5);
    BuildEvent { build_id: build_id.into(), at, what }
}

/// Runs the suite on an empty store. Panics where the store does not conform.
pub async fn run(store: &dyn StateStore) -> Result<(), StateError> {
    let store = &*lead::run(store).await?;
    creates_once(store).await?;
    remembers_makers(store).await?;
    finishes_and_follows_up(store).await?;
    rewraps_while_running(store).await?;
    ends_once(store).await?;
    begins_ended(store).await?;
    lists_newest_first(store).await?;
    identities::run(store).await?;
    audit::run(store).await
}

pub use audit::{example_record, is_one_chain};

async fn creates_once(store: &dyn StateStore) -> Result<(), StateError> {
    let build = example_build("a");
    let tasks = [example_task("1", &[]), example_task("2", &["1"])];
    assert_eq!(store.create_build(&build, &tasks).await?, Created::New);
    let again = BuildRecord { build_id: "other".into(), ..build.clone() };
    assert_eq!(store.create_build(&again, &tasks).await?, Created::Existing("a".into()));
    assert_eq!(store.build("a").await?, Some((build, tasks.to_vec())));
    assert_eq!(store.build("other").await?, None);
    Ok(())
}

async fn remembers_makers(store: &dyn StateStore) -> Result<(), StateError> {
    let mut other = example_build("m");
    other.created -= Duration::days(1);
    let mut verify = example_task("verify", &["1"]);
    verify.kind = "verify".into();
    let encode = TaskRecord { work_key: "pack".into(), ..example_task("1", &[]) };
    store.create_build(&other, &[encode, verify]).await?;
    let leased = |build_id: &str, task_id: &str, worker: &str| {
        let (task_id, worker) = (task_id.to_owned(), worker.to_owned());
        example_event(build_id, Happening::Leased { task_id, generation: 1, worker })
    };
    let lost = Happening::Lost { task_id: "1".into(), worker: "slow".into() };
    let noted = [
        leased("m", "1", "slow"),
        example_event("m", lost),
        leased("m", "1", "quick"),
        leased("m", "1", "quick"),
        leased("m", "verify", "third"),
        leased("m", "missing", "nobody"),
    ];
    store.note(&noted).await?;
    // What became of the build makes no difference.
    let ended = Some(other.created);
    store.end_build(&BuildRecord { state: BuildState::Cancelled, ended, ..other }).await?;
    let makers: Vec<String> = store.makers("pack").await?.into_iter().collect();
    assert_eq!(makers, ["quick", "slow"]);
    assert!(store.makers("work of verify").await?.is_empty());
    assert!(store.makers("work of nobody").await?.is_empty());
    Ok(())
}

async fn finishes_and_follows_up(store: &dyn StateStore) -> Result<(), StateError> {
    let leased = |build_id: &str, task_id: &str, generation| {
        let worker = "w1".to_owned();
        example_event(build_id, Happening::Leased { task_id: task_id.into(), generation, worker })
    };
    let noted = [leased("a", "1", 3), leased("a", "missing", 9), leased("nobody's", "1", 1)];
    store.note(&noted).await?;
    let result = v1::TaskResult { bytes_read: 5, ..Default::default() };
    let follow_up = [example_task("3", &["2"])];
    let task = TaskRef { build_id: "a".into(), task_id: "1".into() };
    let done = example_event("a", Happening::Done { task_id: "1".into() });
    assert_eq!(store.finish_task(&task, done.at, &result, &follow_up).await?, None);
    // A coordinator that died before it could tell anybody does it once more, and may know more by then.
    let later = done.at + Duration::hours(1);
    let more = [follow_up[0].clone(), example_task("4", &["3"])];
    assert_eq!(store.finish_task(&task, later, &result, &more).await?, None);
    // It was not told that the result is kept, and brings what another worker made.
    let other = v1::TaskResult { bytes_read: 6, ..Default::default() };
    let of_other = [example_task("5", &["1"])];
    assert_eq!(store.finish_task(&task, later, &other, &of_other).await?, Some(result.clone()));
    let [first, missing, _] = noted;
    assert_eq!(store.events("a").await?, [first, missing, done]);
    assert_eq!(store.events("nobody's").await?, []);
    let running = store.running().await?;
    assert_eq!(running.len(), 1);
    let tasks = &running[0].1;
    assert_eq!(
        tasks.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(),
        ["1", "2", "3", "4"]
    );
    assert_eq!(tasks[0].result, Some(result));
    assert_eq!(tasks[0].generation, 3);
    assert_eq!(tasks[1].result, None);
    Ok(())
}

async fn rewraps_while_running(store: &dyn StateStore) -> Result<(), StateError> {
    let plan = |build: Option<BuildWithTasks>| build.map(|(build, _)| build.plan_json);
    store.rewrap_plan("a", b"{\"sealed\":1}").await?;
    assert_eq!(plan(store.build("a").await?), Some(b"{\"sealed\":1}".to_vec()));
    store.rewrap_plan("a", b"{}").await?;
    store.rewrap_plan("nobody's", b"{}").await?;
    assert_eq!(store.running().await?[0].0, example_build("a"), "nothing else has changed");
    Ok(())
}

async fn ends_once(store: &dyn StateStore) -> Result<(), StateError> {
    let mut ended = example_build("a");
    ended.state = BuildState::Failed;
    ended.failure = Some(v1::Failure { what: "it broke".into(), ..Default::default() });
    ended.ended = Some(ended.created + Duration::seconds(5));
    store.end_build(&ended).await?;
    let late = BuildRecord { state: BuildState::Done, ..ended.clone() };
    store.end_build(&late).await?;
    assert_eq!(store.build("a").await?.map(|(build, _)| build), Some(ended));
    assert!(store.running().await?.is_empty());
    store.rewrap_plan("a", b"late").await?;
    assert_eq!(store.build("a").await?.map(|(build, _)| build.plan_json), Some(b"{}".to_vec()));
    Ok(())
}

async fn begins_ended(store: &dyn StateStore) -> Result<(), StateError> {
    let mut build = example_build("0");
    build.created -= Duration::seconds(1);
    build.state = BuildState::Done;
    build.ended = Some(build.created);
    build.report_json = b"{}".to_vec();
    assert_eq!(store.create_build(&build, &[]).await?, Created::New);
    assert_eq!(store.build("0").await?, Some((build, Vec::new())));
    assert!(store.running().await?.is_empty());
    Ok(())
}

async fn lists_newest_first(store: &dyn StateStore) -> Result<(), StateError> {
    for (number, id) in (1i64..).zip(["b", "c", "d"]) {
        let mut build = example_build(id);
        build.created += Duration::seconds(number);
        store.create_build(&build, &[]).await?;
    }
    let ids = |list: Vec<BuildRecord>| list.into_iter().map(|b| b.build_id).collect::<Vec<_>>();
    assert_eq!(ids(store.list("", 2).await?), ["d", "c"]);
    assert_eq!(ids(store.list("c", 2).await?), ["b", "a"]);
    assert_eq!(ids(store.list("a", 3).await?), ["0", lead::BUILD, "m"]);
    Ok(())
}
