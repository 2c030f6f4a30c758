//! The site and the specs, read by the code that reads real ones.

use std::fs;

use prestage_configmgr::{ContentRequest, Site, resolve};
use prestage_media::password;

use super::{load, request, resolved, sample};

#[test]
fn the_site_resolves_and_only_the_deleted_package_is_told() {
    let found = resolved(&sample().spec);
    let warned: Vec<_> = found.warnings.iter().map(|w| w.subject.as_str()).collect();
    assert_eq!(warned, ["PS100039"], "{:#?}", found.warnings);
    let by_id = |id: &str| {
        found
            .contents
            .iter()
            .find(|c| c.object_id == id || c.name == id)
            .unwrap_or_else(|| panic!("{id}"))
    };
    for id in [
        "PS100002",
        "PS100031",
        "PS100032",
        "PS100040",
        "PS100077",
        "Contoso Agent 2",
        "Contoso Runtime",
        "Contoso Viewer",
    ] {
        assert!(by_id(id).site_hash.is_some() || id == "PS100040", "{id}");
    }
    assert_eq!(found.contents.len(), 8);
    assert_eq!(by_id("Contoso Runtime").reasons[0], "dependency of 'Contoso Agent 2'");
    let drivers = by_id("PS100077");
    assert!(drivers.listing.files.len() >= 600);
    let holders: Vec<_> = drivers.sources.iter().map(|s| s.distribution_point.as_str()).collect();
    assert_eq!(holders, ["dp2.corp.example"]);
    assert_eq!(by_id("PS100031").sources.len(), 2);
    assert!(by_id("PS100031").listing.directories.iter().any(|d| d == "Logs/empty on purpose"));
    assert_eq!(found.boot_image.image_index, Some(1));
    assert_eq!(found.os_image.images[1].name.as_deref(), Some("Windows 11 Enterprise sample"));
    assert!(found.unknown_computers.x64.is_some() && found.unknown_computers.x86.is_some());
    assert_eq!(resolved(&sample().minimal_spec).warnings.len(), 1);
}

#[test]
fn the_dependency_is_carried_only_when_it_is_to_be_detected() {
    let site = Site::open(&sample().folder).unwrap();
    let request = ContentRequest {
        detect_application_dependencies: false,
        ..request(&load(&sample().spec).spec)
    };
    let found = resolve(&site, &request).unwrap();
    let names: Vec<_> = found.contents.iter().map(|c| c.name.as_str()).collect();
    assert!(names.contains(&"Contoso Agent 2") && !names.contains(&"Contoso Runtime"), "{names:?}");
}

#[test]
fn without_the_second_distribution_point_the_drivers_are_missed() {
    let site = Site::open(&sample().folder).unwrap();
    let request = ContentRequest {
        distribution_points: vec!["dp1.corp.example".into()],
        ..request(&load(&sample().spec).spec)
    };
    let error = resolve(&site, &request).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert!(error.to_string().contains("PS100077"), "{error}");
}

#[test]
fn the_specs_are_right_and_the_password_is_strong() {
    let checked = load(&sample().spec);
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let (_, source) = checked.spec.secrets().remove(0);
    assert_eq!(password::assess(&source.read().unwrap()), Ok(None));
    assert!(load(&sample().minimal_spec).spec.security.no_password);
    #[cfg(unix)]
    {
        let metadata = fs::metadata(&sample().password_file).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777, 0o600);
    }
    let readme = fs::read_to_string(sample().folder.join("README.txt")).unwrap();
    assert!(
        readme.contains("prestage build  spec.toml")
            && readme.contains("DOES NOT START A COMPUTER")
    );
}
