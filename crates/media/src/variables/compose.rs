//! Which variables a prestaged medium carries.
//!
//! Names and forms: reference, "known variables". `_SMSTSIISSSLState`, `_SMSTSUseFirstCert` and
//! the site's signing certificate belong to PKI media, but what values they take is not attested; nor
//! is anything like a creation date, so nothing of the kind is written.

use super::MediaVariables;
use crate::media_id::MediaId;
use crate::spec::{ManagementPoint, MediaMode, PackageId, Prestart, UserDeviceAffinity};
use crate::unverified::{
    PRESTART_COMMAND_VARIABLE, PRESTART_PACKAGE_VARIABLE, ROOT_CERTIFICATES_VARIABLE,
    root_certificates,
};
use prestage_secret::{Secret, SecretBytes};

/// The site's two records for computers that it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownComputers {
    /// GUID of the x64 record.
    pub x64: String,
    /// GUID of the x86 record.
    pub x86: String,
}

/// All that the variables are made from.
#[derive(Clone)]
pub struct VariablesInput {
    /// Identity of the medium.
    pub media_id: MediaId,
    /// The media certificate with its key, as PKCS#12 under [`MediaId::pfx_password`].
    pub pfx: SecretBytes,
    /// The three characters of the site.
    pub site_code: String,
    /// Dynamic or site-based.
    pub mode: MediaMode,
    /// Management points in order; site-based media have exactly one.
    pub management_points: Vec<ManagementPoint>,
    /// The boot image on the medium.
    pub boot_image: PackageId,
    /// Its source version.
    pub boot_image_version: u32,
    /// Set when unknown computers are supported.
    pub unknown_computers: Option<UnknownComputers>,
    /// How users become primary users of the computer.
    pub user_device_affinity: UserDeviceAffinity,
    /// The site's trusted root key in hexadecimal, when known.
    pub trusted_root_key: Option<String>,
    /// The root of an imported certificate's chain, DER, when its file has it.
    pub root_certificate: Option<Vec<u8>>,
    /// Name of the organisation on the title bar, when known.
    pub branding_title: Option<String>,
    /// Command that runs before policy is fetched.
    pub prestart: Option<Prestart>,
    /// The administrator's own variables, read.
    pub variables: Vec<(String, Secret)>,
}

/// The variables of a medium, in a fixed order: the medium's own, the site's, the
/// administrator's last. The spec's rules keep the administrator from setting the medium's own.
#[must_use]
pub fn media_variables(input: &VariablesInput) -> MediaVariables {
    let mut variables = MediaVariables::new();
    let mut set = |name: &str, value: &str| variables.set(name, Secret::from(value));
    set("_SMSMediaGuid", &input.media_id.to_string());
    set("_SMSTSMediaType", "OEMMedia");
    set("_SMSTSLaunchMode", "HD");
    set("_SMSTSSiteCode", &input.site_code);
    set("_SMSTSBootMediaPackageID", input.boot_image.as_str());
    set("_SMSTSBootMediaSourceVersion", &input.boot_image_version.to_string());
    set("_SMSTSHTTPPort", &port(&input.management_points, false).to_string());
    set("_SMSTSHTTPSPort", &port(&input.management_points, true).to_string());
    set(management_points_variable(input.mode), &joined(&input.management_points));
    if let Some(unknown) = &input.unknown_computers {
        set("_SMSTSx64UnknownMachineGUID", &unknown.x64);
        set("_SMSTSx86UnknownMachineGUID", &unknown.x86);
    }
    set("SMSTSAssignUsersMode", assign_users_mode(input.user_device_affinity));
    for (name, value) in [
        ("_SMSTSPublicRootKey", &input.trusted_root_key),
        ("_SMSTSBrandingTitle", &input.branding_title),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    if let Some(root) = &input.root_certificate {
        set(ROOT_CERTIFICATES_VARIABLE, &root_certificates(root));
    }
    if let Some(prestart) = &input.prestart {
        set(PRESTART_COMMAND_VARIABLE, &prestart.command);
        if let Some(package) = &prestart.package {
            set(PRESTART_PACKAGE_VARIABLE, package.as_str());
        }
    }
    variables.set("_SMSTSMediaPFX", Secret::new(hex::encode_upper(input.pfx.expose())));
    for (name, value) in &input.variables {
        variables.set(name, value.clone());
    }
    variables
}

const fn management_points_variable(mode: MediaMode) -> &'static str {
    match mode {
        MediaMode::Dynamic => "SMSTSLocationMPs",
        MediaMode::SiteBased => "SMSTSMP",
    }
}

/// `*` stands between several.
fn joined(points: &[ManagementPoint]) -> String {
    points.iter().map(ManagementPoint::as_str).collect::<Vec<_>>().join("*")
}

