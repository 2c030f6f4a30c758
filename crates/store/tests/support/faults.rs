//! What goes wrong between a composer and a real server, and what has to come of it.

use prestage_store::compose::ComposeError;

use super::conformance::Bench;
use super::front::{Fault, Front};

/// A front, and how to tell two kinds of requests from others: method and a piece of the address.
#[derive(Clone, Copy)]
pub struct Faults<'a> {
    pub front: &'a Front,
    /// The request that puts a part in its place.
    pub place: (&'static str, &'static str),
    /// The request that makes the output appear.
    pub finish: (&'static str, &'static str),
}

impl Faults<'_> {
    fn once(&self, (method, needle): (&'static str, &'static str), fault: Fault) {
        self.front.once(method, needle, fault);
    }

    fn answer(status: u16, code: &str) -> Fault {
        Fault::Answer(status, format!("<Error><Code>{code}</Code><Message>why</Message></Error>"))
    }
}

/// Runs all of it.
pub async fn faults(bench: &Bench<'_>, faults: Faults<'_>) {
    a_failed_or_lost_part_is_placed_again(bench, faults).await;
    a_lost_answer_to_finish_is_reconciled(bench, faults).await;
    a_late_finish_does_not_undo_a_newer_output(bench, faults).await;
    a_refused_finish_is_told_and_shows_nothing(bench, faults).await;
    a_merge_that_starts_again_sends_only_what_is_missing(bench, faults).await;
}

async fn a_failed_or_lost_part_is_placed_again(bench: &Bench<'_>, faults: Faults<'_>) {
    let token = bench.begin().await;
    faults.once(faults.place, Faults::answer(500, "InternalError"));
    faults.once(faults.place, Fault::LoseAnswer);
    let placed = bench.place_all(&token).await;
    faults.front.assert_all_failed();
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn a_lost_answer_to_finish_is_reconciled(bench: &Bench<'_>, faults: Faults<'_>) {
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    faults.once(faults.finish, Fault::LoseAnswer);
    bench.compose.finish(&token, &placed).await.unwrap();
    faults.front.assert_all_failed();
    bench.assert_whole().await;
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_clean().await;
    bench.remove_output().await;
}

/// The worker that finished an output first comes back when a newer one is there.
async fn a_late_finish_does_not_undo_a_newer_output(bench: &Bench<'_>, faults: Faults<'_>) {
    let old = bench.begin().await;
    let placed = bench.place_all(&old).await;
    faults.once(faults.finish, Fault::LoseAnswer);
    bench.compose.finish(&old, &placed).await.unwrap();
    let newer = bench.begin().await;
    let newer_placed = bench.place_all(&newer).await;
    bench.compose.finish(&newer, &newer_placed).await.unwrap();
    let etag = bench.etag().await;
    let gone = bench.compose.finish(&old, &placed).await.unwrap_err();
    assert!(matches!(gone, ComposeError::Gone { .. }), "{gone}");
    assert_eq!(bench.etag().await, etag);
    bench.remove_output().await;
}

async fn a_refused_finish_is_told_and_shows_nothing(bench: &Bench<'_>, faults: Faults<'_>) {
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    faults.once(faults.finish, Faults::answer(403, "AccessDenied"));
    let refused = bench.compose.finish(&token, &placed).await.unwrap_err();
    assert!(!refused.is_transient(), "{refused}");
    assert!(bench.output().await.is_none());
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn a_merge_that_starts_again_sends_only_what_is_missing(
    bench: &Bench<'_>,
    faults: Faults<'_>,
) {
    let token = bench.begin().await;
    let parts = bench.parts();
    for number in [0, 2] {
        bench.compose.place(&token, &parts[number]).await.unwrap();
    }
    // Another process goes on.
    let there = bench.other.placed(&token, &parts).await.unwrap();
    let known: Vec<_> = there.iter().map(Option::is_some).collect();
    assert_eq!(known, [true, false, true, false]);
    faults.front.take_seen();
    let mut placed = Vec::new();
    for (part, receipt) in parts.into_iter().zip(there) {
        let receipt = match receipt {
            Some(receipt) => receipt,
            None => bench.other.place(&token, &part).await.unwrap().receipt,
        };
        placed.push((part, receipt));
    }
    let (method, needle) = faults.place;
    let sent = faults.front.take_seen();
    let is_place = |line: &str| line.starts_with(method) && line.contains(needle);
    // Azure's emulator is asked to copy, refuses, and is sent the bytes.
    let mut lines: Vec<_> =
        sent.iter().map(|seen| seen.line.as_str()).filter(|line| is_place(line)).collect();
    lines.dedup();
    assert_eq!(lines.len(), 2, "{sent:?}");
    bench.other.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}
