//! Which applications depend on which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::catalog::Catalog;
use super::needs::Needs;
use super::problem::Problem;
use super::resolution::{Warning, WarningKind};
use crate::admin_service::{AppRelation, Relation};

/// The far end of a relation: a known application by lower-case model name, or a `CI_ID` that the
/// export does not explain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Far {
    Known(String),
    Unknown(u64),
}

struct Graph<'a> {
    catalog: &'a Catalog,
    /// By lower-case model name, in the order of the relation classes: direct ones first, so that a
    /// chain of reasons names every link.
    edges: BTreeMap<String, Vec<(Relation, Far)>>,
}

/// Adds what the applications depend on, with the chain that leads there; or, if `detect` is off,
/// notes what is left out. Superseded and retired applications are told.
pub(super) fn close(
    catalog: &Catalog,
    detect: bool,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
) {
    let graph = Graph::new(catalog);
    let roots: Vec<String> = needs.applications.keys().cloned().collect();
    for root in &roots {
        match detect {
            true => graph.follow(root, needs, problems),
            false => graph.note_left_out(root, needs),
        }
    }
    let carried: Vec<String> = needs.applications.keys().cloned().collect();
    for model in &carried {
        tell_state(catalog, &graph, model, needs);
        graph.note_optional(model, needs);
    }
}

impl<'a> Graph<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        let mut edges: BTreeMap<String, Vec<(Relation, Far)>> = BTreeMap::new();
        for row in &catalog.relations {
            let (Some(from), Some(to)) = (near(catalog, row), far(catalog, row)) else {
                continue;
            };
            let edge = (row.relation, to);
            let known = edges.entry(from).or_default();
            if !known.contains(&edge) {
                known.push(edge);
            }
        }
        Self { catalog, edges }
    }

    fn of(&self, model: &str, relation: Relation) -> impl Iterator<Item = &Far> {
        let edges = self.edges.get(model).map(Vec::as_slice).unwrap_or_default();
        edges.iter().filter(move |(kind, _)| *kind == relation).map(|(_, far)| far)
    }

    /// Names of the applications that supersede this one.
    fn superseding(&self, model: &str) -> Vec<String> {
        let older = Far::Known(model.to_owned());
        let newer = self.edges.iter().filter(|(_, edges)| {
            edges.iter().any(|(relation, far)| *relation == Relation::Supersedence && *far == older)
        });
        newer.map(|(newer, _)| self.name(newer)).collect()
    }

    fn name(&self, model: &str) -> String {
        let known = self.catalog.applications.get(model);
        known.map_or_else(|| model.to_owned(), |application| application.name.clone())
    }

    /// Breadth first from one root, so that the chain told is a shortest one; cycles end where an
    /// application has been seen.
    fn follow(&self, root: &str, needs: &mut Needs, problems: &mut Vec<Problem>) {
        let mut seen = BTreeSet::from([root.to_owned()]);
        let mut queue = VecDeque::from([(root.to_owned(), Vec::<String>::new())]);
        while let Some((model, chain)) = queue.pop_front() {
            for far in self.of(&model, Relation::Dependence) {
                let reason = self.reason(root, &chain);
                match far {
                    Far::Unknown(id) => problems.push(Problem::UnknownApplication {
                        id: format!("CI_ID {id}"),
                        named_by: reason,
                        absent_files: self.catalog.absent_application_files(),
                    }),
                    Far::Known(next) if seen.insert(next.clone()) => {
                        let known = self.catalog.applications.get(next);
                        let model_name = known.map_or(next, |a| &a.model_name).clone();
                        needs.application(&model_name).add(reason, true);
                        let mut longer = chain.clone();
                        longer.push(self.name(next));
                        queue.push_back((next.clone(), longer));
                    }
                    Far::Known(next) => self.note_cycle(root, &model, next, needs),
                }
            }
        }
    }

    /// A cycle is no harm to a medium, but nobody can install it.
    fn note_cycle(&self, root: &str, model: &str, next: &str, needs: &mut Needs) {
        if next == root {
            let (from, to) = (self.name(model), self.name(root));
            let note = format!(
                "'{from}' depends on '{to}', which depends on it in turn: both are carried, but correct the dependencies at the site"
            );
            if !needs.notes.contains(&note) {
                needs.notes.push(note);
            }
        }
    }

    fn reason(&self, root: &str, chain: &[String]) -> String {
        let of = format!("dependency of '{}'", self.name(root));
        match chain {
            [] => of,
            links => format!("{of} through '{}'", links.join("' → '")),
        }
    }

    fn note_left_out(&self, root: &str, needs: &mut Needs) {
        for far in self.of(root, Relation::Dependence) {
            let to = match far {
                Far::Known(model) if needs.applications.contains_key(model) => continue,
                Far::Known(model) => format!("'{}'", self.name(model)),
                Far::Unknown(id) => format!("the application with CI_ID {id}"),
            };
            let from = self.name(root);
            needs.notes.push(format!("'{from}' depends on {to}, which is not carried: detect_application_dependencies is off"));
        }
    }

    fn note_optional(&self, model: &str, needs: &mut Needs) {
        for far in self.of(model, Relation::Optional) {
            if let Far::Known(to) = far
                && !needs.applications.contains_key(to)
            {
                let (from, to) = (self.name(model), self.name(to));
                needs.notes.push(format!("'{from}' optionally uses '{to}', which is not carried; name it in the spec if it should be"));
            }
        }
    }
}

/// The near end counts only in the latest revision: older ones may depend on what is no longer needed.
fn near(catalog: &Catalog, row: &AppRelation) -> Option<String> {
    let model = match row.from_application {
        Some(id) => {
            let model = catalog.model_of_ci.get(&id)?;
            (catalog.applications.get(model)?.ci_id == id).then_some(model.clone())?
        }
        None => model_of_deployment_type(catalog, row.from_deployment_type?)?,
    };
    Some(model)
}

fn far(catalog: &Catalog, row: &AppRelation) -> Option<Far> {
    let by_application = row.to_application.map(|id| (id, catalog.model_of_ci.get(&id).cloned()));
    let by_type = row.to_deployment_type.map(|id| (id, model_of_deployment_type(catalog, id)));
    match (by_application, by_type) {
        (Some((_, Some(model))), _) | (_, Some((_, Some(model)))) => Some(Far::Known(model)),
        (Some((id, None)), _) | (None, Some((id, None))) => Some(Far::Unknown(id)),
        (None, None) => None,
    }
}

fn model_of_deployment_type(catalog: &Catalog, ci_id: u64) -> Option<String> {
    let found = catalog.deployment_types.iter().find(|d| d.ci_id == Some(ci_id))?;
    Some(found.app_model_name.to_lowercase())
}

/// Superseded and retired applications are carried: the task sequence installs the very one it names.
fn tell_state(catalog: &Catalog, graph: &Graph<'_>, model: &str, needs: &mut Needs) {
    let Some(application) = catalog.applications.get(model) else {
        return;
    };
    let mut tell = |what: String| {
        let subject = format!("'{}'", application.name);
        needs.warnings.push(Warning::new(WarningKind::Application, &subject, what));
    };
    if application.is_retired {
        tell("is retired at the site; it is carried all the same".into());
    }
    let newer = graph.superseding(model);
    if newer.is_empty() && application.is_superseded {
        tell("is superseded by another application; it is carried all the same".into());
    } else if !newer.is_empty() {
        let names = newer.join("', '");
        tell(format!(
            "is superseded by '{names}'; it is carried all the same, so see whether the task sequence should name the newer one"
        ));
    }
}
