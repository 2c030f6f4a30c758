//! What every implementation of [`Compose`] has to do, run against each of them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prestage_store::compose::{ComposeError, Reaped};
use prestage_store::{
    Compose, ObjectKey, ObjectUrl, Objects, Part, PutRule, Receipt, Source, StoreError,
    StoreOptions, UploadToken,
};

use super::garbage::garbage_goes_and_what_is_pinned_stays;

/// S3's minimum for a part, and a bit, so that offsets are odd.
pub const S3_PART: u64 = 5 * 1024 * 1024 + 17;
/// For stores without a minimum.
pub const SMALL_PART: u64 = 300_007;
const PARTS: u64 = 3;
const LAST: u64 = 1234;

/// One implementation, one kind of output, one kind of source.
pub struct Bench<'a> {
    pub compose: &'a dyn Compose,
    /// Another of its kind, as another process has one.
    pub other: &'a dyn Compose,
    /// Where the sources lie.
    pub objects: Objects,
    /// The output; nothing is there.
    pub dst: ObjectUrl,
    /// How to open the output's store.
    pub options: StoreOptions,
    /// Bytes of all parts but the last.
    pub part: u64,
}

/// Runs the whole suite.
pub async fn conformance(bench: &Bench<'_>) {
    bench.put_sources().await;
    composes_in_any_order_and_shows_nothing_before(bench).await;
    every_step_may_be_repeated(bench).await;
    incomplete_or_wrong_parts_are_refused(bench).await;
    an_aborted_composition_is_gone_and_leaves_the_output_alone(bench).await;
    sources_that_are_not_what_was_pinned_are_refused(bench).await;
    a_part_beyond_the_end_or_a_strange_token_is_refused(bench).await;
    receipts_of_other_parts_and_compositions_are_refused(bench).await;
    what_is_said_to_be_placed_is_placed(bench).await;
    only_forgotten_compositions_are_reaped(bench).await;
    garbage_goes_and_what_is_pinned_stays(&bench.objects).await;
    bench.assert_clean().await;
}

/// Byte `at` of source `number`.
fn byte(number: u64, at: u64) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 11) as u8 ^ number as u8
}

