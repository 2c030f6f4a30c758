//! All that the export says, indexed for one resolution.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::problem::Problem;
use crate::admin_service::{
    AdminServiceAnswers, AppReference, AppRelation, Application, CiContent, DeploymentType,
    DistributionPointInfo, ExportError, FlatReference, Package, PackageKind, PackageOnDp, Record,
    ReferenceDp, Row, TaskSequencePackage, UnknownSystem,
};

/// The export, indexed. Classes that can't be read are problems, and count as empty.
#[derive(Default)]
pub(super) struct Catalog {
    pub(super) task_sequences: BTreeMap<String, TaskSequencePackage>,
    pub(super) packages: BTreeMap<String, Package>,
    pub(super) flat_references: Vec<FlatReference>,
    pub(super) app_references: Vec<AppReference>,
    reference_dps: Vec<ReferenceDp>,
    packages_on_dps: Vec<PackageOnDp>,
    pub(super) distribution_points: Vec<DistributionPointInfo>,
    /// The latest revision of each application, by lower-case model name.
    pub(super) applications: BTreeMap<String, Application>,
    /// Lower-case model name by `CI_ID` of any revision.
    pub(super) model_of_ci: HashMap<u64, String>,
    /// Lower-case model name by package ID.
    pub(super) model_of_package: HashMap<String, String>,
    pub(super) deployment_types: Vec<DeploymentType>,
    pub(super) ci_contents: Vec<CiContent>,
    /// Relations, by class in the order of [`AppRelation::CLASSES`].
    pub(super) relations: Vec<AppRelation>,
    pub(super) unknown_systems: Vec<UnknownSystem>,
    absent: BTreeSet<&'static str>,
}

const APPLICATION_CLASSES: [&str; 2] = ["SMS_ApplicationLatest", "SMS_Application"];

impl Catalog {
    pub(super) fn load(folder: &AdminServiceAnswers, problems: &mut Vec<Problem>) -> Self {
        let mut catalog = Self::default();
        catalog.load_task_sequences(folder, problems);
        for (class, kind) in PackageKind::CLASSES {
            catalog.note_absent(folder, class);
            let packages = all(folder, class, problems, |row| Package::read(row, kind));
            for package in packages {
                catalog.packages.entry(package.id.clone()).or_insert(package);
            }
        }
        catalog.flat_references = optional(folder, problems);
        catalog.app_references = optional(folder, problems);
        catalog.reference_dps = optional(folder, problems);
        catalog.packages_on_dps = optional(folder, problems);
        catalog.distribution_points = optional(folder, problems);
        catalog.unknown_systems = optional(folder, problems);
        catalog.load_applications(folder, problems);
        catalog
    }

    fn load_task_sequences(&mut self, folder: &AdminServiceAnswers, problems: &mut Vec<Problem>) {
        let class = TaskSequencePackage::CLASS;
        let listed = keep(folder.records::<TaskSequencePackage>(), problems);
        let single = keep(folder.instance_rows(class), problems);
        let single = single.iter().map(TaskSequencePackage::read).collect();
        let single: Vec<TaskSequencePackage> = keep(single, problems);
        if listed.is_empty() && single.is_empty() && !folder.has_class(class) {
            let path = folder.class_path(class);
            problems.push(ExportError::MissingClass { class: class.to_owned(), path }.into());
        }
        for found in listed.into_iter().chain(single) {
            match self.task_sequences.get_mut(&found.id) {
                // The single-instance answer adds the lazy properties to the listed one.
                Some(known) => {
                    known.sequence = found.sequence.or(known.sequence.take());
                    known.boot_image_id = found.boot_image_id.or(known.boot_image_id.take());
                    known.source_version = found.source_version.or(known.source_version);
                    known.references.extend(found.references);
                }
                None => {
                    self.task_sequences.insert(found.id.clone(), found);
                }
            }
        }
    }

    fn load_applications(&mut self, folder: &AdminServiceAnswers, problems: &mut Vec<Problem>) {
        for class in APPLICATION_CLASSES {
            self.note_absent(folder, class);
            for found in all(folder, class, problems, Application::read) {
                let model = found.model_name.to_lowercase();
                self.model_of_ci.insert(found.ci_id, model.clone());
                if let Some(package) = &found.package_id {
                    self.model_of_package.insert(package.clone(), model.clone());
                }
                let newer = self.applications.get(&model).is_none_or(|known| {
                    let rank = |a: &Application| (a.is_latest == Some(true), a.revision, a.ci_id);
                    rank(&found) > rank(known)
                });
                if newer {
                    self.applications.insert(model, found);
                }
            }
        }
        self.note_absent(folder, DeploymentType::CLASS);
        self.note_absent(folder, CiContent::CLASS);
        self.deployment_types = optional(folder, problems);
        self.ci_contents = optional(folder, problems);
        for class in AppRelation::CLASSES {
            self.relations
                .extend(all(folder, class, problems, |row| AppRelation::read(row, class)));
        }
    }

