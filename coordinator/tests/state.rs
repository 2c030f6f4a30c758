//! The conformance suite on every implementation of the state.
#![allow(clippy::unwrap_used, missing_docs)]

use prestage_coordinator::state::{
    Candidate, Created, Leadership, MemoryState, PostgresState, PostgresUrl, SqliteState,
    StateError, StateStore, conformance,
};
use prestage_test_servers::postgres::Postgres;

#[tokio::test]
async fn memory_conforms() {
    conformance::run(&MemoryState::default()).await.unwrap();
}

#[tokio::test]
async fn sqlite_conforms_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.sqlite");
    let state = SqliteState::open(&path).await.unwrap();
    conformance::run(&state).await.unwrap();
    let before = state.list("", 10).await.unwrap();
    drop(state);
    let again = SqliteState::open(&path).await.unwrap();
    assert_eq!(again.list("", 10).await.unwrap(), before);
    assert_eq!(before.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_conforms_and_survives_a_restart() {
    let mut server = Postgres::start();
    let url: PostgresUrl = server.url().parse().unwrap();
    let state = PostgresState::open(&url).await.unwrap();
    conformance::run(&state).await.unwrap();
    let before = state.list("", 10).await.unwrap();
    server.crash();
    server.start_again();
    let again = PostgresState::open(&url).await.unwrap();
    assert_eq!(again.list("", 10).await.unwrap(), before);
    assert_eq!(before.len(), 6);
}

/// What a deposed leader writes at the very moment of the takeover is there wholly or not at all,
/// and nothing of it comes after the takeover.
#[tokio::test(flavor = "multi_thread")]
async fn writes_and_takeovers_at_once_are_one_after_the_other() {
    let server = Postgres::start();
    let url: PostgresUrl = server.url().parse().unwrap();
    let state = PostgresState::open(&url).await.unwrap();
    let candidate = Candidate { name: "always the same".into(), address: String::new() };
    let ttl = std::time::Duration::from_secs(600);
    let take = async || match state.take_lead(&candidate, ttl).await.unwrap() {
        Leadership::Active { epoch } => epoch,
        Leadership::Standby { .. } => unreachable!("nobody else stands"),
    };
    let mut deposed = 0;
    let mut leader = state.led(take().await);
    for number in 0..40 {
        let writes = (0..10).map(|write| {
            let (leader, id) = (leader.clone(), format!("{number}-{write}"));
            tokio::spawn(
                async move { leader.create_build(&conformance::example_build(&id), &[]).await },
            )
        });
        let writes: Vec<_> = writes.collect();
        tokio::time::sleep(std::time::Duration::from_millis(number % 7)).await;
        leader = state.led(take().await);
        let seen = state.list("", 1000).await.unwrap().len();
        let mut kept = 0;
        for write in writes {
            match write.await.unwrap() {
                Ok(Created::New) => kept += 1,
                Err(StateError::Deposed) => deposed += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(state.list("", 1000).await.unwrap().len(), seen, "written after the takeover");
        assert!(seen >= kept);
    }
    assert!(deposed > 0, "the takeovers came too late to disturb anybody");
}
