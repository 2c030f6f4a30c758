//! What has to be carried, and why: the union of the steps, the references and the request.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Catalog;
use super::problem::Problem;
use super::resolution::{Warning, WarningKind};
use crate::admin_service::{AdminServiceAnswers, PackageKind, Record, TaskSequencePackage};
use crate::ids::{application_model_name, is_package_id};
use crate::task_sequence::{ContentUse, Sequence, Step, StepTarget, shortened, step_content};

/// Nobody reads more reasons for one content, and each new one is compared with those before.
const REASONS_MAX: usize = 100;

/// Why one package or application is needed.
#[derive(Debug, Clone, Default)]
pub(super) struct Need {
    pub(super) reasons: Vec<String>,
    /// Not only disabled steps name it.
    pub(super) firm: bool,
    /// A step applies it as a data image.
    pub(super) data_image: bool,
    /// How many enabled steps name it, and how many of them never run from prestaged media.
    pub(super) steps: (u32, u32),
}

impl Need {
    pub(super) fn add(&mut self, reason: String, firm: bool) {
        self.firm |= firm;
        if self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// Everything needed so far.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// By upper-case package ID.
    pub(super) packages: BTreeMap<String, Need>,
    /// By lower-case model name, with the name as written.
    pub(super) applications: BTreeMap<String, (String, Need)>,
    pub(super) warnings: Vec<Warning>,
    pub(super) notes: Vec<String>,
}

impl Needs {
    pub(super) fn application(&mut self, model: &str) -> &mut Need {
        let entry = self.applications.entry(model.to_lowercase());
        &mut entry.or_insert_with(|| (model.to_owned(), Need::default())).1
    }

    /// What is needed already under this package ID or model name.
    fn find(&mut self, target: &str) -> Option<&mut Need> {
        match self.packages.get_mut(target) {
            Some(need) => Some(need),
            None => self.applications.get_mut(&target.to_lowercase()).map(|(_, need)| need),
        }
    }

