//! Which distribution points a worker reaches, and what reading there costs it.

use std::collections::BTreeMap;

use prestage_proto::v1::{self, task::Work};

/// What stands for all distribution points that are not named.
const OTHERS: &str = "*";

/// A worker's reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// By lower-case name.
    named: BTreeMap<String, u32>,
    /// Of all others, if it reaches them.
    others: Option<u32>,
}

impl Reach {
    /// As the worker says; one that says nothing reaches everything at no cost.
    pub fn of(said: &[v1::Reach]) -> Self {
        let others = match said.iter().find(|reach| reach.distribution_point == OTHERS) {
            Some(reach) => Some(reach.cost),
            None if said.is_empty() => Some(0),
            None => None,
        };
        let named = said.iter().filter(|reach| reach.distribution_point != OTHERS);
        let named = named.map(|reach| (reach.distribution_point.to_lowercase(), reach.cost));
        Self { named: named.collect(), others }
    }

    fn cost_of(&self, distribution_point: &str) -> Option<u32> {
        let name = distribution_point.to_lowercase();
        self.named.get(&name).copied().or(self.others)
    }

    /// What a task costs that can be read from any of `sources`; `None` if none is in reach. A task
    /// without sources reads from the object store, which all reach.
    pub fn cost(&self, sources: &[String]) -> Option<u32> {
        if sources.is_empty() {
            return Some(0);
        }
        sources.iter().filter_map(|source| self.cost_of(source)).min()
    }

    /// The task as this worker is to do it: with the sources in its reach, cheapest first, and among
    /// equals in the order of preference.
    pub fn fitted(&self, task: &v1::Task) -> v1::Task {
        let mut task = task.clone();
        if let Some(sources) = sources_mut(&mut task) {
            sources.retain(|source| self.cost_of(&source.distribution_point).is_some());
            sources.sort_by_key(|source| self.cost_of(&source.distribution_point));
        }
        task
    }
}

/// The distribution points that a task may read from, in order of preference.
pub(super) fn sources(task: &v1::Task) -> Vec<String> {
    let sources = match &task.work {
        Some(Work::Encode(task)) => &task.sources,
        Some(Work::EncodeRun(task)) => &task.sources,
        Some(Work::Join(task)) => &task.sources,
        Some(Work::Splice(task)) => &task.sources,
        Some(Work::Boot(task)) => &task.sources,
        Some(Work::Verify(v1::VerifyTask { encode: Some(task) })) => &task.sources,
        Some(Work::Verify(_) | Work::Assemble(_) | Work::Merge(_) | Work::Publish(_)) | None => {
            return Vec::new();
        }
    };
    sources.iter().map(|source| source.distribution_point.clone()).collect()
}

fn sources_mut(task: &mut v1::Task) -> Option<&mut Vec<v1::ContentSource>> {
    match &mut task.work {
        Some(Work::Encode(task)) => Some(&mut task.sources),
        Some(Work::EncodeRun(task)) => Some(&mut task.sources),
        Some(Work::Join(task)) => Some(&mut task.sources),
        Some(Work::Splice(task)) => Some(&mut task.sources),
        Some(Work::Boot(task)) => Some(&mut task.sources),
        Some(Work::Verify(task)) => task.encode.as_mut().map(|task| &mut task.sources),
        Some(Work::Assemble(_) | Work::Merge(_) | Work::Publish(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(said: &[(&str, u32)]) -> Reach {
        let said = said
            .iter()
            .map(|(name, cost)| v1::Reach { distribution_point: (*name).to_owned(), cost: *cost });
        Reach::of(&said.collect::<Vec<_>>())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_cheapest_source_in_reach_counts() {
        let near = reach(&[("DP1.corp.example", 0), ("dp2.corp.example", 7)]);
        assert_eq!(near.cost(&names(&["dp2.corp.example", "dp1.CORP.example"])), Some(0));
        assert_eq!(near.cost(&names(&["dp3.corp.example"])), None);
        assert_eq!(near.cost(&[]), Some(0), "the object store is everywhere");
        assert_eq!(reach(&[]).cost(&names(&["dp3"])), Some(0));
        assert_eq!(reach(&[("dp1", 0), ("*", 9)]).cost(&names(&["dp3"])), Some(9));
    }

    #[test]
    fn a_worker_gets_the_sources_that_it_reaches_cheapest_first() {
        let source = |name: &str| v1::ContentSource {
            distribution_point: name.into(),
            content_library: String::new(),
        };
        let sources = ["a", "b", "c", "d"].map(source).to_vec();
        let work = Work::Encode(v1::EncodeTask { sources, ..Default::default() });
        let task = v1::Task { objects_url: String::new(), work: Some(work) };
        let fitted = reach(&[("a", 5), ("b", 1), ("d", 1)]).fitted(&task);
        assert_eq!(super::sources(&fitted), ["b", "d", "a"]);
    }
}
