//! The WIM header: what is accepted is written the same.

use prestage_wim::Header;

pub(super) fn check(input: &[u8]) {
    if let Ok(header) = Header::parse(input) {
        let again = Header::parse(&header.write());
        assert_eq!(again.ok().as_ref(), Some(&header), "written and read again");
    }
}