    /// Tells what only steps name that never run from prestaged media. It is carried all the same, as
    /// the wizard does: a condition may be changed after the medium has left.
    pub(super) fn note_never_used(&mut self) {
        let never = |need: &Need| need.steps.0 > 0 && need.steps.0 == need.steps.1;
        let packages = self.packages.iter().filter(|(_, need)| never(need)).map(|(id, _)| id);
        let applications = self.applications.values().filter(|(_, need)| never(need));
        let told = packages.chain(applications.map(|(model, _)| model)).map(|what| {
            format!(
                "{what} is named only by steps whose conditions never hold on prestaged media; it is carried, as the wizard does, but this medium does not use it"
            )
        });
        let told: Vec<String> = told.collect();
        self.notes.extend(told);
    }
}

/// Where a step is, and when it runs, for people.
fn place(step: &Step) -> String {
    let groups = shortened(&step.groups().join(" › "));
    let condition = step.condition.as_ref().map(|condition| shortened(&condition.to_string()));
    match (groups.is_empty(), condition) {
        (true, None) => String::new(),
        (false, None) => format!(" (in {groups})"),
        (true, Some(condition)) => format!(" (if {condition})"),
        (false, Some(condition)) => format!(" (in {groups}, if {condition})"),
    }
}

/// Collects from a task sequence and those it runs.
pub(super) struct Collector<'a> {
    pub(super) folder: &'a AdminServiceAnswers,
    pub(super) catalog: &'a Catalog,
    pub(super) needs: &'a mut Needs,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Collector<'_> {
    /// Adds all that task sequence `id` and its children reference. Cycles among them end.
    pub(super) fn task_sequence(&mut self, id: &str) {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![id.to_owned()]);
        while let Some(next) = queue.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            match self.catalog.task_sequences.get(&next) {
                Some(found) => self.one(found, next == id, &mut queue),
                None => self.problems.push(Problem::UnknownTaskSequence {
                    id: next,
                    known: self.catalog.task_sequences.keys().take(8).cloned().collect(),
                }),
            }
        }
    }

    fn one(&mut self, found: &TaskSequencePackage, outer: bool, children: &mut Vec<String>) {
        let of = if outer { String::new() } else { format!(" of task sequence '{}'", found.name) };
        let flat = self.flat(found, &of, children);
        for reference in &found.references {
            let reason = format!("in the references{of}");
            self.reference(&reference.package, reason, true, children);
        }
        for reference in self.catalog.app_references.iter().filter(|r| r.task_sequence == found.id)
        {
            let by_ci = reference.ci_id.and_then(|id| self.catalog.model_of_ci.get(&id));
            if let Some(model) = reference.model_name.as_ref().or(by_ci) {
                let reason = format!("in the application references{of}");
                self.reference(model, reason, true, children);
            }
        }
        match &found.sequence {
            Some(xml) => self.steps(found, xml, &of, children),
            None => self.no_steps(found, flat || !found.references.is_empty()),
        }
    }

    fn flat(&mut self, found: &TaskSequencePackage, of: &str, children: &mut Vec<String>) -> bool {
        let rows = self.catalog.flat_references.iter().filter(|r| r.task_sequence == found.id);
        let mut any = false;
        for row in rows {
            any = true;
            let reason = match row.level {
                Some(level) if level > 0 => format!("referenced indirectly (level {level}){of}"),
                _ => format!("in the references{of}"),
            };
            let application =
                row.object_type.and_then(PackageKind::from_type) == Some(PackageKind::Application);
            let object = row.object.as_deref().filter(|o| application_model_name(o).is_some());
            let target = match application {
                true => object.or(row.package.as_deref()),
                false => row.package.as_deref().or(row.object.as_deref()),
            };
            if let Some(target) = target {
                self.reference(target, reason, true, children);
            }
        }
        any
    }

    fn no_steps(&mut self, found: &TaskSequencePackage, has_references: bool) {
        let path = self.folder.instance_path(TaskSequencePackage::CLASS, &found.id);
        let path = path.display().to_string();
        if !has_references {
            self.problems.push(Problem::NoReferences { id: found.id.clone(), path });
            return;
        }
        let message = format!(
            "its steps are not in the export, so only the site's reference lists were used; save the \
             single-instance answer as {path}"
        );
        self.needs.warnings.push(Warning::new(WarningKind::TaskSequence, &found.id, message));
    }

    fn steps(
        &mut self,
        found: &TaskSequencePackage,
        xml: &str,
        of: &str,
        children: &mut Vec<String>,
    ) {
        let sequence = match Sequence::parse(xml) {
            Ok(sequence) => sequence,
            Err(source) => {
                self.problems.push(Problem::Sequence { id: found.id.clone(), source });
                return;
            }
        };
        for reference in &sequence.references {
            self.reference(
                reference,
                format!("in the sequence's reference list{of}"),
                true,
                children,
            );
        }
        for step in &sequence.steps {
            self.step(step, of, children);
        }
    }

    fn step(&mut self, step: &Step, of: &str, children: &mut Vec<String>) {
        let content = step_content(step);
        let disabled = if step.disabled { " (disabled)" } else { "" };
        let called = format!("'{}'{}{disabled}{of}", step.name, place(step));
        let never = step.never_on_prestaged_media().is_some();
        for (target, usage) in content.targets {
            let target = match target {
                StepTarget::Package(id) => id,
                StepTarget::Application(model) => model,
            };
            self.reference(
                &target,
                format!("referenced by step {called}"),
                !step.disabled,
                children,
            );
            let Some(need) = self.needs.find(&target) else {
                continue;
            };
            need.data_image |= usage == ContentUse::DataImage;
            if !step.disabled {
                need.steps = (need.steps.0 + 1, need.steps.1 + u32::from(never));
            }
        }
        for what in content.dynamic {
            let note = format!(
                "Step {called} {what}: that cannot be known before run time, so it is not carried unless the spec names it"
            );
            self.needs.notes.push(note);
        }
    }

    /// A package ID, a task sequence's, an application's, or a model name.
    fn reference(&mut self, target: &str, reason: String, firm: bool, children: &mut Vec<String>) {
        if let Some(model) = application_model_name(target) {
            return self.needs.application(&model).add(reason, firm);
        }
        let id = target.trim().to_ascii_uppercase();
        let application = self.catalog.model_of_package.get(&id);
        if let Some(found) = application.and_then(|model| self.catalog.applications.get(model)) {
            let model = found.model_name.clone();
            self.needs.application(&model).add(reason, firm);
        } else if self.catalog.task_sequences.contains_key(&id) {
            children.push(id);
        } else if is_package_id(&id) {
            self.needs.packages.entry(id).or_default().add(reason, firm);
        } else {
            let message =
                format!("{reason}, is neither a package ID nor an application; not carried");
            let subject = target.trim();
            self.needs.warnings.push(Warning::new(WarningKind::TaskSequence, subject, message));
        }
    }
}
