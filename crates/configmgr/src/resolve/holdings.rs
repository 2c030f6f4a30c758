//! Who holds which content: the content libraries of the chosen distribution points.

use std::collections::BTreeMap;

use prestage_access::Access;
use tokio::runtime::Handle;

use super::catalog::Catalog;
use super::problem::{MissingContent, Problem};
use super::request::ContentRequest;
use super::resolution::{ContentKind, ContentSource, ResolvedContent, Warning, WarningKind};
use super::want::Want;
use crate::content_library::{
    ContentLibrary, ContentListing, LibraryError, PackageEntry, package_hash,
};
use crate::distribution_point::{ContentPlace, HttpLibrary};
use crate::ids::{media_folder, split_content_id};
use crate::site::{DistributionPoint, Site};

struct Place {
    name: String,
    place: ContentPlace,
    library: Result<Library, String>,
}

enum Library {
    Local(ContentLibrary),
    Http(HttpLibrary),
}

impl Library {
    fn open(place: &ContentPlace, access: &Access) -> Result<Self, LibraryError> {
        match place {
            ContentPlace::Library(folder) => ContentLibrary::open(folder).map(Self::Local),
            ContentPlace::Http(url) => {
                let runtime = Handle::try_current().map_err(|error| LibraryError::Remote {
                    address: url.to_string(),
                    problem: error.to_string(),
                })?;
                HttpLibrary::open(url, access, &runtime).map(Self::Http)
            }
        }
    }

    /// What `PkgLib` says of a package. It can't be seen over HTTP.
    fn package(&self, id: &str) -> Result<Option<PackageEntry>, LibraryError> {
        match self {
            Self::Local(library) => library.package(id),
            Self::Http(_) => Ok(None),
        }
    }

    /// Versions that `DataLib` alone will do for: a deployment type's content is named by its very
    /// version; and where there is no `PkgLib` to ask, the site's version decides.
    fn versions(&self, stem: &str, kind: ContentKind) -> Vec<u32> {
        match self {
            Self::Local(library) if kind == ContentKind::Application => library.versions_of(stem),
            Self::Local(_) => Vec::new(),
            Self::Http(library) => library.versions_of(stem),
        }
    }

    fn list(&self, content_id: &str) -> Result<ContentListing, LibraryError> {
        match self {
            Self::Local(library) => library.list(content_id),
            Self::Http(library) => library.list(content_id),
        }
    }
}

/// The chosen distribution points, in order of preference.
pub(super) struct Holdings {
    places: Vec<Place>,
    missing: Vec<MissingContent>,
    /// By distribution point: what it was passed over for.
    troubles: BTreeMap<String, Vec<String>>,
}

struct Found {
    listing: ContentListing,
    digest: [u8; 32],
    sources: Vec<ContentSource>,
}

impl Holdings {
    pub(super) fn open(site: &Site, request: &ContentRequest, problems: &mut Vec<Problem>) -> Self {
        if request.distribution_points.is_empty() {
            problems.push(Problem::NoDistributionPoint);
        }
        let mut places: Vec<Place> = Vec::new();
        let mut troubles = BTreeMap::new();
        for name in &request.distribution_points {
            let Some(point) = site.distribution_point(name) else {
                let known = site.distribution_points().iter().take(8);
                problems.push(Problem::UnknownDistributionPoint {
                    name: name.clone(),
                    known: known.map(|point| point.name.clone()).collect(),
                });
                continue;
            };
            if places.iter().any(|place| place.name == point.name) {
                continue;
            }
            let Some(place) = place_of(point) else {
                problems.push(Problem::DistributionPointAddress {
                    name: point.name.clone(),
                    url: point.url.clone().unwrap_or_default(),
                });
                continue;
            };
            let library = Library::open(&place, site.access()).map_err(|error| error.to_string());
            if let Err(error) = &library {
                let what =
                    vec![format!("its content library cannot be read, so it is left out: {error}")];
                troubles.insert(point.name.clone(), what);
            }
            let place = match &library {
                Ok(Library::Http(library)) => library.place(),
                _ => place,
            };
            places.push(Place { name: point.name.clone(), place, library });
        }
        Self { places, missing: Vec::new(), troubles }
    }