/// The port of the first management point of this scheme, else the scheme's own.
fn port(points: &[ManagementPoint], https: bool) -> u16 {
    let default = if https { 443 } else { 80 };
    points.iter().find(|point| point.is_https() == https).map_or(default, ManagementPoint::port)
}

/// Must agree with the setting in the certificate's registration record.
/// `UdaSetting` of a medium, from what its variables say: 0, 1 or 2.
#[must_use]
pub fn uda_setting(assign_users_mode: &str) -> u32 {
    match assign_users_mode.to_ascii_lowercase().as_str() {
        "auto" => 2,
        "pending" => 1,
        _ => 0,
    }
}

const fn assign_users_mode(affinity: UserDeviceAffinity) -> &'static str {
    match affinity {
        UserDeviceAffinity::DoNotAllow => "Disabled",
        UserDeviceAffinity::AdministratorApproval => "Pending",
        UserDeviceAffinity::AutoApproval => "Auto",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> VariablesInput {
        VariablesInput {
            media_id: MediaId::from_random([7; 16]),
            pfx: SecretBytes::new(vec![0x30, 0xAB]),
            site_code: "PS1".into(),
            mode: MediaMode::Dynamic,
            management_points: vec![
                "http://mp1.corp.example:8080".parse().unwrap(),
                "http://mp2.corp.example".parse().unwrap(),
            ],
            boot_image: "PS100005".parse().unwrap(),
            boot_image_version: 7,
            unknown_computers: None,
            user_device_affinity: UserDeviceAffinity::DoNotAllow,
            trusted_root_key: None,
            root_certificate: None,
            branding_title: None,
            prestart: None,
            variables: vec![("OSDTimeZone".into(), "UTC".into())],
        }
    }

    fn value<'a>(variables: &'a MediaVariables, name: &str) -> Option<&'a str> {
        variables.get(name).map(Secret::expose)
    }

    #[test]
    fn dynamic_media_list_their_management_points() {
        let variables = media_variables(&input());
        for (name, expected) in [
            ("_SMSMediaGuid", "{07070707-0707-4707-8707-070707070707}"),
            ("_SMSTSMediaType", "OEMMedia"),
            ("_SMSTSLaunchMode", "HD"),
            ("_SMSTSSiteCode", "PS1"),
            ("_SMSTSBootMediaPackageID", "PS100005"),
            ("_SMSTSBootMediaSourceVersion", "7"),
            ("_SMSTSHTTPPort", "8080"),
            ("_SMSTSHTTPSPort", "443"),
            ("SMSTSLocationMPs", "http://mp1.corp.example:8080*http://mp2.corp.example"),
            ("SMSTSAssignUsersMode", "Disabled"),
            ("_SMSTSMediaPFX", "30AB"),
            ("OSDTimeZone", "UTC"),
        ] {
            assert_eq!(value(&variables, name), Some(expected), "{name}");
        }
        assert_eq!(variables.len(), 12, "nothing else: {variables:?}");
    }

    #[test]
    fn site_based_media_name_one_management_point() {
        let mut input = input();
        input.mode = MediaMode::SiteBased;
        input.management_points = vec!["https://mp1.corp.example".parse().unwrap()];
        let variables = media_variables(&input);
        assert_eq!(value(&variables, "SMSTSMP"), Some("https://mp1.corp.example"));
        assert_eq!(value(&variables, "SMSTSLocationMPs"), None);
        assert_eq!(value(&variables, "_SMSTSHTTPSPort"), Some("443"));
    }

    #[test]
    fn options_add_their_variables() {
        let mut input = input();
        input.unknown_computers = Some(UnknownComputers { x64: "g64".into(), x86: "g86".into() });
        input.user_device_affinity = UserDeviceAffinity::AutoApproval;
        input.trusted_root_key = Some("0602".into());
        input.branding_title = Some("Contoso".into());
        input.prestart = Some(Prestart {
            command: "cmd /c prestart.cmd".into(),
            package: Some("PS100040".parse().unwrap()),
        });
        let variables = media_variables(&input);
        for (name, expected) in [
            ("_SMSTSx64UnknownMachineGUID", "g64"),
            ("_SMSTSx86UnknownMachineGUID", "g86"),
            ("SMSTSAssignUsersMode", "Auto"),
            ("_SMSTSPublicRootKey", "0602"),
            ("_SMSTSBrandingTitle", "Contoso"),
            (PRESTART_COMMAND_VARIABLE, "cmd /c prestart.cmd"),
            (PRESTART_PACKAGE_VARIABLE, "PS100040"),
        ] {
            assert_eq!(value(&variables, name), Some(expected), "{name}");
        }
    }
}
