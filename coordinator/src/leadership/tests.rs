//! Two candidates in one process.

use std::path::Path;

use prestage_seal::KeyRing;
use prestage_store::{ObjectUrl, Objects, StoreOptions};

use super::*;
use crate::{
    audit::Audit,
    clock::SystemClock,
    engine::{Command, EngineError},
    server::seal_keys,
    state::{MemoryState, conformance::example_build},
};

/// Renewed so seldom that a test sees what happens in between.
const SELDOM: Terms = Terms {
    ttl: Duration::from_secs(3600),
    renew: Duration::from_secs(600),
    look: Duration::from_millis(20),
};
const OFTEN: Terms = Terms {
    ttl: Duration::from_millis(600),
    renew: Duration::from_millis(100),
    look: Duration::from_millis(50),
};

async fn candidacy(folder: &Path, store: &MemoryState, name: &str, terms: Terms) -> Candidacy {
    let url = ObjectUrl::Local(folder.join("objects"));
    let objects = Objects::open_with(&url, &StoreOptions::default()).await.unwrap();
    let keys = seal_keys(&[], folder);
    let keys = KeyRing::open(&keys).await.unwrap();
    let clock = Arc::new(SystemClock::new());
    let audit = Audit::new(Arc::new(store.clone()), clock.clone());
    let pipeline =
        MediaPipeline::new(objects, StoreOptions::default(), Arc::new(keys), audit, false);
    Candidacy {
        candidate: candidate(name),
        terms,
        store: Arc::new(store.clone()),
        pipeline: Arc::new(pipeline),
        clock,
        policy: Policy::default(),
        shutdown: CancellationToken::new(),
    }
}

fn candidate(name: &str) -> Candidate {
    Candidate { name: name.into(), address: format!("http://{name}:7780") }
}

fn is_active(role: &Role) -> bool {
    matches!(role, Role::Active(_))
}

fn active(role: &watch::Receiver<Role>) -> Active {
    match &*role.borrow() {
        Role::Active(active) => active.clone(),
        Role::Standby { leader } => panic!("a standby of '{leader}'"),
    }
}

#[tokio::test]
async fn one_works_and_the_other_follows() {
    let (folder, store) = (tempfile::tempdir().unwrap(), MemoryState::default());
    let one = candidacy(folder.path(), &store, "one", OFTEN).await;
    let two = candidacy(folder.path(), &store, "two", OFTEN).await;
    let (stop_one, stop_two) = (one.shutdown.clone(), two.shutdown.clone());
    let (role_of_one, one) = one.begin().await.unwrap();
    let (mut role_of_two, two) = two.begin().await.unwrap();
    let old = active(&role_of_one);
    let standby =
        |role: &Role| matches!(role, Role::Standby { leader } if leader == "http://one:7780");
    assert!(standby(&role_of_two.borrow()));
    // Renewed again and again, it is kept for longer than a term.
    sleep(OFTEN.ttl * 2).await;
    assert!(is_active(&role_of_one.borrow()) && standby(&role_of_two.borrow()));
    stop_one.cancel();
    one.await.unwrap();
    role_of_two.wait_for(is_active).await.unwrap();
    // Of the old one nothing answers or writes any more.
    let build = Box::new(example_build("late"));
    let span = tracing::Span::none();
    let late = |reply| Command::Add { build, tasks: Vec::new(), span, reply };
    assert!(matches!(old.engine.ask(late).await, Err(EngineError::Gone)));
    let late = old.store.create_build(&example_build("late"), &[]).await;
    assert!(matches!(late, Err(StateError::Deposed)));
    stop_two.cancel();
    two.await.unwrap();
    assert_eq!(store.leader().await.unwrap(), None);
}

#[tokio::test]
async fn a_write_that_is_deposed_ends_the_engine_at_once() {
    let (folder, store) = (tempfile::tempdir().unwrap(), MemoryState::default());
    let one = candidacy(folder.path(), &store, "one", SELDOM).await;
    let stop = one.shutdown.clone();
    let (mut role, leading) = one.begin().await.unwrap();
    let old = active(&role);
    // Behind its back, somebody else takes over.
    store.resign(Epoch(2)).await.unwrap();
    let other = store.take_lead(&candidate("other"), SELDOM.ttl).await.unwrap();
    let Leadership::Active { epoch } = other else { panic!("{other:?}") };
    let build = Box::new(example_build("late"));
    let span = tracing::Span::none();
    role.mark_unchanged();
    let late = |reply| Command::Add { build, tasks: Vec::new(), span, reply };
    let late = old.engine.ask(late).await;
    assert!(matches!(late, Err(EngineError::State(StateError::Deposed))));
    role.changed().await.unwrap();
    assert!(!is_active(&role.borrow_and_update()), "it would have renewed in ten minutes only");
    store.resign(epoch).await.unwrap();
    role.wait_for(is_active).await.unwrap();
    assert_eq!(store.list("", 10).await.unwrap(), []);
    stop.cancel();
    leading.await.unwrap();
}