impl Bench<'_> {
    fn key(number: u64) -> ObjectKey {
        // A space and a plus sign: both are special in addresses.
        ObjectKey::new(format!("packs/a b+c/{number}.pack")).unwrap()
    }

    pub async fn put_sources(&self) {
        for number in 0..2 {
            let body: Vec<u8> = (0..2 * self.part + 100).map(|at| byte(number, at)).collect();
            let key = Self::key(number);
            let put = self.objects.put_small(&key, body.into(), PutRule::Overwrite);
            let _ = put.await.unwrap();
        }
    }

    /// Part `number` is from source `number % 2`, at an offset of its own.
    fn part(&self, number: u64) -> Part {
        Part {
            number: number as u32,
            dst_offset: number * self.part,
            len: if number == PARTS { LAST } else { self.part },
            source: Source {
                objects: self.objects.clone(),
                key: Self::key(number % 2),
                offset: 11 * number + 3,
                if_match: None,
            },
        }
    }

    fn total(&self) -> u64 {
        PARTS * self.part + LAST
    }

    pub fn parts(&self) -> Vec<Part> {
        (0..=PARTS).map(|number| self.part(number)).collect()
    }

    fn expected(&self) -> Vec<u8> {
        let ranges = (0..=PARTS).flat_map(|number| {
            let part = self.part(number);
            let from = part.source.offset;
            (from..from + part.len).map(move |at| byte(number % 2, at))
        });
        ranges.collect()
    }

    pub async fn begin(&self) -> UploadToken {
        self.compose.begin(&self.dst, self.total()).await.unwrap()
    }

    /// Places the parts from last to first, some at once, by two processes which have got the token.
    pub async fn place_all(&self, token: &UploadToken) -> Vec<(Part, Receipt)> {
        let placing = self.parts().into_iter().rev().map(async |part| {
            let token = UploadToken::from(token.as_str().to_owned());
            let compose = if part.number % 2 == 0 { self.compose } else { self.other };
            let receipt = compose.place(&token, &part).await.unwrap().receipt;
            (part, Receipt::from(receipt.as_str().to_owned()))
        });
        let mut placed: Vec<_> = stream::iter(placing).buffered(2).collect().await;
        placed.reverse();
        placed
    }

    /// The output, if it is there.
    pub async fn output(&self) -> Option<Bytes> {
        let (objects, key) = Objects::open_around(&self.dst, &self.options).await.unwrap();
        match objects.get(&key, u64::MAX).await {
            Ok(body) => Some(body),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn assert_whole(&self) {
        let found = self.output().await.unwrap();
        assert_eq!(found.len() as u64, self.total());
        assert!(found == self.expected(), "the output's bytes are not the parts'");
    }

    pub async fn remove_output(&self) {
        let (objects, key) = Objects::open_around(&self.dst, &self.options).await.unwrap();
        objects.delete(&key).await.unwrap();
    }

    /// Tells one output from the next.
    pub async fn etag(&self) -> Option<String> {
        let (objects, key) = Objects::open_around(&self.dst, &self.options).await.unwrap();
        objects.head(&key).await.unwrap().unwrap().etag
    }

    /// Nothing of ours is left beside the output.
    pub async fn assert_clean(&self) {
        let left = self.beside().await;
        let ours = |name: &String| name.ends_with(".partial") || name.starts_with(".prestage/");
        assert!(!left.iter().any(ours), "{left:?}");
    }

    /// Objects of others, with names like ours; gives the names.
    async fn put_strangers(&self) -> Vec<String> {
        let id = "0123456789abcdef0123456789abcdef";
        let names = [format!(".prestage/{id}.open"), ".prestage/notes".to_owned()];
        let folder = self.dst.parent().unwrap();
        let objects = Objects::open_with(&folder, &self.options).await.unwrap();
        for name in &names {
            let key = ObjectKey::new(name.as_str()).unwrap();
            let put = objects.put_small(&key, Bytes::from_static(b"x"), PutRule::Overwrite);
            let _ = put.await.unwrap();
        }
        names.to_vec()
    }

    /// Removes an object, which must be there.
    async fn remove_beside(&self, name: &str) {
        let folder = self.dst.parent().unwrap();
        let objects = Objects::open_with(&folder, &self.options).await.unwrap();
        let key = ObjectKey::new(name).unwrap();
        assert!(objects.head(&key).await.unwrap().is_some(), "{name} is gone");
        objects.delete(&key).await.unwrap();
    }

    /// Names of what lies beside the output and below.
    async fn beside(&self) -> Vec<String> {
        let folder = self.dst.parent().unwrap();
        let objects = Objects::open_with(&folder, &self.options).await.unwrap();
        let found: Vec<_> = objects.list("").try_collect().await.unwrap();
        found.into_iter().map(|facts| facts.key.as_str().to_owned()).collect()
    }
}

async fn composes_in_any_order_and_shows_nothing_before(bench: &Bench<'_>) {
    let token = bench.begin().await;
    assert!(bench.output().await.is_none(), "after begin");
    let placed = bench.place_all(&token).await;
    assert!(bench.output().await.is_none(), "after the last part");
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn every_step_may_be_repeated(bench: &Bench<'_>) {
    let token = bench.begin().await;
    bench.place_all(&token).await;
    let placed = bench.place_all(&token).await;
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    // Giving up what is finished changes nothing.
    bench.compose.abort(&token).await.unwrap();
    bench.compose.abort(&token).await.unwrap();
    bench.assert_whole().await;
    // And the same output may be composed anew over the old one.
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    bench.assert_whole().await;
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn incomplete_or_wrong_parts_are_refused(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    let refused = async |parts: &[(Part, Receipt)]| {
        let error = bench.compose.finish(&token, parts).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
    };
    refused(&placed[..3]).await;
    refused(&placed[1..]).await;
    refused(&[]).await;
    let mut swapped = placed.clone();
    swapped.swap(0, 1);
    refused(&swapped).await;
    let mut unplaced = placed.clone();
    unplaced[2].1 = Receipt::from(String::new());
    refused(&unplaced).await;
    assert!(bench.output().await.is_none(), "a refused finish shows nothing");
    // None of this did harm.
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn an_aborted_composition_is_gone_and_leaves_the_output_alone(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    bench.compose.finish(&token, &placed).await.unwrap();
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    bench.compose.abort(&token).await.unwrap();
    let gone = bench.compose.place(&token, &placed[0].0).await.unwrap_err();
    assert!(matches!(gone, ComposeError::Gone { .. }), "{gone}");
    // There is an output of the very size, but it is the old one.
    let gone = bench.compose.finish(&token, &placed).await.unwrap_err();
    assert!(matches!(gone, ComposeError::Gone { .. }), "{gone}");
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn sources_that_are_not_what_was_pinned_are_refused(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let pinned = bench.objects.head(&Bench::key(0)).await.unwrap().unwrap();
    let mut part = bench.part(0);
    part.source.if_match = pinned.etag;
    bench.compose.place(&token, &part).await.unwrap();
    part.source.if_match = Some("\"00000000000000000000000000000000\"".to_owned());
    let changed = bench.compose.place(&token, &part).await.unwrap_err();
    assert!(matches!(changed, ComposeError::Store(StoreError::Changed { .. })), "{changed}");
    let mut missing = bench.part(0);
    missing.source.key = ObjectKey::new("packs/none").unwrap();
    let missing = bench.compose.place(&token, &missing).await.unwrap_err();
    assert!(matches!(missing, ComposeError::Store(StoreError::Missing { .. })), "{missing}");
    let mut short = bench.part(0);
    short.source.offset = bench.part + 101;
    let short = bench.compose.place(&token, &short).await.unwrap_err();
    assert!(!short.is_transient(), "{short}");
    bench.compose.abort(&token).await.unwrap();
}

async fn a_part_beyond_the_end_or_a_strange_token_is_refused(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let mut part = bench.part(PARTS);
    part.len += 1;
    let beyond = bench.compose.place(&token, &part).await.unwrap_err();
    assert!(matches!(beyond, ComposeError::Beyond { .. }), "{beyond}");
    bench.compose.abort(&token).await.unwrap();
    let strange = UploadToken::from("not a token".to_owned());
    let strange = bench.compose.abort(&strange).await.unwrap_err();
    assert!(matches!(strange, ComposeError::Token { .. }), "{strange}");
}

async fn receipts_of_other_parts_and_compositions_are_refused(bench: &Bench<'_>) {
    let other = bench.begin().await;
    let others = bench.place_all(&other).await;
    let token = bench.begin().await;
    let placed = bench.place_all(&token).await;
    let refused = async |parts: &[(Part, Receipt)]| {
        let error = bench.compose.finish(&token, parts).await.unwrap_err();
        assert!(matches!(error, ComposeError::Receipt { .. }), "{error}");
    };
    refused(&others).await;
    let mut exchanged = placed.clone();
    exchanged[0].1 = placed[1].1.clone();
    refused(&exchanged).await;
    let mut moved = placed.clone();
    moved[1].0.source.offset += 1;
    refused(&moved).await;
    assert!(bench.output().await.is_none());
    bench.compose.abort(&other).await.unwrap();
    bench.compose.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

/// Whether a store knows or not: what it says to have needs not be placed again.
async fn what_is_said_to_be_placed_is_placed(bench: &Bench<'_>) {
    let token = bench.begin().await;
    let parts = bench.parts();
    let before = bench.other.placed(&token, &parts).await.unwrap();
    assert_eq!(before, vec![None; parts.len()]);
    for number in [1, 3] {
        bench.compose.place(&token, &parts[number]).await.unwrap();
    }
    let there = bench.other.placed(&token, &parts[1..]).await.unwrap();
    assert_eq!(there.len(), 3);
    assert!(there[1].is_none(), "part 2 was never placed");
    let there = bench.other.placed(&token, &parts).await.unwrap();
    let mut placed = Vec::new();
    for (part, receipt) in parts.into_iter().zip(there) {
        let receipt = match receipt {
            Some(receipt) => receipt,
            None => bench.other.place(&token, &part).await.unwrap().receipt,
        };
        placed.push((part, receipt));
    }
    bench.other.finish(&token, &placed).await.unwrap();
    bench.assert_whole().await;
    bench.remove_output().await;
}

async fn only_forgotten_compositions_are_reaped(bench: &Bench<'_>) {
    let hour = Duration::from_secs(3600);
    let (now, folder) = (SystemTime::now(), bench.dst.parent().unwrap());
    let reap =
        async |live: &[UploadToken], now| bench.other.reap(&folder, live, hour, now).await.unwrap();
    let forgotten = bench.begin().await;
    let lost = bench.place_all(&forgotten).await;
    let live = bench.begin().await;
    let placed = bench.place_all(&live).await;
    let strangers = bench.put_strangers().await;
    let live = [live];
    assert_eq!(reap(&live, now).await, Reaped::default(), "all of it is young");
    assert_eq!(reap(&live, now + 2 * hour).await.compositions, 1);
    assert_eq!(reap(&live, now + 2 * hour).await, Reaped::default());
    let gone = bench.compose.place(&forgotten, &lost[0].0).await.unwrap_err();
    assert!(matches!(gone, ComposeError::Gone { .. }), "{gone}");
    bench.compose.finish(&live[0], &placed).await.unwrap();
    bench.assert_whole().await;
    for stranger in strangers {
        bench.remove_beside(&stranger).await;
    }
    bench.remove_output().await;
}
