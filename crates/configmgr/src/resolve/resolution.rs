//! What a request comes to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::admin_service::{Architecture, ImageIndex, UnknownComputers};
use crate::content_library::ContentListing;
use crate::distribution_point::ContentPlace;

/// Everything a medium needs of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The site.
    pub site_code: String,
    /// The address of the live AdminService; `None` for an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_service: Option<String>,
    /// The task sequence.
    pub task_sequence: ResolvedTaskSequence,
    /// The boot image.
    pub boot_image: ResolvedContent,
    /// The OS image.
    pub os_image: ResolvedContent,
    /// All other content, by kind and ID.
    pub contents: Vec<ResolvedContent>,
    /// What is likely to be wrong, but does not stop a build.
    pub warnings: Vec<Warning>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// The site's GUIDs for unknown computers, as far as the export has them.
    pub unknown_computers: UnknownComputers,
}

/// A task sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedTaskSequence {
    /// Package ID.
    pub id: String,
    /// Display name.
    pub name: String,
    /// `SourceVersion`; 0 if the export does not say.
    pub version: u32,
    /// Its boot image, if the export says.
    pub boot_image_id: Option<String>,
}

/// What a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentKind {
    /// An OS image. In `contents`: one that a step applies as a data image.
    OsImage,
    /// A boot image.
    BootImage,
    /// A package.
    Package,
    /// A driver package.
    DriverPackage,
    /// An OS upgrade package.
    OsUpgrade,
    /// The content of an application's deployment type.
    Application,
}

/// One content version, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedContent {
    /// Package ID, or application model name.
    pub object_id: String,
    /// `PS100012.3` or `Content_<guid>.1`.
    pub content_id: String,
    /// Folder under `\SMS\PKG`.
    pub folder: String,
    /// What it is.
    pub kind: ContentKind,
    /// Display name of the package or application.
    pub name: String,
    /// The version that the site has now.
    pub version: u32,
    /// Why it is carried.
    pub reasons: Vec<String>,
    /// The content hash as the site records it, upper-case hexadecimal.
    pub site_hash: Option<String>,
    /// Its files.
    pub listing: ContentListing,
    /// Who holds it, the preferred first; at least one.
    pub sources: Vec<ContentSource>,
    /// Of a boot image, where the site says.
    pub architecture: Option<Architecture>,
    /// The index of a boot image in its WIM, where the site says.
    pub image_index: Option<u32>,
    /// The images of a WIM, where the site says.
    pub images: Vec<ImageIndex>,
}

/// A distribution point that holds a content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentSource {
    /// Name of the distribution point.
    pub distribution_point: String,
    /// Where its contents lie.
    pub place: ContentPlace,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// The boot image is not the task sequence's.
    BootImageDiffers,
    /// The OS image is not referenced by the task sequence.
    OsImageNotReferenced,
    /// A package hash differs from the one computed here.
    PackageHash,
    /// A distribution point can't be used, or not for some content.
    DistributionPoint,
    /// The task sequence could be read only in part.
    TaskSequence,
    /// An application is retired or superseded, or lacks something.
    Application,
}

/// Something that is likely to be wrong, but does not stop a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// The package, application or distribution point.
    pub subject: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Warning {
    pub(super) fn new(kind: WarningKind, subject: &str, message: impl Into<String>) -> Self {
        Self { kind, subject: subject.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}
