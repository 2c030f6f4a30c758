//! Who holds which content: the content libraries of the chosen distribution points.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::chosen_point::{ChosenPoint, Library};
use super::problem::{MissingContent, Problem};
use super::request::ContentRequest;
use super::resolution::{ContentSource, ResolvedContent, Warning, WarningKind};
use super::want::Want;
use crate::content_library::{ContentListing, package_hash};
use crate::distribution_point::{NamedContent, Shown};
use crate::ids::{media_folder, split_content_id};
use crate::site::Site;

/// The chosen distribution points, in order of preference.
pub(super) struct Holdings {
    points: Vec<ChosenPoint>,
    missing: Vec<MissingContent>,
    /// By distribution point: what it was passed over for.
    troubles: BTreeMap<String, Vec<String>>,
    /// By distribution point: what had to be read whole to know it.
    read_whole: BTreeMap<String, Vec<ReadWhole>>,
}

struct ReadWhole {
    content_id: String,
    bytes: u64,
    /// Whether the site knows a hash that it was checked by.
    checked: bool,
}

/// With hashes, and by names alone.
type Held = (Vec<ContentListing>, Vec<NamedContent>);

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
        let mut points: Vec<ChosenPoint> = Vec::new();
        let mut troubles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in &request.distribution_points {
            let Some(point) = site.distribution_point(name) else {
                let known = site.distribution_points().iter().take(8);
                problems.push(Problem::UnknownDistributionPoint {
                    name: name.clone(),
                    known: known.map(|point| point.name.clone()).collect(),
                });
                continue;
            };
            if points.iter().any(|chosen| chosen.name == point.name) {
                continue;
            }
            let Some((chosen, trouble)) = ChosenPoint::open(point, site.access(), site.shares())
            else {
                problems.push(Problem::DistributionPointAddress {
                    name: point.name.clone(),
                    url: point.url.clone().unwrap_or_default(),
                });
                continue;
            };
            if let Some(trouble) = trouble {
                troubles.insert(point.name.clone(), vec![trouble]);
            }
            points.push(chosen);
        }
        Self { points, missing: Vec::new(), troubles, read_whole: BTreeMap::new() }
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
        let (mut named, mut absent) = (Vec::new(), Vec::new());
        for point in &self.points {
            let (listings, by_name) = match held(point, want) {
                Ok(held) => held,
                Err(reason) => {
                    absent.push((point, reason));
                    continue;
                }
            };
            named.extend(by_name.into_iter().map(|content| (point, content)));
            for listing in listings {
                agree(&mut found, point, listing, problems);
            }
        }
        // Now that all listings with hashes are there to compare with.
        let mut remarks = Vec::new();
        for (point, content) in named {
            match vouched(&found, point, &content, want) {
                Ok((listing, read)) => {
                    agree(&mut found, point, listing, problems);
                    self.read_whole.entry(point.name.clone()).or_default().extend(read);
                }
                Err(reason) => absent.push((point, (reason, true))),
            }
        }
        let mut at = Vec::new();
        for (point, (reason, damaged)) in absent {
            if damaged {
                let told = format!("passed over for {}: {reason}", want.content_id());
                remarks.push((point.name.clone(), told));
            }
            let site = want.package_id.as_deref().unwrap_or(&want.object_id);
            let reason = format!("{reason}{}", catalog.distribution(site, &point.name));
            at.push((point.name.clone(), reason));
        }
        for (name, remark) in remarks {
            self.troubles.entry(name).or_default().push(remark);
        }
        if found.is_empty() {
            self.missing.push(MissingContent {
                object_id: want.object_id.clone(),
                name: want.name.clone(),
                content_id: want.content_id(),
                at,
            });
        }
        found.into_values().map(|found| resolved(want, self.in_order(found))).collect()
    }

    /// Sources by preference again: those that show names alone were looked at last.
    fn in_order(&self, mut found: Found) -> Found {
        found.sources.sort_by_key(|source| {
            self.points.iter().position(|point| point.name == source.distribution_point)
        });
        found
    }

    /// What is missing becomes one problem; what was passed over becomes a warning each.
    pub(super) fn conclude(self, problems: &mut Vec<Problem>, warnings: &mut Vec<Warning>) {
        if !self.missing.is_empty() && !self.points.is_empty() {
            problems.push(Problem::MissingContent { missing: self.missing });
        }
        for (name, read) in &self.read_whole {
            let told =
                told(read).map(|told| Warning::new(WarningKind::DistributionPoint, name, told));
            warnings.extend(told);
        }
        for (name, troubles) in self.troubles {
            for message in troubles {
                warnings.push(Warning::new(WarningKind::DistributionPoint, &name, message));
            }
        }
    }
}

