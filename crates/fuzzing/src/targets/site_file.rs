//! `site.toml`: what is accepted has a site code and named distribution points.

use prestage_configmgr::Site;

use crate::scratch::Scratch;

pub(super) fn check(input: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("site.toml", input);
    scratch.folder("adminservice/wmi");
    match Site::open(scratch.path()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(site) => {
            assert_eq!(site.code().len(), 3);
            for point in site.distribution_points() {
                assert!(site.distribution_point(&point.name).is_some(), "{}", point.name);
            }
        }
    }
}
