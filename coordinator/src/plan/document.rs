//! The build plan: every input by version and hash, every generated value.
//!
//! The same plan gives the same bytes, on any number of workers, warm or cold. It is JSON, so that
//! people can read and keep it; its secret part is sealed.

use prestage_configmgr::distribution_point::ContentPlace;
use prestage_media::{certificate::CertificateKind, driver_inf::DriverUse};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{PackNames, RUN_BYTES, ZONE_DEFAULT};

/// The version of this document's form.
pub const PLAN_FORMAT: u32 = 1;

/// What a medium is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildPlan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The medium's name: the image's name in the WIM.
    pub name: String,
    /// The site's three-letter code.
    pub site_code: String,
    /// The site's live AdminService, where the media certificate is registered; none for an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_service: Option<String>,
    /// The task sequence that the medium is for.
    pub task_sequence: PlannedTaskSequence,
    /// The OS image, laid out in the root.
    pub os_image: PlannedImage,
    /// The boot image, whole.
    pub boot_image: PlannedImage,
    /// The boot image's network and storage drivers.
    #[serde(default)]
    pub boot_drivers: Vec<PlannedDriver>,
    /// Packages, driver packages and applications.
    pub contents: Vec<PlannedContent>,
    /// What is doubtful but not wrong.
    pub warnings: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Sums.
    pub totals: Totals,
    /// Where the medium goes: path or URL.
    pub output: String,
    /// How content is encoded.
    pub codec: PlannedCodec,
    /// Bytes above which a file is a pack of its own: see [`RUN_BYTES`].
    #[serde(default = "default_run_bytes")]
    pub run_bytes: u64,
    /// The trust zone whose packs it may use, and whose workers build it.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// Whether the WIM carries an integrity table.
    pub integrity_table: bool,
    /// Most MiB of each volume of a split medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_mib: Option<u32>,
    /// The medium's time stamp, a FILETIME.
    pub created: u64,
    /// The WIM's GUID, 32 hex digits.
    pub wim_guid: String,
    /// The media GUID (`_SMSMediaGuid`).
    pub media_guid: String,
    /// Names of the media variables, in order. Their values are in `sealed` only.
    pub variable_names: Vec<String>,
    /// Whether the medium asks for a password.
    pub password_protected: bool,
    /// Whether the medium runs unattended.
    pub unattended: bool,
    /// The media certificate: what the site is to be told.
    pub certificate: PlannedCertificate,
    /// How the medium behaves.
    #[serde(default)]
    pub media: PlannedMedia,
    /// What the user said of the medium.
    pub about: About,
    /// `Variables.dat`, sealed: see [`prestage_seal`].
    pub sealed: String,
    /// The certificate's PKCS#12, which its registration with the site needs, sealed too.
    pub sealed_pfx: String,
}

fn default_zone() -> String {
    ZONE_DEFAULT.into()
}

impl BuildPlan {
    /// What its packs are called.
    pub fn packs(&self) -> PackNames<'_> {
        PackNames { zone: &self.zone, codec: &self.codec }
    }
}

fn default_run_bytes() -> u64 {
    RUN_BYTES
}

/// How the medium behaves at the computer: what of it is no secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlannedMedia {
    /// `dynamic` or `site-based`.
    pub mode: String,
    /// In priority order.
    pub management_points: Vec<String>,
    /// Whether computers that the site does not know may use it.
    pub unknown_computers: bool,
    /// `do-not-allow`, `administrator-approval` or `auto-approval`.
    pub user_device_affinity: String,
    /// The same as the site numbers it: 0, 1 or 2.
    pub uda_setting: u32,
    /// The command that runs before policy is fetched.
    pub prestart: Option<PlannedPrestart>,
}

/// A driver in the boot image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedDriver {
    /// The name of its INF file.
    pub inf: String,
    /// What it is for.
    pub purpose: DriverUse,
    /// Whether it comes with Windows.
    pub in_box: bool,
    /// Who made it.
    pub provider: String,
    /// Its version.
    pub version: String,
}

