//! The conformance suite on every implementation of the state.
#![allow(clippy::unwrap_used, missing_docs)]

use prestage_coordinator::state::{MemoryState, SqliteState, StateStore, conformance};

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
    assert_eq!(before.len(), 5);
}
