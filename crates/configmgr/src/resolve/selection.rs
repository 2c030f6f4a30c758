//! From needs and request to contents: the choice of boot image, OS image and everything else.

use super::catalog::Catalog;
use super::needs::{Need, Needs};
use super::problem::Problem;
use super::request::ContentRequest;
use super::resolution::{ContentKind, Warning, WarningKind};
use super::want::{self, Want};
use crate::admin_service::{Package, PackageKind, TaskSequencePackage};

/// What was chosen. The images are `None` where that is a problem already.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) boot_image: Option<Want>,
    pub(super) os_image: Option<Want>,
    pub(super) contents: Vec<Want>,
}

/// Adds the request's own content to the needs of the task sequence.
pub(super) fn add_requested(
    catalog: &Catalog,
    request: &ContentRequest,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
) {
    const PACKAGE: &[PackageKind] = &[PackageKind::Package, PackageKind::OsUpgrade];
    const DRIVERS: &[PackageKind] = &[PackageKind::DriverPackage];
    let prestart = request.prestart_package.iter();
    let fields = request
        .packages
        .iter()
        .map(|id| ("packages", PACKAGE, id))
        .chain(request.driver_packages.iter().map(|id| ("driver_packages", DRIVERS, id)))
        .chain(prestart.map(|id| ("customization.prestart.package", PACKAGE, id)));
    for (field, wanted, id) in fields {
        let Some(package) = lookup(catalog, field, id, wanted, problems) else {
            continue;
        };
        let reason = match field {
            "customization.prestart.package" => "package of the prestart command",
            _ => "named in the spec",
        };
        needs.packages.entry(package.id).or_default().add(reason.to_owned(), true);
    }
    for model in &request.applications {
        needs.application(model.trim()).add("named in the spec".to_owned(), true);
    }
}

/// Turns needs into contents.
pub(super) fn select(
    catalog: &Catalog,
    request: &ContentRequest,
    task_sequence: Option<&TaskSequencePackage>,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
) -> Selection {
    let boot =
        lookup(catalog, "boot_image", &request.boot_image, &[PackageKind::BootImage], problems);
    let os =
        lookup(catalog, "os_image", &request.os_image_package, &[PackageKind::OsImage], problems);
    if let (Some(boot), Some(task_sequence)) = (&boot, task_sequence) {
        check_boot_image(boot, task_sequence, needs);
    }
    if let (Some(os), Some(task_sequence)) = (&os, task_sequence)
        && !needs.packages.contains_key(&os.id)
    {
        let message = format!(
            "the OS image is not referenced by task sequence {} '{}'; the computer will apply another one from the network",
            task_sequence.id, task_sequence.name
        );
        needs.warnings.push(Warning::new(WarningKind::OsImageNotReferenced, &os.id, message));
    }
    let image = |package: Option<Package>, kind, needs: &Needs| {
        let package = package?;
        let mut reasons = vec!["named in the spec".to_owned()];
        if let Some(need) = needs.packages.get(&package.id) {
            reasons.extend(need.reasons.iter().cloned());
        }
        Some(Want::of_package(catalog, package, kind, reasons))
    };
    let mut selection = Selection {
        boot_image: image(boot, ContentKind::BootImage, needs),
        os_image: image(os, ContentKind::OsImage, needs),
        contents: Vec::new(),
    };
    add_packages(catalog, request, needs, problems, &mut selection);
    add_applications(catalog, needs, problems, &mut selection);
    selection
}

