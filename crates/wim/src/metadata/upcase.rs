//! How Windows compares names.

/// `name` in upper case, unit by unit, as NTFS compares names: one UTF-16 unit maps to one unit or
/// stays (so 'ß' stays 'ß').
pub fn upcased(name: &[u16]) -> Vec<u16> {
    name.iter().map(|&unit| upcase_unit(unit)).collect()
}

fn upcase_unit(unit: u16) -> u16 {
    let Some(character) = char::from_u32(u32::from(unit)) else {
        return unit;
    };
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_as_ntfs_does() {
        let fold = |text: &str| upcased(&text.encode_utf16().collect::<Vec<_>>());
        assert_eq!(fold("straße.TXT"), fold("STRAßE.txt"));
        assert_ne!(fold("straße"), fold("STRASSE"));
        assert_eq!(fold("ÄÖÜ日本"), fold("äöü日本"));
        assert_eq!(fold("𐐨"), "𐐨".encode_utf16().collect::<Vec<_>>(), "surrogates stay");
    }
}
