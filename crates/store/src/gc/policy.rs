//! What goes: a pure function of what there is, what is pinned and the time.

use std::time::{Duration, SystemTime};

use crate::keys::ObjectKey;

/// What an operator wants to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GarbagePolicy {
    /// What was not used for so long goes; `None` keeps it however old.
    pub keep: Option<Duration>,
    /// When more bytes than this are there, what was used longest ago goes; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// Nothing younger than this goes: it may be a pack whose index is about to be written.
    pub safety: Duration,
}

impl Default for GarbagePolicy {
    fn default() -> Self {
        Self { keep: None, max_bytes: None, safety: Duration::from_secs(3600) }
    }
}

/// Something that may go: a pack with its index, half of one, or a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What pins and uses call it, there or not: a pack goes by its index.
    pub name: ObjectKey,
    /// Its objects, in the order in which they are removed.
    pub keys: Vec<ObjectKey>,
    /// Their bytes.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
    /// When a build last used it; when it was written, if none did.
    pub last_use: SystemTime,
    /// Whether a build may be using it now.
    pub pinned: bool,
    /// Whether it is of use: half of a pack is not, nor what a build left that is gone.
    pub whole: bool,
}

/// Why something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Not used for longer than is kept.
    Old,
    /// Others were used later, and there is too much.
    Budget,
    /// A worker ended in the middle of writing it, or its build is gone.
    Leftover,
}

impl Why {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Old => "not used for long",
            Self::Budget => "over the size budget",
            Self::Leftover => "left by a worker or a build that is gone",
        }
    }
}

/// The numbers of the items that go, and why.
#[must_use]
pub fn choose(items: &[Item], policy: &GarbagePolicy, now: SystemTime) -> Vec<(usize, Why)> {
    let age = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    let may_go = |item: &Item| !item.pinned && age(item.written) >= policy.safety;
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|&a, &b| {
        let key = |n: usize| (items[n].last_use, &items[n].keys);
        key(a).cmp(&key(b))
    });
    let mut left: u64 = items.iter().map(|item| item.bytes).sum();
    let mut chosen = Vec::new();
    for number in order {
        let item = &items[number];
        if !may_go(item) {
            continue;
        }
        let too_old = policy.keep.is_some_and(|keep| age(item.last_use) > keep);
        let too_much = policy.max_bytes.is_some_and(|max| left > max);
        let why = match (item.whole, too_old, too_much) {
            (false, ..) => Why::Leftover,
            (_, true, _) => Why::Old,
            (_, _, true) => Why::Budget,
            _ => continue,
        };
        left = left.saturating_sub(item.bytes);
        chosen.push((number, why));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * 20_000
    }

    fn item(name: &str, bytes: u64, days: u32) -> Item {
        let time = now() - DAY * days;
        let keys = vec![ObjectKey::new(name).unwrap()];
        let name = keys[0].clone();
        Item { name, keys, bytes, written: time, last_use: time, pinned: false, whole: true }
    }

    fn names(items: &[Item], policy: &GarbagePolicy) -> Vec<(String, Why)> {
        let chosen = choose(items, policy, now()).into_iter();
        chosen.map(|(number, why)| (items[number].keys[0].to_string(), why)).collect()
    }

    #[test]
    fn age_then_size_and_never_what_is_pinned() {
        let mut items =
            vec![item("a", 10, 40), item("b", 10, 20), item("c", 10, 10), item("d", 10, 0)];
        let mut policy = GarbagePolicy { keep: Some(DAY * 30), ..GarbagePolicy::default() };
        assert_eq!(names(&items, &policy), [("a".into(), Why::Old)]);
        policy.max_bytes = Some(15);
        let both = [("a", Why::Old), ("b", Why::Budget), ("c", Why::Budget)];
        assert_eq!(names(&items, &policy), both.map(|(name, why)| (name.to_owned(), why)));
        items[0].pinned = true;
        items[1].last_use = now();
        assert_eq!(names(&items, &policy), [("c".into(), Why::Budget), ("b".into(), Why::Budget)]);
        assert_eq!(names(&items, &GarbagePolicy::default()), []);
    }

    #[test]
    fn halves_go_but_not_while_they_may_be_being_written() {
        let mut items = vec![item("a", 10, 1), item("b", 10, 0)];
        items.iter_mut().for_each(|item| item.whole = false);
        assert_eq!(names(&items, &GarbagePolicy::default()), [("a".into(), Why::Leftover)]);
    }

    proptest! {
        /// Nothing pinned or young goes, nothing goes without a reason, and what goes for its size
        /// was used no later than what stays for no better reason.
        #[test]
        fn what_goes_may_go(
            facts in proptest::collection::vec((0u64..100, 0u32..60, 0u32..60, any::<bool>()), 0..30),
            keep in proptest::option::of(1u32..60),
            max_bytes in proptest::option::of(0u64..2000),
        ) {
            let items: Vec<Item> = (0..).zip(&facts).map(|(n, (bytes, written, used, pinned))| {
                let mut item = item(&format!("{n}"), *bytes, *written);
                item.last_use = now() - DAY * *used.min(written);
                item.pinned = *pinned;
                item
            }).collect();
            let policy = GarbagePolicy { keep: keep.map(|days| DAY * days), max_bytes, ..GarbagePolicy::default() };
            let chosen = choose(&items, &policy, now());
            let gone: Vec<usize> = chosen.iter().map(|(n, _)| *n).collect();
            let left: u64 = (0..items.len()).filter(|n| !gone.contains(n)).map(|n| items[n].bytes).sum();
            for (number, why) in &chosen {
                let item = &items[*number];
                prop_assert!(!item.pinned && now() - policy.safety >= item.written);
                if *why == Why::Budget {
                    let stays = |n: &usize| !gone.contains(n) && !items[*n].pinned
                        && now() - policy.safety >= items[*n].written;
                    for other in (0..items.len()).filter(stays) {
                        prop_assert!(items[other].last_use >= item.last_use);
                    }
                }
            }
            let movable = (0..items.len()).any(|n| !gone.contains(&n) && !items[n].pinned
                && now() - policy.safety >= items[n].written);
            prop_assert!(max_bytes.is_none_or(|max| left <= max || !movable));
        }
    }
}
