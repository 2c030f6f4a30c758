//! What a distribution point's web server says is in a folder.

use prestage_configmgr::distribution_point::folder_listing::{Entry, of_multistatus, of_page};
use url::Url;

pub(super) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(folder) = Url::parse("http://dp1.corp.example/SMS_DP_SMSPKG$/PS100012.3/") else {
        return;
    };
    check_entries(&of_page(&folder, &text));
    if let Ok(entries) = of_multistatus(&folder, &text) {
        check_entries(&entries);
    }
}

/// Each is one name, once: whoever walks the folders must not be led out of them, or in circles.
fn check_entries(entries: &[Entry]) {
    for entry in entries {
        assert!(!entry.name.is_empty() && !entry.name.contains('/'), "{entry:?}");
        assert!(entry.name != "." && entry.name != "..", "{entry:?}");
    }
    for pair in entries.windows(2) {
        assert!(pair[0].name < pair[1].name, "{pair:?}");
    }
}
