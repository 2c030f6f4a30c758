//! What a driver's INF file says of itself: whether it drives a network adapter or a disk.
//!
//! An INF is an INI file whose `[Version]` names the setup class, and whose `[Strings]` holds what
//! `%…%` stands for. The class GUIDs are Windows' own and the same on every machine.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// An INF has at most so many bytes; the largest that come with Windows are a tenth of it.
pub const LARGEST_INF_BYTES: u64 = 4 << 20;

const NETWORK: &str = "{4d36e972-e325-11ce-bfc1-08002be10318}";
const STORAGE: [&str; 2] = [
    // SCSI, RAID and NVMe controllers.
    "{4d36e97b-e325-11ce-bfc1-08002be10318}",
    // ATA and AHCI controllers.
    "{4d36e96a-e325-11ce-bfc1-08002be10318}",
];
/// Who the provider of the drivers is that come with Windows.
const MICROSOFT: &str = "microsoft";

/// What Windows PE needs drivers for before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverUse {
    /// To reach a management point.
    Network,
    /// To see the disk that the medium lies on.
    Storage,
}

/// A network or storage driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverInf {
    /// What it is for.
    pub purpose: DriverUse,
    /// Who made it.
    pub provider: String,
    /// Its version, without the date; empty if there is none.
    pub version: String,
}

impl DriverInf {
    /// Whether it comes with Windows.
    #[must_use]
    pub fn is_in_box(&self) -> bool {
        self.provider.to_ascii_lowercase().starts_with(MICROSOFT)
    }
}

/// Reads the bytes of an INF; `None` for a driver of any other class, and for what is no INF.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<DriverInf> {
    let text = decode(bytes);
    let version = entries(&text, "version", &["class", "classguid", "provider", "driverver"]);
    let named: Vec<&str> = version.values().filter_map(|value| string_name(value)).collect();
    let strings = entries(&text, "strings", &named);
    let value = |key: &str| version.get(key).map(|raw| expanded(raw, &strings));
    let purpose = purpose(value("classguid").as_deref(), value("class").as_deref())?;
    let driver_version = value("driverver").unwrap_or_default();
    let driver_version = driver_version.split_once(',').map_or("", |(_, version)| version.trim());
    Some(DriverInf {
        purpose,
        provider: value("provider").unwrap_or_default(),
        version: driver_version.to_owned(),
    })
}

/// The GUID decides; the name is only for people, but old files have it alone.
fn purpose(guid: Option<&str>, class: Option<&str>) -> Option<DriverUse> {
    if let Some(guid) = guid {
        let is = |known: &str| guid.eq_ignore_ascii_case(known);
        let storage = STORAGE.iter().any(|known| is(known)).then_some(DriverUse::Storage);
        return if is(NETWORK) { Some(DriverUse::Network) } else { storage };
    }
    match class?.to_ascii_lowercase().as_str() {
        "net" => Some(DriverUse::Network),
        "scsiadapter" | "hdc" => Some(DriverUse::Storage),
        _ => None,
    }
}

/// UTF-16 with its mark, as Windows' own are, or a code page whose ASCII half is all that matters.
fn decode(bytes: &[u8]) -> String {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => {
            let units = rest.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            char::decode_utf16(units)
                .map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Those keys of a section that are wanted, in lower case; the first value of a key wins. Others
/// are passed over, so that nothing is held but what is looked for.
fn entries(text: &str, section: &str, wanted: &[&str]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default().trim();
            inside = name.eq_ignore_ascii_case(section);
        } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
            let key = key.trim();
            if wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(key)) {
                found.entry(key.to_ascii_lowercase()).or_insert_with(|| unquoted(value));
            }
        }
    }
    found
}

/// A value without quotes and without the comment after it.
fn unquoted(value: &str) -> String {
    let mut quoted = false;
    let kept = value.chars().take_while(|&c| {
        quoted ^= c == '"';
        quoted || c != ';'
    });
    kept.filter(|c| *c != '"').collect::<String>().trim().to_owned()
}

/// `Intel` of `%Intel%`.
fn string_name(value: &str) -> Option<&str> {
    value.strip_prefix('%')?.strip_suffix('%')
}

/// The value, or what the string stands for that it names.
fn expanded(value: &str, strings: &HashMap<String, String>) -> String {
    let string = string_name(value).and_then(|name| strings.get(&name.to_ascii_lowercase()));
    string.map_or(value, String::as_str).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTEL: &str = "; a comment\r\n[version]\r\nSignature = \"$Windows NT$\"\r\nClass = Net\r\n\
        ClassGUID = {4D36E972-E325-11CE-BFC1-08002BE10318} ; adapters\r\nProvider = %Intel%\r\n\
        DriverVer=08/29/2024,12.19.2.60\r\n\r\n[Manufacturer]\r\nClass = other\r\n\r\n[STRINGS]\r\n\
        Intel = \"Intel; Corp\" ; who\r\n";

    #[test]
    fn utf16_and_ansi_are_read_alike() {
        let expected = DriverInf {
            purpose: DriverUse::Network,
            provider: "Intel; Corp".into(),
            version: "12.19.2.60".into(),
        };
        let wide = [0xFEFF].into_iter().chain(INTEL.encode_utf16()).flat_map(u16::to_le_bytes);
        assert_eq!(parse(&wide.collect::<Vec<_>>()), Some(expected.clone()));
        assert_eq!(parse(INTEL.as_bytes()), Some(expected.clone()));
        let ansi = [INTEL.as_bytes(), b"Maker = \"M\xFCller\"\r\n"].concat();
        assert_eq!(parse(&ansi), Some(expected.clone()));
        assert!(!expected.is_in_box());
    }

    #[test]
    fn storage_has_two_classes_and_others_do_not_count() {
        let of =
            |version: &str| parse(format!("[Version]\n{version}\nProvider=Microsoft\n").as_bytes());
        for class in
            ["Class=SCSIAdapter", "Class = HDC", "ClassGuid={4d36e96a-e325-11ce-bfc1-08002be10318}"]
        {
            let found = of(class).unwrap();
            assert_eq!((found.purpose, found.is_in_box()), (DriverUse::Storage, true), "{class}");
            assert_eq!(found.version, "");
        }
        assert_eq!(of("Class=Display"), None);
        // The GUID decides when the two differ.
        assert_eq!(of("Class=Net\nClassGuid={4d36e968-e325-11ce-bfc1-08002be10318}"), None);
        assert_eq!(parse(b"[Strings]\nClass=Net\n"), None);
        assert_eq!(parse(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let _ = parse(&[&[0xFF, 0xFE], &bytes[..]].concat());
            let _ = parse(&[b"[Version]\nClass=Net\n", &bytes[..]].concat());
        }
    }
}
