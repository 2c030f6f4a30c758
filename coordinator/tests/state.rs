//! The conformance suite on every implementation of the state.
#![allow(clippy::unwrap_used, missing_docs)]

use prestage_coordinator::{
    audit::{ChainHash, Misfit},
    state::{
        Candidate, Created, IdentityStore, Leadership, MemoryState, PostgresState, PostgresUrl,
        SqlState, SqliteState, StateError, StateStore, conformance,
    },
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
    assert_eq!(before.len(), 7);
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
    assert_eq!(before.len(), 7);
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

/// The migration that it notes.
const NOTED: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                     execution_time) VALUES (999, 'future', TRUE, '', 0)";
const RAISES: &str = "UPDATE schema_floor SET floor = 999";
/// Those that newer releases may add to.
const TABLES: [&str; 8] =
    ["builds", "tasks", "events", "lead", "identities", "revocations", "audit", "audit_end"];

/// Every kind of row is read once, so that whatever the database prepares for it is prepared.
async fn read_everything(state: &SqlState) {
    state.list("", 10).await.unwrap();
    state.running().await.unwrap();
    state.build("none").await.unwrap();
    state.events("none").await.unwrap();
    state.leader().await.unwrap();
    state.identity("none").await.unwrap();
    state.identities().await.unwrap();
    state.revocations().await.unwrap();
    state.audit(0, 10).await.unwrap();
}

/// An upgrade can be taken back half-way: this release goes on, and starts, on what the next one has
/// added to, and refuses what the one after that has taken from.
async fn works_with_the_next_release_alone(
    open: impl AsyncFn() -> Result<SqlState, StateError>,
    url: &str,
    column: &str,
) {
    let running = open().await.unwrap();
    read_everything(&running).await;
    let adds = TABLES.map(|table| format!("ALTER TABLE {table} ADD COLUMN of_the_future {column}"));
    let mut newer: Vec<&str> = adds.iter().map(String::as_str).collect();
    newer.push(NOTED);
    as_newer_release(url, &newer).await;
    conformance::run(&running).await.unwrap();
    let started = open().await.unwrap();
    read_everything(&started).await;
    assert_eq!(started.list("", 10).await.unwrap(), running.list("", 10).await.unwrap());
    as_newer_release(url, &[RAISES]).await;
    let refused = open().await.err().unwrap();
    assert!(matches!(refused, StateError::TooOld { floor: 999, .. }), "{refused}");
    assert!(refused.to_string().contains("start the newer release"), "{refused}");
}

#[tokio::test]
async fn sqlite_of_the_next_release_is_used_and_of_later_ones_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.sqlite");
    let url = format!("sqlite://{}?mode=rw", path.display());
    works_with_the_next_release_alone(async || SqliteState::open(&path).await, &url, "ANY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_of_the_next_release_is_used_and_of_later_ones_refused() {
    let server = Postgres::start();
    let url: PostgresUrl = server.url().parse().unwrap();
    let open = async || PostgresState::open(&url).await;
    // Of a type that this release can't read at all.
    works_with_the_next_release_alone(open, &server.url(), "TIMESTAMPTZ DEFAULT now()").await;
}

/// What the release before could not go on beside; see `deploy/README.md`, "Upgrade".
#[test]
fn migrations_only_add_or_raise_the_floor() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut looked_at = 0;
    for kind in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(kind.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let sql = std::fs::read_to_string(&path).unwrap();
            let without_comments = sql.lines().map(|line| line.split("--").next().unwrap());
            let sql = without_comments.collect::<Vec<_>>().join(" ").to_uppercase();
            let disturbs = sql.split(';').find(|statement| disturbs_older_releases(statement));
            let raises = sql.contains("UPDATE SCHEMA_FLOOR SET FLOOR");
            assert!(disturbs.is_none() || raises, "{}: {disturbs:?}", path.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 6);
    for sql in ["ALTER TABLE A DROP COLUMN B", "ALTER TABLE A ADD COLUMN B TEXT NOT NULL"] {
        assert!(disturbs_older_releases(sql));
    }
    assert!(!disturbs_older_releases("ALTER TABLE A ADD COLUMN B TEXT NOT NULL DEFAULT ''"));
}

