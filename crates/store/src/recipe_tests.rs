//! Tests of the recipe.

use proptest::prelude::*;

use super::*;
use crate::chunks::{CHUNK, HEADER_BYTES};

const MIB: u64 = 1024 * 1024;

/// Glue, 35 chunks of a pack, glue.
fn sample() -> Recipe {
    let glue = |dst_offset, len, offset| Segment {
        dst_offset,
        len,
        source: SegmentSource::Glue { offset },
    };
    let head = HEADER_BYTES + CHUNK;
    let pack = Segment {
        dst_offset: head,
        len: 35 * CHUNK,
        source: SegmentSource::Pack { key: PackKey::of(b"p"), offset: CHUNK },
    };
    let end = head + 35 * CHUNK;
    let segments = vec![glue(0, head, 0), pack, glue(end, 12345, head)];
    let seen = SeenPack { index_sha256: [7; 32], tag: Some("\"tag\"".into()) };
    Recipe::new(end + 12345, segments).unwrap().of_packs([(PackKey::of(b"p"), seen)])
}

fn rules(max_bytes: u64) -> PartRules {
    PartRules { min_bytes: 5 * MIB, max_bytes, max_parts: 10_000, at_once: 4 }
}

#[test]
fn a_recipe_survives_the_round_trip_and_damage_is_told() {
    let recipe = sample();
    assert_eq!(Recipe::decode(&recipe.encode()).unwrap(), recipe);
    assert!(Recipe::decode(&[]).is_err());
    let cut = recipe.encode().slice(..50);
    assert!(Recipe::decode(&cut).is_err());
}

#[test]
fn gaps_overlaps_and_a_wrong_end_are_refused() {
    assert_eq!(check_tiling(10, [(0, 4), (4, 6)]), Ok(()));
    assert_eq!(check_tiling(0, []), Ok(()));
    for ranges in [[(0, 4), (5, 5)], [(0, 4), (3, 7)], [(0, 4), (4, 5)], [(0, 10), (10, 0)]] {
        assert!(check_tiling(10, ranges).is_err(), "{ranges:?}");
    }
    assert!(check_tiling(10, [(0, u64::MAX), (u64::MAX, 2)]).is_err());
}

#[test]
fn parts_are_cut_at_chunk_starts() {
    let parts = sample().parts(&rules(100 * MIB)).unwrap();
    let lens: Vec<_> = parts.iter().map(|part| part.len).collect();
    let tens = 10 * CHUNK;
    assert_eq!(lens, [HEADER_BYTES + CHUNK, tens, tens, tens, 5 * CHUNK, 12345]);
    let third = SegmentSource::Pack { key: PackKey::of(b"p"), offset: 11 * CHUNK };
    assert_eq!((parts[2].number, parts[2].source), (2, third));
}

#[tokio::test]
async fn parts_of_packs_want_the_pack_that_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let url = crate::ObjectUrl::Local(folder.path().to_path_buf());
    let objects = Objects::open(&url).await.unwrap();
    let (recipe, glue) = (sample(), ObjectKey::new("glue").unwrap());
    let parts = recipe.parts(&rules(100 * MIB)).unwrap();
    let tag = |part: &RecipePart| recipe.bind(part, &objects, &glue).source.if_match;
    assert_eq!(parts.iter().map(tag).filter(Option::is_some).count(), 4);
    assert_eq!(tag(&parts[1]).as_deref(), Some("\"tag\""));
    assert_eq!(tag(&parts[0]), None, "glue is the build's own");
}

#[test]
fn rules_that_cannot_be_kept_are_an_error() {
    let few = PartRules { max_parts: 3, ..rules(100 * MIB) };
    let many = sample().parts(&few).unwrap_err();
    assert_eq!(many, RecipeError::ManyParts { parts: 4, max: 3 });
    let glue = |dst_offset, len| Segment {
        dst_offset,
        len,
        source: SegmentSource::Glue { offset: dst_offset },
    };
    let recipe = Recipe::new(20, vec![glue(0, 10), glue(10, 10)]).unwrap();
    let small = recipe.parts(&rules(100 * MIB)).unwrap_err();
    assert!(matches!(small, RecipeError::SmallPart { number: 0, len: 10, .. }));
}

proptest! {
    #[test]
    fn parts_tile_the_medium_and_keep_the_rules(chunks in 1u64..200, mib in 40u64..1024) {
        let head = HEADER_BYTES + CHUNK;
        let segment = |dst_offset, len, source| Segment { dst_offset, len, source };
        let pack = SegmentSource::Pack { key: PackKey::of(b"p"), offset: 0 };
        let end = head + chunks * CHUNK;
        let recipe = Recipe::new(end + 1, vec![
            segment(0, head, SegmentSource::Glue { offset: 0 }),
            segment(head, chunks * CHUNK, pack),
            segment(end, 1, SegmentSource::Glue { offset: head }),
        ]).unwrap();
        let rules = rules(mib * MIB);
        let parts = recipe.parts(&rules).unwrap();
        prop_assert!(parts.iter().all(|part| part.len <= rules.max_bytes));
        let ranges = parts.iter().map(|part| (part.dst_offset, part.len));
        prop_assert_eq!(check_tiling(recipe.total_bytes(), ranges), Ok(()));
    }
}

#[test]
fn a_medium_beyond_all_stores_is_refused_before_it_is_cut() {
    let total = 1 << 60;
    let source = SegmentSource::Glue { offset: 0 };
    let recipe = Recipe::new(total, vec![Segment { dst_offset: 0, len: total, source }]).unwrap();
    let parts = total.div_ceil(5 * 1024 * MIB);
    let refused = recipe.parts(&rules(5 * 1024 * MIB));
    assert_eq!(refused, Err(RecipeError::ManyParts { parts, max: 10_000 }));
}