    /// Finds the content on every distribution point; one that holds nothing of it is remembered as
    /// missing. A want without a stem may come to several contents.
    pub(super) fn find(
        &mut self,
        catalog: &Catalog,
        want: &Want,
        problems: &mut Vec<Problem>,
    ) -> Vec<ResolvedContent> {
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        let mut absent = Vec::new();
        for place in &self.places {
            match held(place, want) {
                Ok(listings) => {
                    for listing in listings {
                        agree(&mut found, place, listing, problems);
                    }
                }
                Err((reason, damaged)) => {
                    if damaged {
                        let told = format!("passed over for {}: {reason}", want.content_id());
                        self.troubles.entry(place.name.clone()).or_default().push(told);
                    }
                    let site = want.package_id.as_deref().unwrap_or(&want.object_id);
                    let reason = format!("{reason}{}", catalog.distribution(site, &place.name));
                    absent.push((place.name.clone(), reason));
                }
            }
        }
        if found.is_empty() {
            self.missing.push(MissingContent {
                object_id: want.object_id.clone(),
                name: want.name.clone(),
                content_id: want.content_id(),
                at: absent,
            });
        }
        found.into_values().map(|found| resolved(want, found)).collect()
    }

    /// What is missing becomes one problem; what was passed over becomes a warning each.
    pub(super) fn conclude(self, problems: &mut Vec<Problem>, warnings: &mut Vec<Warning>) {
        if !self.missing.is_empty() && !self.places.is_empty() {
            problems.push(Problem::MissingContent { missing: self.missing });
        }
        for (name, troubles) in self.troubles {
            for message in troubles {
                warnings.push(Warning::new(WarningKind::DistributionPoint, &name, message));
            }
        }
    }
}

/// A path is preferred to an address: it is read without a server in between.
fn place_of(point: &DistributionPoint) -> Option<ContentPlace> {
    if let Some(folder) = &point.content_library {
        return Some(ContentPlace::Library(folder.clone()));
    }
    let place = ContentPlace::new(point.url.as_deref()?.trim());
    matches!(place, ContentPlace::Http(_)).then_some(place)
}

/// The contents at a place, or why not and whether that is damage rather than mere absence.
fn held(place: &Place, want: &Want) -> Result<Vec<ContentListing>, (String, bool)> {
    let library = match &place.library {
        Ok(library) => library,
        Err(error) => {
            return Err((format!("its content library cannot be read: {error}"), false));
        }
    };
    let ids = content_ids(library, want)?;
    let listings = ids.iter().map(|id| library.list(id));
    listings.collect::<Result<_, _>>().map_err(|error| (error.to_string(), true))
}

fn content_ids(library: &Library, want: &Want) -> Result<Vec<String>, (String, bool)> {
    let absent = |reason: String| (reason, false);
    let entry = match &want.package_id {
        Some(id) => library.package(id).map_err(|error| (error.to_string(), true))?,
        None => None,
    };
    let Some(stem) = &want.stem else {
        return match entry {
            Some(entry) if !entry.content_ids.is_empty() => Ok(entry.content_ids),
            _ => Err(absent("does not hold it".to_owned())),
        };
    };
    let current = entry.map(|entry| entry.content_ids).unwrap_or_default();
    let mut versions = Vec::new();
    for id in current {
        let (found, version) = split_content_id(&id);
        if found.eq_ignore_ascii_case(stem) {
            let suffix = version.map_or_else(String::new, |version| format!(".{version}"));
            versions.push((version, format!("{stem}{suffix}")));
        }
    }
    if versions.is_empty() {
        let held = library.versions(stem, want.kind);
        versions = held.into_iter().rev().map(|v| (Some(v), format!("{stem}.{v}"))).collect();
    }
    choose(versions, want.version).map_err(absent)
}

