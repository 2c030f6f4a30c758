//! The audit log only grows, in one chain.

use futures::future::try_join_all;
use time::{Duration, OffsetDateTime};

use crate::{
    audit::{AuditRecord, ChainHash},
    state::{Epoch, StateError, StateStore},
};

/// Records that are appended at once.
const AT_ONCE: u64 = 20;

/// A record for tests.
pub fn example_record(target: &str) -> AuditRecord {
    AuditRecord {
        at: OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::milliseconds(5),
        principal: "zoë".into(),
        from: "127.0.0.1:9".into(),
        action: "CancelBuild".into(),
        target: target.into(),
        outcome: "asked".into(),
        detail: String::new(),
    }
}

/// The targets of a log's records, in order. Panics if they are not one chain from its beginning.
pub async fn is_one_chain(store: &dyn StateStore) -> Result<Vec<String>, StateError> {
    let mut targets = Vec::new();
    let (mut number, mut hash) = (0, ChainHash::NONE);
    for entry in store.audit(0, u32::MAX).await? {
        assert_eq!(entry.fits(number, hash), Ok(()));
        (number, hash) = (entry.number, entry.hash);
        targets.push(entry.record.target);
    }
    Ok(targets)
}

/// Runs this part of the suite on an empty log.
pub(super) async fn run(store: &dyn StateStore) -> Result<(), StateError> {
    assert_eq!(store.audit(0, 10).await?, []);
    let record = example_record("build a");
    assert_eq!(store.append_audit(&record).await?, 1);
    let first = store.audit(0, 10).await?;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].number, &first[0].record), (1, &record));
    // What a database doesn't take is kept in another way, not refused.
    let odd = AuditRecord { principal: "\0".into(), detail: "x".repeat(5000), ..record };
    assert_eq!(store.append_audit(&odd).await?, 2);
    // Whoever leads no more says so, too.
    assert_eq!(store.led(Epoch::NONE).append_audit(&example_record("nobody's")).await?, 3);
    let many: Vec<AuditRecord> = (0..AT_ONCE).map(|n| example_record(&n.to_string())).collect();
    let mut numbers = try_join_all(many.iter().map(|record| store.append_audit(record))).await?;
    numbers.sort_unstable();
    assert_eq!(numbers, (4..4 + AT_ONCE).collect::<Vec<_>>());
    let mut targets = is_one_chain(store).await?.split_off(3);
    targets.sort_by_key(|target| target.parse::<u64>().ok());
    assert_eq!(targets, (0..AT_ONCE).map(|n| n.to_string()).collect::<Vec<_>>());
    let page = store.audit(2, 3).await?;
    assert_eq!(page.iter().map(|entry| entry.number).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(store.audit(3 + AT_ONCE, 10).await?, []);
    Ok(())
}