/// The contents at a distribution point, or why not and whether that is damage rather than mere absence.
fn held(point: &ChosenPoint, want: &Want) -> Result<Held, (String, bool)> {
    let library = match &point.library {
        Ok(library) => library,
        Err(error) => {
            return Err((format!("its content library cannot be read: {error}"), false));
        }
    };
    let (mut listings, mut by_name) = (Vec::new(), Vec::new());
    for id in content_ids(library, want)? {
        match library.show(&id)? {
            Shown::Listed(listing) => listings.push(listing),
            Shown::Named(content) => by_name.push(content),
        }
    }
    Ok((listings, by_name))
}

/// The listing of a content that a distribution point shows by names and sizes alone: the one that
/// another has of it, if names and sizes are the same; else every file is read for its hash, once, and
/// what comes of it must be what the site knows.
fn vouched(
    found: &BTreeMap<String, Found>,
    point: &ChosenPoint,
    content: &NamedContent,
    want: &Want,
) -> Result<(ContentListing, Option<ReadWhole>), String> {
    if let Some(known) = found.get(&content.content_id.to_ascii_uppercase()) {
        return match content.difference(&known.listing) {
            None => Ok((known.listing.clone(), None)),
            Some(difference) => Err(format!("{difference} elsewhere; validate the content there")),
        };
    }
    let listing = point.read_whole(content)?;
    let computed = hex::encode_upper(package_hash(&listing));
    let known = want.site_hash.as_deref().map(plain_hash).filter(|hash| hash.len() == 64);
    if let Some(known) = known.as_ref().filter(|known| **known != computed) {
        return Err(format!(
            "its files come to package hash {computed}, the site's is {known}: validate the content there"
        ));
    }
    let (content_id, bytes) = (content.content_id.clone(), content.total_bytes());
    Ok((listing, Some(ReadWhole { content_id, bytes, checked: known.is_some() })))
}

/// One warning for a distribution point, however much was read from it.
fn told(read: &[ReadWhole]) -> Option<String> {
    let bytes: u64 = read.iter().map(|read| read.bytes).sum();
    let ids: Vec<&str> = read.iter().map(|read| read.content_id.as_str()).collect();
    let doubtful: Vec<&str> = read.iter().filter(|r| !r.checked).map(|r| &*r.content_id).collect();
    let doubt = match doubtful.is_empty() {
        true => String::new(),
        false => format!(" (the site knows no hash to check {} by)", doubtful.join(", ")),
    };
    (!read.is_empty()).then(|| {
        format!(
            "it hides its content library (DataLib), so {} were read whole while planning, {bytes} bytes{doubt}; \
             choose a distribution point besides that shows it, or name its content_library",
            ids.join(", ")
        )
    })
}

fn content_ids(library: &Library, want: &Want) -> Result<Vec<String>, (String, bool)> {
    let absent = |reason: String| (reason, false);
    let entry = match &want.package_id {
        Some(id) => library.package(id)?,
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
    if versions.is_empty() && !library.shows_versions() {
        let version = want.version.ok_or_else(|| {
            absent("it hides its content library (DataLib), and the site does not say which version is current".into())
        })?;
        return Ok(vec![format!("{stem}.{version}")]);
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
    point: &ChosenPoint,
    listing: ContentListing,
    problems: &mut Vec<Problem>,
) {
    let digest = listing.digest();
    let place = point.place(&listing.content_id);
    let source = ContentSource { distribution_point: point.name.clone(), place };
    match found.get_mut(&listing.content_id.to_ascii_uppercase()) {
        None => {
            let key = listing.content_id.to_ascii_uppercase();
            found.insert(key, Found { listing, digest, sources: vec![source] });
        }
        Some(known) if known.digest == digest => known.sources.push(source),
        Some(known) => problems.push(Problem::ListingsDisagree {
            content_id: listing.content_id,
            first: known.sources.first().map(|s| s.distribution_point.clone()).unwrap_or_default(),
            second: point.name.clone(),
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