fn choose(
    versions: Vec<(Option<u32>, String)>,
    wanted: Option<u32>,
) -> Result<Vec<String>, String> {
    let Some(wanted) = wanted else {
        let newest = versions.into_iter().max_by_key(|(version, _)| *version);
        return newest.map(|(_, id)| vec![id]).ok_or_else(|| "does not hold it".to_owned());
    };
    if let Some((_, id)) = versions.iter().find(|(version, _)| *version == Some(wanted)) {
        return Ok(vec![id.clone()]);
    }
    match versions.iter().filter_map(|(version, _)| *version).max() {
        None => Err("does not hold it".to_owned()),
        Some(older) if older < wanted => {
            Err(format!("holds version {older}, which is older than the site's {wanted}"))
        }
        Some(newer) => Err(format!(
            "holds version {newer}, which is newer than the export's {wanted}: export the site again"
        )),
    }
}

/// Adds a listing to those found under the same content ID, if it says the same.
fn agree(
    found: &mut BTreeMap<String, Found>,
    place: &Place,
    listing: ContentListing,
    problems: &mut Vec<Problem>,
) {
    let digest = listing.digest();
    let source =
        ContentSource { distribution_point: place.name.clone(), place: place.place.clone() };
    match found.get_mut(&listing.content_id.to_ascii_uppercase()) {
        None => {
            let key = listing.content_id.to_ascii_uppercase();
            found.insert(key, Found { listing, digest, sources: vec![source] });
        }
        Some(known) if known.digest == digest => known.sources.push(source),
        Some(known) => problems.push(Problem::ListingsDisagree {
            content_id: listing.content_id,
            first: known.sources.first().map(|s| s.distribution_point.clone()).unwrap_or_default(),
            second: place.name.clone(),
        }),
    }
}

fn resolved(want: &Want, found: Found) -> ResolvedContent {
    let Found { listing, sources, .. } = found;
    let version = want.version.or(split_content_id(&listing.content_id).1).unwrap_or(0);
    let site_hash = want.site_hash.clone().or_else(|| listing.hash.clone());
    ResolvedContent {
        object_id: want.object_id.clone(),
        content_id: listing.content_id.clone(),
        folder: media_folder(&listing.content_id),
        kind: want.kind,
        name: want.name.clone(),
        version,
        reasons: want.reasons.clone(),
        site_hash: site_hash.map(|hash| plain_hash(&hash)),
        listing,
        sources,
        architecture: want.package.as_ref().and_then(|package| package.architecture),
        image_index: want.package.as_ref().and_then(|package| package.image_index),
        images: want.package.as_ref().map(|p| p.images.clone()).unwrap_or_default(),
    }
}

fn plain_hash(hash: &str) -> String {
    hash.rsplit(':').next().unwrap_or_default().trim().to_ascii_uppercase()
}

/// Compares the package hash computed here with what the site and the library record. Only SHA-256
/// values can be compared; a shorter one is another algorithm's (reference: section 4.2).
pub(super) fn check_package_hash(content: &ResolvedContent) -> Option<String> {
    let computed = hex::encode_upper(package_hash(&content.listing));
    let library = content.listing.hash.as_deref().map(plain_hash);
    let recorded = [("the site", content.site_hash.clone()), ("the content library", library)];
    let differs = recorded.into_iter().find_map(|(who, hash)| {
        let hash = hash.filter(|hash| hash.len() == 64 && *hash != computed)?;
        Some((who, hash))
    });
    let (who, hash) = differs?;
    Some(format!(
        "{who} records package hash {hash}, but the files listed come to {computed}; validate the content on {}",
        content.sources.first().map_or("the distribution point", |s| s.distribution_point.as_str())
    ))
}
