//! INF files of drivers in a boot image: whoever made it wrote them.

use prestage_media::driver_inf;

pub(super) fn check(input: &[u8]) {
    if let Some(inf) = driver_inf::parse(input) {
        assert!(!inf.provider.contains(['"', '\n']) && !inf.version.contains(['"', '\n']));
        // Nothing comes from elsewhere than the file; a stray byte may have become three.
        assert!(inf.provider.len().max(inf.version.len()) <= 3 * input.len());
    }
}
