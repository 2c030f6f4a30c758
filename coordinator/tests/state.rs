//! The conformance suite on every implementation of the state.
#![allow(clippy::unwrap_used, missing_docs)]

use prestage_coordinator::state::{
    Candidate, Created, Leadership, MemoryState, PostgresState, PostgresUrl, SqliteState,
    StateError, StateStore, conformance,
};
use prestage_test_servers::postgres::Postgres;
use sqlx::{AnyConnection, Connection};

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

/// What a newer release does to the database: it adds, and notes its migration.
async fn as_newer_release(url: &str, statements: &[&str]) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    for statement in statements {
        let statement = sqlx::AssertSqlSafe((*statement).to_owned());
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

const ADDS: &str = "ALTER TABLE builds ADD COLUMN of_the_future TEXT";
const RAISES: &str = "UPDATE schema_floor SET floor = 999";

/// An upgrade can be taken back half-way: this release starts on what the next one has added to, and
/// refuses what the one after that has taken from.
#[tokio::test]
async fn sqlite_of_the_next_release_is_used_and_of_later_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.sqlite");
    drop(SqliteState::open(&path).await.unwrap());
    let url = format!("sqlite://{}?mode=rw", path.display());
    let migrated = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                    execution_time) VALUES (999, 'future', TRUE, x'00', 0)";
    as_newer_release(&url, &[ADDS, migrated]).await;
    let state = SqliteState::open(&path).await.unwrap();
    conformance::run(&state).await.unwrap();
    drop(state);
    as_newer_release(&url, &[RAISES]).await;
    let refused = SqliteState::open(&path).await.err().unwrap();
    assert!(matches!(refused, StateError::TooOld { floor: 999, .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_of_the_next_release_is_used_and_of_later_ones_refused() {
    let server = Postgres::start();
    let url: PostgresUrl = server.url().parse().unwrap();
    drop(PostgresState::open(&url).await.unwrap());
    let migrated = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                    execution_time) VALUES (999, 'future', TRUE, '\\x00', 0)";
    as_newer_release(&server.url(), &[ADDS, migrated]).await;
    let state = PostgresState::open(&url).await.unwrap();
    conformance::run(&state).await.unwrap();
    drop(state);
    as_newer_release(&server.url(), &[RAISES]).await;
    let refused = PostgresState::open(&url).await.err().unwrap();
    assert!(matches!(refused, StateError::TooOld { floor: 999, .. }), "{refused}");
}
