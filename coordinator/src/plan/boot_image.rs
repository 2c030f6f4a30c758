//! What a boot image must have so that a medium starts from it: boot files, and drivers.

use futures::{StreamExt, TryStreamExt, stream};
use prestage_media::{
    boot_files::{Architecture, missing_boot_files},
    driver_inf::{self, DriverUse, LARGEST_INF_BYTES},
};
use prestage_wim::{
    Blob, Sha1Hash, Wim, WimError,
    metadata::{ATTRIBUTE_DIRECTORY, ImageTree, NodeId},
};

use super::PlannedDriver;

/// Where Windows keeps a folder for each driver package, and where their INF files lie besides.
const DRIVER_STORE: &str = "Windows/System32/DriverStore/FileRepository";
const INF_FOLDER: &str = "Windows/INF";
/// Windows PE has some hundreds; an image of more is looked at only so far.
const DRIVER_PACKAGES_MAX: usize = 10_000;
/// A distribution point may be far: each read is a trip there and back.
const READS_AT_ONCE: usize = 8;

/// The files without which a medium with this boot image does not start, each with where it was
/// looked for; `None` when all are there.
pub fn lacking(tree: &mut ImageTree, architecture: Architecture) -> Option<String> {
    let missing = missing_boot_files(architecture, |path| file_at(tree, path).is_some());
    let told = missing
        .iter()
        .map(|file| format!("'{}' (looked for as {})", file.targets[0], file.sources.join(", ")));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(" and "))
}

fn file_at(tree: &mut ImageTree, path: &str) -> Option<Sha1Hash> {
    let node = tree.find(path)?;
    content_of(tree, node)
}

fn content_of(tree: &ImageTree, node: NodeId) -> Option<Sha1Hash> {
    let entry = tree.entry(node);
    let data = entry.streams().into_iter().find(|stream| stream.name.is_none())?;
    let is_file = entry.attributes() & ATTRIBUTE_DIRECTORY == 0 && !data.sha1.is_zero();
    is_file.then_some(data.sha1)
}

/// The network and storage drivers of an image, in the order of their names. Only INF files are
/// unpacked, a few at a time.
pub async fn drivers(wim: &Wim, tree: &mut ImageTree) -> Result<Vec<PlannedDriver>, WimError> {
    let blobs = wim.blobs_by_sha1();
    let blobs = inf_files(tree).into_iter().filter_map(|(name, sha1)| {
        let blob = *blobs.get(&sha1)?;
        (blob.resource.original_bytes <= LARGEST_INF_BYTES).then_some((name, blob))
    });
    let read = stream::iter(blobs.map(|(name, blob)| driver(wim, name, blob)));
    let found: Vec<Option<PlannedDriver>> = read.buffered(READS_AT_ONCE).try_collect().await?;
    let mut found: Vec<PlannedDriver> = found.into_iter().flatten().collect();
    found.sort();
    found.dedup();
    Ok(found)
}

async fn driver(wim: &Wim, inf: String, blob: Blob) -> Result<Option<PlannedDriver>, WimError> {
    let bytes = wim.read_blob(&blob).await?.read_all(LARGEST_INF_BYTES).await?;
    Ok(driver_inf::parse(&bytes).map(|read| PlannedDriver {
        inf,
        purpose: read.purpose,
        in_box: read.is_in_box(),
        provider: read.provider,
        version: read.version,
    }))
}

/// Those of the driver store; an image without one has them beside each other.
fn inf_files(tree: &mut ImageTree) -> Vec<(String, Sha1Hash)> {
    let children = |tree: &mut ImageTree, folder: &str| {
        tree.find(folder).map(|node| tree.children(node).to_vec()).unwrap_or_default()
    };
    let packages = children(tree, DRIVER_STORE);
    let packages = packages.iter().take(DRIVER_PACKAGES_MAX);
    let stored: Vec<NodeId> =
        packages.flat_map(|&package| tree.children(package).to_vec()).collect();
    let stored = infs(tree, &stored);
    if !stored.is_empty() {
        return stored;
    }
    let beside = children(tree, INF_FOLDER);
    infs(tree, &beside[..beside.len().min(DRIVER_PACKAGES_MAX)])
}

