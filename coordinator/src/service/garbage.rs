//! Garbage collection as people ask for it.

use std::time::Duration;

use prestage_proto::v1;
use prestage_store::gc::{Collected, GarbagePolicy};
use time::OffsetDateTime;

use super::timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// What a request asks to keep.
pub(super) fn policy(request: &v1::CollectGarbageRequest) -> GarbagePolicy {
    GarbagePolicy {
        keep: (request.keep_days > 0).then(|| DAY * request.keep_days),
        max_bytes: (request.max_bytes > 0).then_some(request.max_bytes),
        ..GarbagePolicy::default()
    }
}

/// What is asked for, as the audit log has it.
pub(super) fn target(request: &v1::CollectGarbageRequest) -> String {
    let v1::CollectGarbageRequest { keep_days, max_bytes, dry_run } = request;
    let told = if *dry_run { ", only to be told" } else { "" };
    format!("packs and listings: keep_days {keep_days}, max_bytes {max_bytes}{told}")
}

/// What went, as clients see it.
pub(super) fn message(collected: Collected) -> v1::CollectGarbageResponse {
    let removed = collected.removed.into_iter().map(|removed| v1::Garbage {
        key: removed.key.to_string(),
        bytes: removed.bytes,
        last_use: Some(timestamp(OffsetDateTime::from(removed.last_use))),
        why: removed.why.as_str().to_owned(),
    });
    v1::CollectGarbageResponse {
        removed: removed.collect(),
        kept: collected.kept,
        kept_bytes: collected.kept_bytes,
        pinned: collected.pinned,
        left: collected.left,
    }
}
