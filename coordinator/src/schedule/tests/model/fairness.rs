//! Nobody starves: whoever always has something to do is never behind the others by more than the largest
//! task, however many builds these have and whenever they came.

use std::collections::BTreeMap;

use prestage_cases::cases;

use super::super::*;

const MIB: u64 = 1 << 20;
/// What a lease counts besides its bytes.
const LEASE: u64 = 4 * MIB;
const LARGEST: u64 = 63 * MIB + LEASE;

fn task(build: &str, number: usize, mib: u8) -> TaskRecord {
    TaskRecord {
        work_key: format!("{build}/{number}"),
        bytes_total: u64::from(mib) * MIB,
        ..example_task(&number.to_string(), &[])
    }
}

/// What was given, counted from where the least served stood when one came.
type Given = BTreeMap<String, u64>;

fn join(given: &mut Given, who: &str) {
    let least = given.values().min().copied().unwrap_or(0);
    given.entry(who.to_owned()).or_insert(least);
}

fn spread(given: &Given) -> u64 {
    given.values().max().unwrap_or(&0) - given.values().min().unwrap_or(&0)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn nobody_falls_behind(
        joins in proptest::collection::vec((0usize..100, 0u8..4), 1..9),
        sizes in proptest::collection::vec(0u8..64, 150),
    ) {
        let mut fleet = Scheduler::new(Policy::default());
        let (mut requesters, mut builds) = (Given::new(), BTreeMap::<String, Given>::new());
        for (step, mib) in sizes.into_iter().enumerate() {
            for (number, (_, requester)) in joins.iter().enumerate().filter(|(_, (at, _))| *at == step) {
                let (build, requester) = (format!("b{number}"), requester.to_string());
                add(&mut fleet, &build, &requester, vec![task(&build, 0, mib)]);
                join(&mut requesters, &requester);
                join(builds.entry(requester).or_default(), &build);
            }
            fleet.synchronize(&call("w", 1), SECOND);
            let Some((id, generation)) = granted(&mut fleet, "w", SECOND).pop() else {
                prop_assert!(requesters.is_empty());
                continue;
            };
            let done = TaskRef::from_wire(&id).unwrap();
            let bytes = fleet.task(&done).unwrap().record.bytes_total + LEASE;
            let of_build = |given: &&mut Given| given.contains_key(&done.build_id);
            let (requester, given) = builds.iter_mut().find(|(_, given)| of_build(given)).unwrap();
            *given.get_mut(&done.build_id).unwrap() += bytes;
            *requesters.get_mut(requester).unwrap() += bytes;
            prop_assert!(spread(given) <= LARGEST, "builds of {}: {:?}", requester, given);
            prop_assert!(spread(&requesters) <= LARGEST, "requesters: {:?}", requesters);
            prop_assert!(finish(&mut fleet, "w", &id, generation, SECOND));
            // There is always more to do.
            fleet.add_tasks(&done.build_id, vec![task(&done.build_id, step + 1, mib)], SECOND);
        }
    }
}