fn disturbs_older_releases(statement: &str) -> bool {
    let has = |words: &str| statement.contains(words);
    let takes = ["DROP ", "RENAME ", "ALTER COLUMN", "DELETE FROM"].into_iter().any(has);
    takes || has("ADD COLUMN") && has("NOT NULL") && !has("DEFAULT")
}

/// Several coordinators that append at once never fork the chain.
async fn append_at_once(stores: Vec<SqlState>) {
    const EACH: usize = 15;
    let appending = stores.iter().cloned().enumerate().map(|(number, store)| {
        tokio::spawn(async move {
            for record in 0..EACH {
                let record = conformance::example_record(&format!("{number} {record}"));
                store.append_audit(&record).await.unwrap();
            }
        })
    });
    let appending: Vec<_> = appending.collect();
    for one in appending {
        one.await.unwrap();
    }
    let targets = conformance::is_one_chain(&stores[0]).await.unwrap();
    assert_eq!(targets.len(), EACH * stores.len());
    // Each one's records are in its own order.
    for number in 0..stores.len() {
        let own = targets.iter().filter(|target| target.starts_with(&format!("{number} ")));
        let expected: Vec<String> = (0..EACH).map(|record| format!("{number} {record}")).collect();
        assert_eq!(own.cloned().collect::<Vec<_>>(), expected);
    }
}

/// What a database must refuse, and what is left of the log when its triggers are gone.
async fn refuses_changes(url: &str, state: &SqlState, more: &[&'static str]) {
    for target in ["one", "two", "three"] {
        state.append_audit(&conformance::example_record(target)).await.unwrap();
    }
    let mut hand = AnyConnection::connect(url).await.unwrap();
    let changes = [
        "UPDATE audit SET principal = 'somebody else' WHERE number = 2",
        "DELETE FROM audit WHERE number = 3",
        "DELETE FROM audit_end",
        "UPDATE audit_end SET number = 1",
    ];
    let before = state.audit(0, 10).await.unwrap();
    for change in changes.iter().chain(more) {
        let refused = sqlx::query(*change).execute(&mut hand).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    assert_eq!(state.audit(0, 10).await.unwrap(), before);
    assert_eq!(before.len(), 3);
    // Whoever owns the database can take the trigger away, but the chain tells.
    let drop = match url.starts_with("sqlite") {
        true => "DROP TRIGGER audit_never_changes",
        false => "DROP TRIGGER audit_never_changes ON audit",
    };
    sqlx::query(drop).execute(&mut hand).await.unwrap();
    sqlx::query(changes[0]).execute(&mut hand).await.unwrap();
    let after = state.audit(0, 10).await.unwrap();
    assert_eq!(after[0].fits(0, ChainHash::NONE), Ok(()));
    assert_eq!(after[1].fits(1, after[0].hash), Err(Misfit::Changed { number: 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_append_to_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(SqliteState::open(&dir.path().join("state.sqlite")).await.unwrap());
    }
    append_at_once(stores).await;
    let server = Postgres::start();
    let url: PostgresUrl = server.url().parse().unwrap();
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(PostgresState::open(&url).await.unwrap());
    }
    append_at_once(stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_can_only_grow() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.sqlite");
    let state = SqliteState::open(&path).await.unwrap();
    let replace = "INSERT OR REPLACE INTO audit SELECT 2, at, 'somebody else', caller, action, \
                   target, outcome, detail, previous, hash FROM audit WHERE number = 2";
    refuses_changes(&format!("sqlite://{}", path.display()), &state, &[replace]).await;
    let server = Postgres::start();
    let state = PostgresState::open(&server.url().parse().unwrap()).await.unwrap();
    refuses_changes(&server.url(), &state, &["TRUNCATE audit", "TRUNCATE audit_end"]).await;
}
