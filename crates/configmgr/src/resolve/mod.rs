//! From a request to every content it comes to, or to every problem at once.

mod catalog;
mod chosen_point;
mod dependencies;
mod holdings;
mod needs;
mod problem;
mod request;
mod resolution;
mod selection;
#[cfg(test)]
mod tests;
mod want;

use catalog::Catalog;
use holdings::Holdings;
use needs::{Collector, Needs};
pub use problem::{MissingContent, Problem, ResolveErrors};
pub use request::ContentRequest;
pub use resolution::{
    ContentKind, ContentSource, Resolution, ResolvedContent, ResolvedTaskSequence, Warning,
    WarningKind,
};
use selection::Selection;

use crate::admin_service::UnknownComputers;
use crate::site::Site;

/// Resolves a request against a site: the task sequence's steps and references, the request's own
/// content and the dependencies of applications, each in the version that the site has now, on the
/// distribution points that hold it. Nothing is fetched, and no file body is read.
///
/// All problems are returned together.
pub fn resolve(site: &Site, request: &ContentRequest) -> Result<Resolution, ResolveErrors> {
    let mut problems = Vec::new();
    let catalog = Catalog::load(site.admin_service(), &mut problems);
    let mut needs = Needs::default();
    let id = request.task_sequence.trim().to_ascii_uppercase();
    let folder = site.admin_service();
    Collector { folder, catalog: &catalog, needs: &mut needs, problems: &mut problems }
        .task_sequence(&id);
    needs.note_never_used();
    let task_sequence = catalog.task_sequences.get(&id);
    let selection = select(&catalog, request, &mut needs, &mut problems);
    let mut holdings = Holdings::open(site, request, &mut problems);
    let mut find = |want| holdings.find(&catalog, want, &mut problems);
    let boot_image = selection.boot_image.iter().flat_map(&mut find).next();
    let os_image = selection.os_image.iter().flat_map(&mut find).next();
    let mut contents: Vec<ResolvedContent> =
        selection.contents.iter().flat_map(&mut find).collect();
    merge_shared(&mut contents);
    let Needs { mut warnings, notes, .. } = needs;
    holdings.conclude(&mut problems, &mut warnings);
    warn_unlisted(&catalog, request, &mut warnings);
    for content in boot_image.iter().chain(&os_image).chain(&contents) {
        check_hash(content, request.strict_package_hash, &mut problems, &mut warnings);
    }
    match (task_sequence, boot_image, os_image) {
        (Some(found), Some(boot_image), Some(os_image)) if problems.is_empty() => Ok(Resolution {
            site_code: site.code().to_owned(),
            admin_service: site.live().map(str::to_owned),
            task_sequence: ResolvedTaskSequence {
                id: found.id.clone(),
                name: found.name.clone(),
                version: found.source_version.unwrap_or(0),
                boot_image_id: found.boot_image_id.clone(),
            },
            boot_image,
            os_image,
            contents,
            warnings,
            notes,
            unknown_computers: UnknownComputers::of_site(&catalog.unknown_systems, site.code()),
        }),
        _ => Err(ResolveErrors { problems }),
    }
}

fn select(
    catalog: &Catalog,
    request: &ContentRequest,
    needs: &mut Needs,
    problems: &mut Vec<Problem>,
) -> Selection {
    let id = request.task_sequence.trim().to_ascii_uppercase();
    let task_sequence = catalog.task_sequences.get(&id);
    // The warning that the OS image is not referenced is about the task sequence alone, and the
    // request can't name it twice: `packages` does not take OS images.
    selection::add_requested(catalog, request, needs, problems);
    dependencies::close(catalog, request.detect_application_dependencies, needs, problems);
    selection::select(catalog, request, task_sequence, needs, problems)
}

/// Two applications may share a content: it is carried once, for the reasons of both. The order is
/// by kind and folder, whatever order the export has.
fn merge_shared(contents: &mut Vec<ResolvedContent>) {
    contents
        .sort_by_cached_key(|c| (c.kind, c.content_id.to_ascii_uppercase(), c.object_id.clone()));
    contents.dedup_by(|later, first| {
        let same = later.content_id.eq_ignore_ascii_case(&first.content_id);
        if same {
            for reason in std::mem::take(&mut later.reasons) {
                let reason = match later.object_id == first.object_id {
                    true => reason,
                    false => format!("shared with '{}': {reason}", later.name),
                };
                if !first.reasons.contains(&reason) {
                    first.reasons.push(reason);
                }
            }
        }
        same
    });
}

fn check_hash(
    content: &ResolvedContent,
    strict: bool,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let Some(message) = holdings::check_package_hash(content) else {
        return;
    };
    let content_id = content.content_id.clone();
    match strict {
        true => problems.push(Problem::PackageHash { content_id, message }),
        false => warnings.push(Warning::new(WarningKind::PackageHash, &content_id, message)),
    }
}

fn warn_unlisted(catalog: &Catalog, request: &ContentRequest, warnings: &mut Vec<Warning>) {
    let listed = &catalog.distribution_points;
    for name in request.distribution_points.iter().filter(|_| !listed.is_empty()) {
        if !listed.iter().any(|point| point.server.eq_ignore_ascii_case(name.trim())) {
            let message = "is not in the site's SMS_DistributionPointInfo; correct its name in site.toml if it should be";
            warnings.push(Warning::new(WarningKind::DistributionPoint, name, message));
        }
    }
}
