//! The media spec as data. Its JSON has the shape of the TOML file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{ApplicationId, ManagementPoint, PackageId};
use prestage_secret::SecretSource;

/// What the media password is called among a spec's secrets.
pub const MEDIA_PASSWORD: &str = "security.password";
/// What the content of the PKCS#12 file is called among a spec's secrets.
pub const PKCS12_FILE: &str = "security.certificate.pkcs12.file";
/// What its password is called.
pub const PKCS12_PASSWORD: &str = "security.certificate.pkcs12.password";

/// How long a self-signed certificate lives when the spec does not say: as the console's.
const DEFAULT_CERTIFICATE_LIFE: Duration = Duration::days(365);

/// One prestaged medium, as the administrator wants it.
///
/// `serde` gives the shape only; [`MediaSpec::from_json`] checks the rules too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaSpec {
    /// What people call this medium; also the image name in the WIM.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// The task sequence whose content goes on the medium.
    pub task_sequence: PackageId,
    /// The boot image; should be the task sequence's own.
    pub boot_image: PackageId,
    /// The OS image that is laid out in the root of the medium.
    pub os_image: OsImage,
    /// Applications besides those that the task sequence references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ApplicationId>,
    /// Packages besides those that the task sequence references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageId>,
    /// Driver packages besides those that the task sequence references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub driver_packages: Vec<PackageId>,
    /// Add what the applications depend on, transitively. Default: false.
    #[serde(default)]
    pub detect_application_dependencies: bool,
    /// Names of distribution points, in order of preference; at least one.
    #[schemars(length(min = 1))]
    pub distribution_points: Vec<String>,
    /// How the medium finds its site, and what it says about itself.
    pub media: MediaSettings,
    /// Who may use it. Default: see [`Security`].
    #[serde(default)]
    pub security: Security,
    /// The administrator's variables and command. Default: none.
    #[serde(default)]
    pub customization: Customization,
    /// What is written and where. Default: see [`Output`].
    #[serde(default)]
    pub output: Output,
}

/// The OS image and which of its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OsImage {
    /// The OS image package.
    pub package: PackageId,
    /// Which image in the package's WIM, from 1. Default: 1.
    #[serde(default = "first_index")]
    #[schemars(range(min = 1))]
    pub index: u32,
}

/// The first image of a WIM.
pub(super) const fn first_index() -> u32 {
    1
}

/// How a medium finds its management point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediaMode {
    /// It asks any of several management points, in order, for the nearest one.
    Dynamic,
    /// It always uses the one that it names.
    SiteBased,
}

impl MediaMode {
    /// As the spec writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::SiteBased => "site-based",
        }
    }
}

/// The section `[media]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// Dynamic or site-based.
    pub mode: MediaMode,
    /// Dynamic: at least one, in priority order. Site-based: exactly one.
    #[schemars(length(min = 1))]
    pub management_points: Vec<ManagementPoint>,
    /// No prompt for network settings or optional task sequences; a media password is still asked
    /// for. Default: false.
    #[serde(default)]
    pub unattended: bool,
    /// Who made it; at most 50 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub created_by: Option<String>,
    /// Which version of the medium this is; at most 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub version: Option<String>,
    /// Anything else; at most 127 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127))]
    pub comment: Option<String>,
}

/// The section `[security]`. Default: no unknown computers, a self-signed certificate for a year, no
/// user device affinity. There is no default for the password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// Computers that the site does not know may use the medium. Default: false.
    #[serde(default)]
    pub unknown_computer_support: bool,
    /// Where the media password comes from. Needed, unless `no_password` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<MediaPassword>,
    /// The medium has no password on purpose: whoever has it can read its variables and its
    /// certificate, which are encrypted with a public key. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_password: bool,
    /// The certificate that the medium shows to the management point.
    #[serde(default)]
    pub certificate: MediaCertificate,
    /// Whether users become primary users of the computer. Default: do-not-allow.
    #[serde(default)]
    pub user_device_affinity: UserDeviceAffinity,
}

/// Where the media password comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MediaPassword {
    /// The administrator has it.
    Given(SecretSource),
    /// It is made for each plan.
    Generated(GeneratedPassword),
}

/// `{ generate = true }`: a long random password for each plan, shown once or kept in a file as the
/// command line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratedPassword {
    /// Always true.
    pub generate: bool,
}

/// The certificate that the medium shows to the management point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MediaCertificate {
    /// Made for this medium; for HTTP management points only.
    SelfSigned {
        /// Not valid before. Default: when the plan is made.
        #[serde(
            default,
            with = "time::serde::rfc3339::option",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        start: Option<OffsetDateTime>,
        /// Not valid after. Default: 365 days after the start.
        #[serde(
            default,
            with = "time::serde::rfc3339::option",
            skip_serializing_if = "Option::is_none"
        )]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        expiry: Option<OffsetDateTime>,
    },
    /// From a public key infrastructure; may use HTTPS management points.
    Pkcs12 {
        /// The PKCS#12 file.
        file: PathBuf,
        /// Where its password comes from.
        password: SecretSource,
    },
}

