//! Where everything lies in the volume that the medium becomes.
//!
//! | path | how sure |
//! |---|---|
//! | the OS image in the root | confirmed by five sources |
//! | `sources\boot.wim` | confirmed by four |
//! | `SMS\PKG\<package>` | confirmed by four together |
//! | `SMS\data\Variables.dat` | confirmed by four |
//! | `SMS\data\TsmBootstrap.ini` | confirmed for other media, inferred here |
//! | `MediaLabel.txt` | documented for other media |
//!
//! (Reference: root layout.) Windows PE finds `sms\data` on the volume whose `\sources\boot.wim`
//! it started from, so these must stay on one volume.
//!
//! Sources spell the folder `sms` and `SMS`. On Windows that is one directory; in a WIM two
//! directories that differ in case could be written but not applied side by side. This crate
//! writes **`SMS`** everywhere: a published prestaged WIM has `SMS/data/Variables.dat`, and the
//! client joins `SMS\PKG` to the media root.
//!
//! Paths use `/` between names and have no leading one, as in the wire protocol.

use crate::unverified::application_content_folder;

/// The folder for everything that is not the OS, the boot image or a boot file.
pub const SMS: &str = "SMS";
/// The boot image, whole, as the distribution point has it.
pub const BOOT_IMAGE: &str = "sources/boot.wim";
/// The encrypted media variables.
pub const VARIABLES: &str = "SMS/data/Variables.dat";
/// What Windows PE reads before it opens the variables.
pub const BOOTSTRAP: &str = "SMS/data/TsmBootstrap.ini";
/// The folder that holds one folder for each content.
pub const CONTENTS: &str = "SMS/PKG";
/// One line that names the medium.
pub const MEDIA_LABEL: &str = "MediaLabel.txt";
/// The label that Configuration Manager gives when the administrator gives none.
pub const DEFAULT_LABEL: &str = "Configuration Manager";

/// The folder of a package, driver package or prestart package: `SMS/PKG/<PackageID>`.
#[must_use]
pub fn package_folder(package_id: &str) -> String {
    format!("{CONTENTS}/{package_id}")
}

/// The folder of an application's content: `SMS/PKG/Content_<GUID>`.
#[must_use]
pub fn application_folder(content_id: &str) -> String {
    format!("{CONTENTS}/{}", application_content_folder(content_id))
}

/// The bytes of `MediaLabel.txt`; line ends in the label become spaces.
#[must_use]
pub fn media_label(label: &str) -> Vec<u8> {
    let label = if label.trim().is_empty() { DEFAULT_LABEL } else { label.trim() };
    format!("label={}\r\n", label.replace(['\r', '\n'], " ")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_the_sms_folder() {
        for path in [VARIABLES, BOOTSTRAP, CONTENTS] {
            assert_eq!(path.split('/').next(), Some(SMS));
        }
    }

    #[test]
    fn contents_have_a_folder_each() {
        assert_eq!(package_folder("PS100077"), "SMS/PKG/PS100077");
        assert_eq!(application_folder("Content_96736260.1"), "SMS/PKG/Content_96736260");
    }

    #[test]
    fn the_label_is_one_line() {
        assert_eq!(media_label(""), b"label=Configuration Manager\r\n");
        assert_eq!(media_label("a\r\nb"), b"label=a  b\r\n");
    }
}