/// The media certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCertificate {
    /// Made for the medium, or imported.
    pub kind: CertificateKind,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// SHA-1 of it, upper-case hexadecimal.
    pub thumbprint: String,
    /// Not valid before.
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    /// Not valid after.
    #[serde(with = "time::serde::rfc3339")]
    pub expiry: OffsetDateTime,
    /// The certificate itself, DER in hexadecimal. It is public.
    pub der: String,
}

/// The prestart command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedPrestart {
    /// Its command line; values of variables that occur in it are masked.
    pub command: String,
    /// Its package.
    pub package: Option<String>,
}

/// The wizard's media properties.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct About {
    /// Created by.
    pub created_by: String,
    /// Version.
    pub version: String,
    /// Comment.
    pub comment: String,
}

/// The task sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedTaskSequence {
    /// Package ID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Source version.
    pub version: u32,
}

/// An image package and the WIM file in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedImage {
    /// The package's content.
    #[serde(flatten)]
    pub content: PlannedContent,
    /// Image index in the WIM.
    pub index: u32,
    /// The WIM file's path in the package; the first part's of a split WIM.
    pub wim: String,
    /// Its size in bytes, all parts together.
    pub wim_bytes: u64,
    /// Its SHA-256, hex; of a split WIM, the SHA-256 of its parts' in order.
    pub wim_sha256: String,
    /// The parts of a split WIM in order; none when it is one file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PlannedPart>,
    /// Bytes of the image's contents, if they are encoded anew because the WIM's resources can't
    /// be taken over as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reencoded_bytes: Option<u64>,
    /// The image's name.
    pub image_name: String,
    /// `x64`, `x86` or `arm64`.
    pub architecture: String,
    /// Whether its links are relative to its root.
    pub rpfix: bool,
    /// The pack it becomes.
    pub pack: String,
}

/// A part of a split WIM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPart {
    /// Its path in the package.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, hex.
    pub sha256: String,
}

/// One content at one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedContent {
    /// Package ID, or an application's model name.
    pub object_id: String,
    /// `PS100012.3`, `Content_….1`.
    pub content_id: String,
    /// Its folder below `\SMS\PKG`; empty for the images.
    pub folder: String,
    /// What it is.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Source version.
    pub version: u32,
    /// Bytes of all files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// SHA-256 over its listing, hex: pins every file by path, size, hash, attributes and time.
    pub listing: String,
    /// The package hash that the site names.
    pub site_hash: Option<String>,
    /// Distribution points that hold it, in order of preference.
    pub distribution_points: Vec<String>,
    /// Where it lies there, in the same order: content libraries by path, or addresses.
    pub libraries: Vec<ContentPlace>,
    /// Why it is on the medium.
    pub reasons: Vec<String>,
    /// Whether all of it is in packs already.
    pub reused: bool,
}

/// How content is encoded: the codec's format and chunk size are those of the OS image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCodec {
    /// `fast`, `balanced` or `thorough`.
    pub profile: String,
    /// `lzx` or `xpress`.
    pub format: String,
    /// Bytes of one chunk.
    pub chunk_bytes: u32,
    /// Level on wimlib's scale.
    pub level: u32,
}

/// Sums over the plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes of all content, the images' WIM files among them.
    pub content_bytes: u64,
    /// Bytes of the OS image's WIM, which are taken over compressed.
    pub spliced_bytes: u64,
    /// Bytes that are still to be encoded.
    pub to_encode_bytes: u64,
    /// Bytes that are in packs already.
    pub reused_bytes: u64,
}

impl BuildPlan {
    /// Reads a plan, with one error that says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, PlanError> {
        let value: serde_json::Value = serde_json::from_slice(json)?;
        let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if format != u64::from(PLAN_FORMAT) {
            return Err(PlanError::OtherFormat { format });
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The plan as JSON for people.
    pub fn to_json(&self) -> Result<Vec<u8>, PlanError> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// Why a plan can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not a plan, or damaged.
    #[error("the plan can't be read: {0}; save it again with 'prestage plan --save'")]
    NotJson(#[from] serde_json::Error),
    /// A plan of another release.
    #[error(
        "the plan has format {format}, this release reads format {PLAN_FORMAT}; \
         make it again with 'prestage plan --save'"
    )]
    OtherFormat {
        /// What it says.
        format: u64,
    },
}
