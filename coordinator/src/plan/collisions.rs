//! What of a medium would lie where the OS image has something already: found before any work.

use std::collections::HashSet;

use prestage_configmgr::resolve::ResolvedContent;
use prestage_media::{
    boot_files::{Architecture, GENERATED_STORES, boot_files},
    unverified::MEDIA_LABEL_ON_PRESTAGED_MEDIA,
    volume,
};
use prestage_wim::{
    Sha1Hash, WimError,
    metadata::{ImageTree, NewEntry},
};

/// Of so many collisions one can't be told from the other any more.
const COLLISIONS_SHOWN: usize = 20;

/// Everything that collides.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", told(.0))]
pub struct Collisions(Vec<String>);

fn told(problems: &[String]) -> String {
    let mut shown = problems[..problems.len().min(COLLISIONS_SHOWN)].join("\n");
    if problems.len() > COLLISIONS_SHOWN {
        shown.push_str(&format!("\n… and {} more", problems.len() - COLLISIONS_SHOWN));
    }
    shown
}

/// Grafts names alone into the OS image's tree. Boot files that a boot image may lack are left to
/// the assembly.
pub fn check_collisions(
    tree: ImageTree,
    architecture: Option<Architecture>,
    contents: &[ResolvedContent],
) -> Result<(), Collisions> {
    let mut check = Check { tree, problems: Vec::new(), told: HashSet::new() };
    let boot = architecture.map(boot_files).unwrap_or_default();
    let boot = boot.iter().filter(|file| file.required).flat_map(|file| file.targets).copied();
    let stores = GENERATED_STORES.iter().map(|store| store.target);
    let own = [volume::BOOT_IMAGE, volume::VARIABLES, volume::BOOTSTRAP];
    let label = MEDIA_LABEL_ON_PRESTAGED_MEDIA.then_some(volume::MEDIA_LABEL);
    for path in own.into_iter().chain(label).chain(boot).chain(stores) {
        check.file("the medium's own files", path);
    }
    for content in contents {
        let folder = volume::package_folder(&content.folder);
        check.folder(&content.content_id, &folder);
        for path in &content.listing.directories {
            check.folder(&content.content_id, &format!("{folder}/{path}"));
        }
        for file in &content.listing.files {
            check.file(&content.content_id, &format!("{folder}/{}", file.path));
        }
    }
    if check.problems.is_empty() { Ok(()) } else { Err(Collisions(check.problems)) }
}

struct Check {
    tree: ImageTree,
    problems: Vec<String>,
    /// Colliding paths: a folder that is a file in the OS image is one problem, not one for each
    /// file below it.
    told: HashSet<String>,
}

impl Check {
    fn folder(&mut self, of: &str, path: &str) -> bool {
        let made = self.tree.ensure_directory(path, &NewEntry::directory(0));
        self.note(of, made.map(drop))
    }

    fn file(&mut self, of: &str, path: &str) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if self.folder(of, folder) {
            let added = self.tree.add(path, &NewEntry::file(0, 0, Sha1Hash::ZERO));
            self.note(of, added.map(drop));
        }
    }

    fn note(&mut self, of: &str, done: Result<(), WimError>) -> bool {
        let Err(error) = done else {
            return true;
        };
        let place = match &error {
            WimError::Collision { path, .. } | WimError::WrittenTwice { path, .. } => path.clone(),
            other => other.to_string(),
        };
        if self.told.insert(place) {
            self.problems.push(format!("{of}: {error}"));
        }
        false
    }
}