impl Default for MediaCertificate {
    fn default() -> Self {
        Self::SelfSigned { start: None, expiry: None }
    }
}

impl MediaCertificate {
    /// Start and expiry of a self-signed certificate in whole seconds, with the defaults filled in
    /// for a plan that is made `now`. `None` for an imported one, which brings its own.
    #[must_use]
    pub fn validity(&self, now: OffsetDateTime) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let Self::SelfSigned { start, expiry } = self else {
            return None;
        };
        let start = start.unwrap_or(now).truncate_to_second();
        let expiry = expiry.unwrap_or_else(|| start.saturating_add(DEFAULT_CERTIFICATE_LIFE));
        Some((start, expiry.truncate_to_second()))
    }
}

/// Whether users become primary users of the computer (the wizard's "user device affinity").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserDeviceAffinity {
    /// Never.
    #[default]
    DoNotAllow,
    /// When an administrator approves.
    AdministratorApproval,
    /// At once.
    AutoApproval,
}

impl UserDeviceAffinity {
    /// As the spec writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoNotAllow => "do-not-allow",
            Self::AdministratorApproval => "administrator-approval",
            Self::AutoApproval => "auto-approval",
        }
    }

    /// `UdaSetting` of the registration record: 0, 1 or 2.
    #[must_use]
    pub const fn setting(self) -> u32 {
        match self {
            Self::DoNotAllow => 0,
            Self::AdministratorApproval => 1,
            Self::AutoApproval => 2,
        }
    }
}

/// The section `[customization]`. Default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Customization {
    /// Task sequence variables, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, VariableValue>,
    /// A command that runs before policy is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prestart: Option<Prestart>,
}

/// The value of a variable, or where it comes from. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum VariableValue {
    /// The value itself.
    Text(String),
    /// A secret from elsewhere.
    Secret(SecretSource),
}

impl fmt::Debug for VariableValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::Secret(source) => f.debug_tuple("Secret").field(source).finish(),
        }
    }
}

/// The prestart command. Values of variables may stand in its line, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prestart {
    /// The command line.
    #[schemars(length(min = 1))]
    pub command: String,
    /// The package that holds what the command needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageId>,
}

impl std::fmt::Debug for Prestart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prestart").field("package", &self.package).finish_non_exhaustive()
    }
}

/// How hard new content is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodecProfile {
    /// Least time.
    Fast,
    /// The default.
    #[default]
    Balanced,
    /// Least space.
    Thorough,
}

impl CodecProfile {
    /// Its name in a spec and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Thorough => "thorough",
        }
    }
}

/// The section `[output]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Path, or URL with the scheme file, s3, az or gs. May be left out when the command line
    /// names the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where temporary data goes. Default: the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging_folder: Option<PathBuf>,
    /// Write the WIM's integrity table. Default: true.
    #[serde(default = "yes")]
    pub integrity_table: bool,
    /// Split the medium into .swm parts of at most so many MiB, as for FAT32, which holds no
    /// larger file than 4095. The parts are named after the file: x.swm, x2.swm, … Default: not
    /// split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 4095))]
    pub split_mib: Option<u32>,
    /// How hard new content is compressed. Default: balanced.
    #[serde(default)]
    pub codec: CodecProfile,
}

const fn yes() -> bool {
    true
}

impl Default for Output {
    fn default() -> Self {
        Self {
            file: None,
            staging_folder: None,
            integrity_table: true,
            split_mib: None,
            codec: CodecProfile::default(),
        }
    }
}

impl MediaSpec {
    /// Every secret that the spec names: what the spec calls it, and where it is read from.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, SecretSource)> {
        let mut secrets = Vec::new();
        if let Some(MediaPassword::Given(source)) = &self.security.password {
            secrets.push((MEDIA_PASSWORD.to_owned(), source.clone()));
        }
        if let MediaCertificate::Pkcs12 { password, .. } = &self.security.certificate {
            secrets.push((PKCS12_PASSWORD.to_owned(), password.clone()));
        }
        for (name, value) in &self.customization.variables {
            if let VariableValue::Secret(source) = value {
                secrets.push((format!("customization.variables.{name}"), source.clone()));
            }
        }
        secrets
    }

    /// The PKCS#12 file that the spec names; its content is a secret called
    /// [`PKCS12_FILE`].
    #[must_use]
    pub fn certificate_file(&self) -> Option<&Path> {
        match &self.security.certificate {
            MediaCertificate::Pkcs12 { file, .. } => Some(file),
            MediaCertificate::SelfSigned { .. } => None,
        }
    }

    /// Whether a media password is to be made for each plan.
    #[must_use]
    pub fn generates_password(&self) -> bool {
        matches!(self.security.password, Some(MediaPassword::Generated(_)))
    }
}
