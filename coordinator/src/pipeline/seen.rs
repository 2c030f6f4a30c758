//! Whether a medium is laid out from the very packs that were made for it and that second opinions were
//! given on. Workers of the release before say less of what they saw.

use std::collections::BTreeMap;

use prestage_proto::v1::{self, task_result};

use super::{PipelineError, Results};

/// Checks all packs that a medium was laid out from.
pub(super) fn check_packs(
    assembled: &v1::AssembleResult,
    results: &Results<'_>,
) -> Result<(), PipelineError> {
    let known = Known::of(results);
    assembled.packs.iter().try_for_each(|seen| known.check(seen))
}

/// Checks the pack that a second opinion was given on.
pub(super) fn check_seen(seen: &v1::SeenPack, results: &Results<'_>) -> Result<(), PipelineError> {
    Known::of(results).check(seen)
}

/// What is known of a build's packs, by their keys.
#[derive(Default)]
struct Known<'a> {
    /// Digests of the indexes, as whoever made the packs or found them there says.
    made: BTreeMap<&'a str, &'a [u8]>,
    /// The packs that second opinions were given on.
    compared: BTreeMap<&'a str, &'a v1::SeenPack>,
}

impl<'a> Known<'a> {
    fn of(results: &Results<'a>) -> Self {
        let mut known = Self::default();
        for result in results.values() {
            match &result.work {
                Some(task_result::Work::Pack(pack)) if !pack.index_sha256.is_empty() => {
                    known.made.insert(&pack.pack_key, &pack.index_sha256);
                }
                Some(task_result::Work::Verify(v1::VerifyResult { seen: Some(seen), .. })) => {
                    known.compared.insert(&seen.pack_key, seen);
                }
                _ => {}
            }
        }
        known
    }

    fn check(&self, seen: &v1::SeenPack) -> Result<(), PipelineError> {
        let replaced = |problem: &str| {
            let (pack_key, problem) = (seen.pack_key.clone(), problem.to_owned());
            Err(PipelineError::Replaced { pack_key, problem })
        };
        let made = self.made.get(seen.pack_key.as_str());
        if made.is_some_and(|made| *made != seen.index_sha256) {
            return replaced("its index is not the one of when it was made");
        }
        let Some(compared) = self.compared.get(seen.pack_key.as_str()) else {
            return Ok(());
        };
        if compared.index_sha256 != seen.index_sha256 {
            return replaced("its index is not the one that the second opinion was given on");
        }
        let tags = [&compared.tag, &seen.tag];
        if tags.iter().all(|tag| !tag.is_empty()) && tags[0] != tags[1] {
            return replaced("its bytes are not the ones that the second opinion was given on");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(index: &[u8]) -> v1::TaskResult {
        let index_sha256 = index.to_vec().into();
        let pack = v1::PackResult { pack_key: "p".into(), index_sha256, ..Default::default() };
        v1::TaskResult { work: Some(task_result::Work::Pack(pack)), ..Default::default() }
    }

    fn seen(index: &[u8], tag: &str) -> v1::SeenPack {
        let index_sha256 = index.to_vec().into();
        v1::SeenPack { pack_key: "p".into(), index_sha256, tag: tag.into() }
    }

    fn compared(seen: v1::SeenPack) -> v1::TaskResult {
        let seen = Some(seen);
        let verified = v1::VerifyResult { pack_key: "p".into(), seen, ..Default::default() };
        v1::TaskResult { work: Some(task_result::Work::Verify(verified)), ..Default::default() }
    }

    fn fits(results: &[v1::TaskResult], packs: Vec<v1::SeenPack>) -> bool {
        let ids = ["encode-1", "verify-1"];
        let results: Results<'_> = ids.into_iter().zip(results).collect();
        let assembled = v1::AssembleResult { packs, ..Default::default() };
        check_packs(&assembled, &results).is_ok()
    }

    #[test]
    fn a_medium_is_of_the_packs_that_were_made_and_compared() {
        let one = || made(b"1");
        assert!(fits(&[one()], vec![seen(b"1", "a")]));
        assert!(!fits(&[one()], vec![seen(b"2", "a")]));
        let both = || [one(), compared(seen(b"1", "a"))];
        assert!(fits(&both(), vec![seen(b"1", "a")]));
        assert!(!fits(&both(), vec![seen(b"1", "b")]), "other bytes under the same index");
        assert!(!fits(&both(), vec![seen(b"2", "a")]));
        let in_folder = || [one(), compared(seen(b"1", ""))];
        assert!(fits(&in_folder(), vec![seen(b"1", "")]));
    }

    #[test]
    fn a_maker_that_says_nothing_is_bound_by_the_second_opinion() {
        let silent = || [made(b""), compared(seen(b"1", "a"))];
        assert!(fits(&silent(), vec![seen(b"1", "a")]));
        assert!(!fits(&silent(), vec![seen(b"2", "a")]));
        assert!(fits(&[made(b"")], vec![seen(b"2", "a")]), "nobody knows");
    }

    #[test]
    fn a_second_opinion_is_on_what_was_made() {
        let (encode, verify) = (made(b"1"), compared(seen(b"2", "")));
        let results: Results<'_> = [("encode-1", &encode), ("verify-1", &verify)].into();
        assert!(check_seen(&seen(b"2", ""), &results).is_err());
        assert!(check_seen(&seen(b"1", ""), &[("encode-1", &encode)].into()).is_ok());
    }
}