fn add_packages(
    catalog: &Catalog,
    request: &ContentRequest,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
    selection: &mut Selection,
) {
    let is = |id: &str, chosen: &str| id.eq_ignore_ascii_case(chosen.trim());
    for (id, need) in std::mem::take(&mut needs.packages) {
        if is(&id, &request.boot_image) || is(&id, &request.os_image_package) {
            continue;
        }
        let Some(package) = catalog.package(&id) else {
            unknown_package(catalog, id, &need, needs, problems);
            continue;
        };
        let name = format!("{} {id} '{}'", package.kind.noun(), package.name);
        match (package.kind, want::carried_kind(package.kind)) {
            // The boot image that is not the chosen one has its warning.
            (PackageKind::BootImage, _) => {}
            (PackageKind::OsImage, Some(kind)) if need.data_image => {
                selection.contents.push(Want::of_package(catalog, package, kind, need.reasons));
            }
            (PackageKind::OsImage, _) => needs.notes.push(format!(
                "{name} is also referenced, but prestaged media carry one OS image; not carried"
            )),
            (_, Some(kind)) => {
                selection.contents.push(Want::of_package(catalog, package, kind, need.reasons));
            }
            (_, None) => needs.notes.push(format!(
                "{name} is {}, but prestaged media do not carry it",
                need.reasons.join(", ")
            )),
        }
    }
}

/// Only disabled steps may name what is not there any more.
fn unknown_package(
    catalog: &Catalog,
    id: String,
    need: &Need,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
) {
    let named_by = need.reasons.join(", ");
    if need.firm {
        let absent_files = catalog.absent_package_files(None);
        problems.push(Problem::UnknownPackage { id, named_by, absent_files });
    } else {
        let message = format!("{named_by}, is not in the site's export; not carried");
        needs.warnings.push(Warning::new(WarningKind::TaskSequence, &id, message));
    }
}

fn add_applications(
    catalog: &Catalog,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
    selection: &mut Selection,
) {
    for (key, (model, need)) in std::mem::take(&mut needs.applications) {
        if let Some(application) = catalog.applications.get(&key) {
            let wants = want::of_application(catalog, application, &need.reasons, problems);
            if wants.is_empty() {
                needs.notes.push(format!(
                    "'{}' has no content ({})",
                    application.name,
                    need.reasons.join(", ")
                ));
            }
            selection.contents.extend(wants);
            continue;
        }
        let named_by = need.reasons.join(", ");
        if need.firm {
            let absent_files = catalog.absent_application_files();
            problems.push(Problem::UnknownApplication { id: model, named_by, absent_files });
        } else {
            let message = format!("{named_by}, is not in the site's export; not carried");
            needs.warnings.push(Warning::new(WarningKind::Application, &model, message));
        }
    }
}

fn check_boot_image(boot: &Package, task_sequence: &TaskSequencePackage, needs: &mut Needs) {
    let Some(own) = &task_sequence.boot_image_id else {
        let message = format!(
            "the export does not say which boot image task sequence {} has, so it could not be compared",
            task_sequence.id
        );
        needs.warnings.push(Warning::new(WarningKind::TaskSequence, &boot.id, message));
        return;
    };
    if *own != boot.id {
        let message = format!(
            "task sequence {} '{}' has boot image {own}; with another one on the media the computer restarts into the wrong Windows PE. Use boot_image = \"{own}\"",
            task_sequence.id, task_sequence.name
        );
        needs.warnings.push(Warning::new(WarningKind::BootImageDiffers, &boot.id, message));
    }
}

/// A package that a field of the request names, of a kind that the field takes.
fn lookup(
    catalog: &Catalog,
    field: &'static str,
    id: &str,
    wanted: &[PackageKind],
    problems: &mut Vec<Problem>,
) -> Option<Package> {
    let id = id.trim().to_ascii_uppercase();
    let first = wanted.first().copied();
    let Some(package) = catalog.package(&id) else {
        let absent_files = catalog.absent_package_files(first);
        problems.push(Problem::UnknownPackage { id, named_by: field.to_owned(), absent_files });
        return None;
    };
    if wanted.contains(&package.kind) {
        return Some(package);
    }
    problems.push(Problem::WrongKind {
        field,
        id,
        name: package.name,
        is: package.kind.noun(),
        wanted: first.map_or("package", PackageKind::noun),
    });
    None
}
