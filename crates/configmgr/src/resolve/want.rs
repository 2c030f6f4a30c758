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
        let version = package.source_version.or_else(|| catalog.listed_version(&package.id));
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
    /// The application's only content, so that its package's hash is this one's.
    alone: bool,
}

impl Content {
    fn new(id: &str, version: Option<u32>, hash: Option<String>) -> Self {
        let (stem, own) = split_content_id(id);
        let version = version.filter(|version| *version > 0).or(own);
        Self { stem: stem.to_owned(), version, hash, alone: false }
    }

    fn of_row(row: &CiContent) -> Option<Self> {
        row.content_id.as_deref().map(|id| Self::new(id, row.version, row.hash.clone()))
    }
}

/// By upper-case stem, the newest version of each.
fn contents(catalog: &Catalog, application: &Application) -> BTreeMap<String, Content> {
    let mut found: BTreeMap<String, Content> = BTreeMap::new();
    for content in content_rows(catalog, application) {
        let key = content.stem.to_ascii_uppercase();
        if found.get(&key).is_none_or(|known| known.version < content.version) {
            found.insert(key, content);
        }
    }
    if found.len() == 1 {
        found.values_mut().for_each(|content| content.alone = true);
    }
    found
}

/// Everything the classes say of the application and its deployment types, older versions included.
fn content_rows(catalog: &Catalog, application: &Application) -> Vec<Content> {
    let of_ci = |ci_id: Option<u64>| {
        let rows = catalog.ci_contents.iter();
        rows.filter(move |row| ci_id.is_some() && row.ci_id == ci_id).filter_map(Content::of_row)
    };
    let mut all: Vec<Content> = of_ci(Some(application.ci_id)).collect();
    for deployment_type in latest_deployment_types(catalog, application) {
        all.extend(of_ci(deployment_type.ci_id));
        if let Some(id) = &deployment_type.content_id {
            let own = Content::new(id, None, None);
            let rows = catalog.ci_contents.iter().filter_map(Content::of_row);
            all.extend(rows.filter(|row| row.stem.eq_ignore_ascii_case(&own.stem)));
            all.push(own);
        }
    }
    all
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
        let key = found.model_name.as_ref().map_or(format!("#{index}"), |m| m.to_lowercase());
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
