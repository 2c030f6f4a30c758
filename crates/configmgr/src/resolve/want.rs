//! Which content versions a request comes to, before anyone is asked who holds them.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::problem::Problem;
use super::resolution::ContentKind;
use crate::admin_service::{Application, CiContent, DeploymentType, Package, PackageKind};
use crate::ids::split_content_id;

/// One content that has to be found on a distribution point.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) object_id: String,
    pub(super) name: String,
    pub(super) kind: ContentKind,
    /// The package whose `PkgLib` entry names the content.
    pub(super) package_id: Option<String>,
    /// `PS100012` or `Content_<guid>`; `None` for whatever the application's package holds, when the
    /// export does not say.
    pub(super) stem: Option<String>,
    /// The version that the site has now; `None` if the export does not say.
    pub(super) version: Option<u32>,
    pub(super) site_hash: Option<String>,
    pub(super) reasons: Vec<String>,
    pub(super) package: Option<Package>,
}

impl Want {
    /// What a person calls the version that is wanted.
    pub(super) fn content_id(&self) -> String {
        match (&self.stem, self.version) {
            (Some(stem), Some(version)) => format!("{stem}.{version}"),
            (Some(stem), None) => format!("{stem} (the current version)"),
            (None, _) => "whatever its package holds".to_owned(),
        }
    }

    pub(super) fn of_package(
        catalog: &Catalog,
        package: Package,
        kind: ContentKind,
        reasons: Vec<String>,
    ) -> Self {
        let version = package
            .source_version
            .or_else(|| catalog.listed_version(&package.id));
        Self {
            object_id: package.id.clone(),
            name: package.name.clone(),
            kind,
            package_id: Some(package.id.clone()),
            stem: Some(package.id.clone()),
            version,
            site_hash: catalog.listed_hash(&package.id, version),
            reasons,
            package: Some(package),
        }
    }
}

/// The contents of an application's latest revision. None at all is fine for one without content; for
/// one that says it has some, its whole package is wanted if there is one, and else it is a problem.
pub(super) fn of_application(
    catalog: &Catalog,
    application: &Application,
    reasons: &[String],
    problems: &mut Vec<Problem>,
) -> Vec<Want> {
    let want = |stem, version, site_hash| Want {
        object_id: application.model_name.clone(),
        name: application.name.clone(),
        kind: ContentKind::Application,
        package_id: application.package_id.clone(),
        stem,
        version,
        site_hash,
        reasons: reasons.to_vec(),
        package: None,
    };
    let contents = contents(catalog, application);
    if !contents.is_empty() {
        return contents
            .into_values()
            .map(|content| {
                let hash = content.hash.or_else(|| {
                    let package = application.package_id.as_deref()?;
                    catalog.listed_hash(package, None).filter(|_| content.alone)
                });
                want(Some(content.stem), content.version, hash)
            })
            .collect();
    }
    match (application.has_content, &application.package_id) {
        (Some(true), Some(_)) => vec![want(None, None, None)],
        (Some(true), None) => {
            problems.push(Problem::UnknownApplicationContent {
                id: application.model_name.clone(),
                name: application.name.clone(),
                absent_files: catalog.absent_content_files(),
            });
            Vec::new()
        }
        _ => Vec::new(),
    }
}

struct Content {
    stem: String,
    version: Option<u32>,
    hash: Option<String>,
    alone: bool,
}

/// By upper-case stem, the newest version of each.
fn contents(catalog: &Catalog, application: &Application) -> BTreeMap<String, Content> {
    let mut found: BTreeMap<String, Content> = BTreeMap::new();
    let mut add = |id: &str, version: Option<u32>, hash: Option<&String>| {
        let (stem, own) = split_content_id(id);
        let content = Content {
            stem: stem.to_owned(),
            version: version.filter(|version| *version > 0).or(own),
            hash: hash.cloned(),
            alone: false,
        };
        let known = found.get(&stem.to_ascii_uppercase());
        if known.is_none_or(|known| known.version < content.version) {
            found.insert(stem.to_ascii_uppercase(), content);
        }
    };
    let add_row = |row: &CiContent, add: &mut dyn FnMut(&str, Option<u32>, Option<&String>)| {
        if let Some(id) = &row.content_id {
            add(id, row.version, row.hash.as_ref());
        }
    };
    for row in catalog
        .ci_contents
        .iter()
        .filter(|row| row.ci_id == Some(application.ci_id))
    {
        add_row(row, &mut add);
    }
    for deployment_type in latest_deployment_types(catalog, application) {
        if let Some(id) = &deployment_type.content_id {
            add(id, None, None);
        }
        let stem = deployment_type
            .content_id
            .as_deref()
            .map(|id| split_content_id(id).0);
        for row in &catalog.ci_contents {
            let by_id = row.ci_id.is_some() && row.ci_id == deployment_type.ci_id;
            let row_stem = row.content_id.as_deref().map(|id| split_content_id(id).0);
            let by_stem =
                matches!((row_stem, stem), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b));
            if by_id || by_stem {
                add_row(row, &mut add);
            }
        }
    }
    if let [_] = found.keys().collect::<Vec<_>>().as_slice() {
        found.values_mut().for_each(|content| content.alone = true);
    }
    found
}

/// The newest revision of each deployment type.
fn latest_deployment_types<'a>(
    catalog: &'a Catalog,
    application: &Application,
) -> Vec<&'a DeploymentType> {
    let model = application.model_name.to_lowercase();
    let mut latest: BTreeMap<String, &DeploymentType> = BTreeMap::new();
    for (index, found) in catalog.deployment_types.iter().enumerate() {
        if found.app_model_name.to_lowercase() != model || found.is_latest == Some(false) {
            continue;
        }
        let key = found
            .model_name
            .as_ref()
            .map_or(format!("#{index}"), |m| m.to_lowercase());
        let rank = |d: &DeploymentType| (d.revision, d.ci_id);
        let known = latest.get(&key);
        if known.is_none_or(|known| rank(found) > rank(known)) {
            latest.insert(key, found);
        }
    }
    latest.into_values().collect()
}

/// The content kind of a package that is carried under `\SMS\PKG`; `None` for what is not.
pub(super) fn carried_kind(kind: PackageKind) -> Option<ContentKind> {
    match kind {
        PackageKind::Package => Some(ContentKind::Package),
        PackageKind::DriverPackage => Some(ContentKind::DriverPackage),
        PackageKind::OsUpgrade => Some(ContentKind::OsUpgrade),
        PackageKind::OsImage => Some(ContentKind::OsImage),
        _ => None,
    }
}
