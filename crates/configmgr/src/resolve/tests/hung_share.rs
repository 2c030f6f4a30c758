use std::time::{Duration, Instant};

use prestage_access::Floor;
use prestage_shares::Shares;
use prestage_test_servers::hung_mount::HungMount;

use super::*;

impl TestSite {
    fn hang(&self, dp: &str) -> HungMount {
        HungMount::new(&self.library(dp))
    }

    fn resolve_with_little_patience(
        &self,
        request: &ContentRequest,
    ) -> Result<Resolution, ResolveErrors> {
        let floor = Floor { within: Duration::from_millis(200), ..Floor::default() };
        let site = Site::open(self.dir.path()).unwrap().with_shares(&Shares::new(floor));
        let start = Instant::now();
        let resolved = resolve(&site, request);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        resolved
    }
}

#[test]
fn a_share_that_hangs_is_passed_over_and_named() {
    let site = TestSite::new();
    let _hung = site.hang("dp1");
    let found = site.resolve_with_little_patience(&site.request()).unwrap();
    assert_eq!(found.contents.len(), 5);
    for content in found.contents.iter().chain([&found.os_image, &found.boot_image]) {
        let [source] = &content.sources[..] else { panic!("{:?}", content.sources) };
        assert_eq!(source.distribution_point, "dp2.corp.example");
    }
    let told: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
    let told: Vec<&String> =
        told.iter().filter(|warning| warning.contains("does not answer")).collect();
    let [told] = told[..] else { panic!("{told:?}") };
    assert!(told.contains("dp1.corp.example") && told.contains("dp1/SCCMContentLib"), "{told}");
}

#[test]
fn where_all_shares_hang_each_is_named() {
    let site = TestSite::new();
    let _hung = (site.hang("dp1"), site.hang("dp2"));
    let error = site.resolve_with_little_patience(&site.request()).unwrap_err().to_string();
    for dp in ["dp1", "dp2"] {
        let told = format!("{dp}/SCCMContentLib: the share does not answer");
        assert!(error.contains(&told), "{error}");
    }
}
