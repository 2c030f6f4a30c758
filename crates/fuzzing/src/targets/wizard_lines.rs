//! Lines of `New-CMPrestageMedia` and `CreateMedia.exe`, as people paste them.

pub(super) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(drafts) = prestage_wizard::import(&text) {
        for draft in drafts {
            let spec = draft.to_toml();
            assert!(spec.parse::<toml::Table>().is_ok(), "{spec}");
        }
    }
}