    fn note_absent(&mut self, folder: &AdminServiceAnswers, class: &'static str) {
        if !folder.has_class(class) {
            self.absent.insert(class);
        }
    }

    /// Files that the export lacks, of the classes that list packages of `kind` (of any, if `None`).
    pub(super) fn absent_package_files(&self, kind: Option<PackageKind>) -> Vec<String> {
        let classes = PackageKind::CLASSES.iter();
        let asked = classes.filter(|(_, listed)| kind.is_none_or(|kind| kind == *listed));
        self.absent_files(asked.map(|(class, _)| *class))
    }

    /// Files that the export lacks, of the classes that list applications: either will do.
    pub(super) fn absent_application_files(&self) -> Vec<String> {
        match APPLICATION_CLASSES.iter().all(|class| self.absent.contains(class)) {
            true => self.absent_files(["SMS_Application"]),
            false => Vec::new(),
        }
    }

    /// Files that the export lacks, of the classes that say what applications contain.
    pub(super) fn absent_content_files(&self) -> Vec<String> {
        self.absent_files([DeploymentType::CLASS, CiContent::CLASS])
    }

    fn absent_files(&self, classes: impl IntoIterator<Item = &'static str>) -> Vec<String> {
        let absent =
            classes.into_iter().filter(|c| self.absent.contains(c) || *c == "SMS_Application");
        absent.map(|class| format!("adminservice/wmi/{class}.json")).collect()
    }

    /// A package of any kind: from its class, or else what `_Flat` and the reference list say of it.
    pub(super) fn package(&self, id: &str) -> Option<Package> {
        if let Some(package) = self.packages.get(id) {
            return Some(package.clone());
        }
        let flat = self.flat_references.iter().find(|reference| {
            reference.package.as_deref() == Some(id) && reference.object_type.is_some()
        })?;
        // Without a version nothing can be promised of it.
        let source_version = Some(self.listed_version(id)?);
        Some(Package {
            id: id.to_owned(),
            kind: PackageKind::from_type(flat.object_type?)?,
            name: flat.name.clone().unwrap_or_else(|| id.to_owned()),
            source_version,
            size_kib: None,
            architecture: None,
            image_index: None,
            images: Vec::new(),
        })
    }

    /// The newest version that `SMS_TaskSequenceReferenceDps` lists.
    pub(super) fn listed_version(&self, id: &str) -> Option<u32> {
        let rows = self.reference_dps.iter().filter(|row| row.package == id);
        rows.filter_map(|row| row.source_version).max()
    }

    /// The hash that `SMS_TaskSequenceReferenceDps` lists for a version.
    pub(super) fn listed_hash(&self, id: &str, version: Option<u32>) -> Option<String> {
        let mut rows = self.reference_dps.iter().filter(|row| {
            row.package == id
                && (row.source_version.is_none()
                    || version.is_none()
                    || row.source_version == version)
        });
        rows.find_map(|row| row.hash.clone())
    }

    /// What the site says of a package on a distribution point: a clause to add to a reason.
    pub(super) fn distribution(&self, id: &str, distribution_point: &str) -> String {
        let server = distribution_point.to_ascii_lowercase();
        let here = |row: &Option<String>| row.as_deref() == Some(server.as_str());
        let listed = self.reference_dps.iter().find(|r| r.package == id && here(&r.server));
        if let Some(version) = listed.and_then(|row| row.source_version) {
            return format!("; the site lists version {version} there");
        }
        if self.packages_on_dps.is_empty() {
            return String::new();
        }
        match self.packages_on_dps.iter().any(|row| row.package == id && here(&row.server)) {
            true => "; the site has distributed it there, so check the distribution's status",
            false => "; the site has not distributed it there",
        }
        .to_owned()
    }
}

/// Listed rows and single-instance answers of a class.
fn all<T>(
    folder: &AdminServiceAnswers,
    class: &str,
    problems: &mut Vec<Problem>,
    read: impl Fn(&Row) -> Result<T, ExportError>,
) -> Vec<T> {
    let mut rows = keep(folder.rows(class), problems);
    rows.extend(keep(folder.instance_rows(class), problems));
    keep(rows.iter().map(read).collect(), problems)
}

fn optional<T: Record>(folder: &AdminServiceAnswers, problems: &mut Vec<Problem>) -> Vec<T> {
    keep(folder.records(), problems)
}

fn keep<T>(result: Result<Vec<T>, ExportError>, problems: &mut Vec<Problem>) -> Vec<T> {
    result.unwrap_or_else(|error| {
        problems.push(error.into());
        Vec::new()
    })
}
