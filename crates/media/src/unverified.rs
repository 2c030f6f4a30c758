//! Choices that only a console-made medium can confirm (reference: section 9, "not verified").
//!
//! Each stands here alone, with its reason, so that one real sample can settle it by an edit to
//! one line. Nothing else in this crate guesses.

/// `MediaType=` in `TsmBootstrap.ini`. `FullMedia` was seen on standalone media, where the media
/// variable `_SMSTSMediaType` says `FullMedia` too; so prestaged media get the value that the
/// variable has there. (Reference: TsmBootstrap.ini; inferred.)
pub const BOOTSTRAP_MEDIA_TYPE: &str = "OEMMedia";

/// The variable that carries the prestart command. Public text says only that the command is
/// "kept in the media variables" and that it wins over the boot image's own `TsConfig.ini`; the
/// name was found nowhere. This one follows the naming of the variables beside it.
/// (Reference: prestart command; not attested.)
pub const PRESTART_COMMAND_VARIABLE: &str = "_SMSTSPrestartCommand";

/// The variable that names the prestart command's package folder, chosen as
/// [`PRESTART_COMMAND_VARIABLE`] was. `TsConfig.ini` has the pair `CommandLine` and `Source`, so
/// there must be a second value. (Reference: prestart command; not attested.)
pub const PRESTART_PACKAGE_VARIABLE: &str = "_SMSTSPrestartPackage";

/// `Version` of `MediaVarList`. The value that deployment toolkits write into the same XML;
/// Configuration Manager's own is not known, and no reader looks at it.
/// (Reference: media variables, plaintext.)
pub const VARIABLES_XML_VERSION: &str = "4.00.5345.0000";

/// Whether values are written as CDATA (true) or escaped text. Known readers take both; the
/// toolkits write CDATA. (Reference: media variables, plaintext.)
pub const VALUES_AS_CDATA: bool = true;

/// How many zero bytes follow the ciphertext of `Variables.dat`.
///
/// Real captures carry slack that fits a buffer of plaintext + 18 bytes, and one known reader cuts
/// the last 8 bytes of the file off, which would cut ciphertext if there were no slack. Readers
/// that go by the length in the header ignore it. (Reference: media variables, binary layout.)
#[must_use]
pub const fn variables_slack(plaintext_bytes: usize, ciphertext_bytes: usize) -> usize {
    (plaintext_bytes + 18).saturating_sub(ciphertext_bytes)
}

/// The folder in `SMS\PKG` for the content of an application's deployment type.
///
/// The client's log names such content `Content_<GUID>` and its version apart, so the folder is
/// the content ID without its `.<version>`. (Reference: root layout; inferred.)
#[must_use]
pub fn application_content_folder(content_id: &str) -> &str {
    match content_id.rsplit_once('.') {
        Some((folder, version))
            if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) =>
        {
            folder
        }
        _ => content_id,
    }
}

/// Common name in the subject of a self-signed media certificate: the site's record knows the
/// certificate by the media ID and by its thumbprint, so the subject is for people.
/// (Reference: media certificate; what the console writes was not found.)
pub const CERTIFICATE_COMMON_NAME: &str = "Configuration Manager media";

/// Identifier of the boot loader object in the boot stores: the one that Windows PE and setup
/// media use. Whether the console writes it on prestaged media was not found; any GUID boots.
/// (Reference: BCD hive, objects.)
pub const BOOT_LOADER_OBJECT: &str = "{7619dcc9-fafe-11d9-b411-000476eba25f}";

/// The variable by which Windows PE trusts HTTPS management points: media without it fail with 80072f8f.
/// Its name, and that its value is hexadecimal, are attested. (Reference: known variables.)
pub const ROOT_CERTIFICATES_VARIABLE: &str = "_SMSTSRootCACerts";

/// The value of [`ROOT_CERTIFICATES_VARIABLE`]: the DER of one root. How the site joins several, and
/// whether it wraps them, is not known; one certificate alone is the likeliest reading.
#[must_use]
pub fn root_certificates(der: &[u8]) -> String {
    hex::encode_upper(der)
}

/// `DESCRIPTION` of the image: the comment, the version and who made the medium, as far as the spec
/// says them; empty when it says none. Their limits are documented, where the console writes them
/// is not; here `dism /Get-ImageInfo` shows them. (Reference: how Microsoft's tool is driven.)
#[must_use]
pub fn image_description(comment: &str, version: &str, created_by: &str) -> String {
    let parts = [("", comment), ("version ", version), ("created by ", created_by)];
    let said = parts.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(label, text)| format!("{label}{text}")).collect::<Vec<_>>().join("; ")
}

/// `MediaLabel.txt` is documented for boot, standalone and capture media (1902 and later), not for
/// prestaged media. It is harmless there, and people look for it. (Reference: root layout.)
pub const MEDIA_LABEL_ON_PRESTAGED_MEDIA: bool = true;

// Deliberately absent: a variable that says which OS image package, index and version was laid
// out. There must be some such fact for the documented check of the prestaged image, but neither
// name nor place was found, and an invented variable would look like knowledge.

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_number_leaves_the_folder_name() {
        assert_eq!(application_content_folder("Content_a-b.12"), "Content_a-b");
        assert_eq!(application_content_folder("Content_a-b"), "Content_a-b");
        assert_eq!(application_content_folder("Content_a.b"), "Content_a.b");
        assert_eq!(application_content_folder("Content_a."), "Content_a.");
    }

    #[test]
    fn the_description_has_what_the_spec_says() {
        let all = image_description("ring 1", "2026.11", "OSD team");
        assert_eq!(all, "ring 1; version 2026.11; created by OSD team");
        assert_eq!(image_description("", "7", ""), "version 7");
        assert_eq!(image_description("", "", ""), "");
    }

    #[test]
    fn slack_fills_the_buffer_of_a_real_capture() {
        assert_eq!(variables_slack(13412, 13424), 6);
        assert_eq!(variables_slack(0x32b2, 0x32c0), 4);
    }
}