fn infs(tree: &ImageTree, nodes: &[NodeId]) -> Vec<(String, Sha1Hash)> {
    let named = nodes.iter().map(|&node| (tree.entry(node).name_lossy(), node));
    named
        .filter(|(name, _)| name.len() > 4 && name.to_ascii_lowercase().ends_with(".inf"))
        .filter_map(|(name, node)| Some((name, content_of(tree, node)?)))
        .collect()
}

/// What to say of a boot image's drivers: warnings of what is absent, a note of what is there.
pub fn remarks(image: &str, drivers: &[PlannedDriver]) -> (Vec<String>, String) {
    let mut warnings = Vec::new();
    let mut counts = Vec::new();
    for (purpose, name, consequence) in [
        (DriverUse::Network, "network", "will reach no management point from it"),
        (DriverUse::Storage, "storage", "may not see the disk that the medium lies on"),
    ] {
        let of_kind: Vec<&PlannedDriver> =
            drivers.iter().filter(|driver| driver.purpose == purpose).collect();
        if of_kind.is_empty() {
            warnings.push(format!(
                "the boot image {image} has no {name} driver at all, so Windows PE {consequence}: \
                 add the models' {name} drivers to it, update its distribution points, and plan \
                 again"
            ));
        }
        let own = of_kind.iter().filter(|driver| !driver.in_box).count();
        counts.push(format!("{name} drivers: {}, not Windows' own: {own}", of_kind.len()));
    }
    (warnings, format!("boot image {image}: {}", counts.join("; ")))
}

#[cfg(test)]
mod tests {
    use prestage_wim::metadata::NewEntry;

    use super::*;

    fn tree(paths: &[&str]) -> ImageTree {
        let mut tree = ImageTree::new(&NewEntry::directory(0)).unwrap();
        for path in paths {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            tree.ensure_directory(folder, &NewEntry::directory(0)).unwrap();
            tree.add(path, &NewEntry::file(0, 0, Sha1Hash::of(path.as_bytes()))).unwrap();
        }
        tree
    }

    #[test]
    fn all_that_is_lacking_is_told_and_case_does_not_count() {
        let mut whole = tree(&["windows/boot/efi/BOOTMGFW.EFI", "SMS/boot/boot.sdi"]);
        assert_eq!(lacking(&mut whole, Architecture::X64), None);
        assert!(lacking(&mut whole, Architecture::X86).unwrap().contains("'bootmgr'"));
        let told = lacking(&mut tree(&["readme.txt"]), Architecture::X64).unwrap();
        assert!(told.contains("'EFI/Boot/bootx64.efi' (looked for as Windows/Boot/EFI/"), "{told}");
        assert!(told.contains(" and 'boot/boot.sdi'"), "{told}");
    }

    #[test]
    fn a_folder_in_place_of_a_boot_file_is_none() {
        let mut odd = tree(&["Windows/Boot/EFI/bootmgfw.efi/x", "sms/boot/boot.sdi"]);
        assert!(lacking(&mut odd, Architecture::X64).unwrap().contains("bootx64.efi"));
    }

    #[test]
    fn inf_files_come_from_the_store_or_else_from_beside() {
        let beside = "Windows/INF/oem1.inf";
        let stored = format!("{DRIVER_STORE}/e1d.inf_amd64_00/e1d.inf");
        let catalogue = format!("{DRIVER_STORE}/e1d.inf_amd64_00/e1d.cat");
        let names = |paths: &[&str]| -> Vec<String> {
            inf_files(&mut tree(paths)).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[beside, &stored, &catalogue]), ["e1d.inf"]);
        assert_eq!(names(&[beside]), ["oem1.inf"]);
        assert_eq!(names(&["Windows/x.dll"]), Vec::<String>::new());
    }

    #[test]
    fn what_is_absent_is_a_warning_with_its_consequence() {
        let network = PlannedDriver {
            inf: "e1d.inf".into(),
            purpose: DriverUse::Network,
            in_box: false,
            provider: "Intel".into(),
            version: "1.0".into(),
        };
        let (warnings, note) = remarks("PS100005", std::slice::from_ref(&network));
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("PS100005 has no storage driver at all"), "{warnings:?}");
        assert!(note.contains("network drivers: 1, not Windows' own: 1; storage drivers: 0"));
        assert_eq!(remarks("PS100005", &[]).0.len(), 2);
    }
}
