//! `SMS_PackageBaseclass` and its kinds.

use serde::{Deserialize, Serialize};

use super::error::ExportError;
use super::images::{self, ImageIndex};
use super::row::Row;

/// What a package is, by class or by `PackageType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PackageKind {
    /// `SMS_Package`, 0.
    Package,
    /// `SMS_DriverPackage`, 3.
    DriverPackage,
    /// `SMS_TaskSequencePackage`, 4.
    TaskSequence,
    /// Software updates, 5.
    SoftwareUpdates,
    /// `SMS_ImagePackage`, 257.
    OsImage,
    /// `SMS_BootImagePackage`, 258.
    BootImage,
    /// `SMS_OperatingSystemInstallPackage`, 259.
    OsUpgrade,
    /// The package behind an application, 8; 512 as an object type.
    Application,
}

impl PackageKind {
    /// The classes that list packages, with the kind each lists.
    pub const CLASSES: [(&'static str, Self); 5] = [
        ("SMS_Package", Self::Package),
        ("SMS_DriverPackage", Self::DriverPackage),
        ("SMS_ImagePackage", Self::OsImage),
        ("SMS_BootImagePackage", Self::BootImage),
        ("SMS_OperatingSystemInstallPackage", Self::OsUpgrade),
    ];

    /// The kind of a `PackageType` or `ObjectType` (reference: section 3.3).
    pub fn from_type(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Package),
            3 => Some(Self::DriverPackage),
            4 => Some(Self::TaskSequence),
            5 => Some(Self::SoftwareUpdates),
            257 => Some(Self::OsImage),
            258 => Some(Self::BootImage),
            259 => Some(Self::OsUpgrade),
            8 | 512 => Some(Self::Application),
            _ => None,
        }
    }

    /// What a person calls it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::DriverPackage => "driver package",
            Self::TaskSequence => "task sequence",
            Self::SoftwareUpdates => "software update package",
            Self::OsImage => "OS image",
            Self::BootImage => "boot image",
            Self::OsUpgrade => "OS upgrade package",
            Self::Application => "application",
        }
    }
}

/// The processor architecture of a boot image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 0.
    X86,
    /// 9.
    X64,
    /// 12.
    Arm64,
}

impl Architecture {
    fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::X86),
            9 => Some(Self::X64),
            12 => Some(Self::Arm64),
            _ => None,
        }
    }
}

/// One package of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Package ID, upper case.
    pub id: String,
    /// What it is.
    pub kind: PackageKind,
    /// Display name; the ID if there is none.
    pub name: String,
    /// The version of the content that the site has now.
    pub source_version: Option<u32>,
    /// `PackageSize`, KiB.
    pub size_kib: Option<u64>,
    /// For boot images, where the class says.
    pub architecture: Option<Architecture>,
    /// The index of a boot image inside its WIM.
    pub image_index: Option<u32>,
    /// The images inside the WIM, as far as `ImageProperty` says.
    pub images: Vec<ImageIndex>,
}

impl Package {
    /// Reads an instance of a class whose packages are `kind`; the row's own `PackageType` decides
    /// where there is one, since base-class exports mix the kinds.
    pub fn read(row: &Row, kind: PackageKind) -> Result<Self, ExportError> {
        let id = row.required_text("PackageID")?.to_ascii_uppercase();
        let own = row.number("PackageType")?.and_then(PackageKind::from_type);
        let architecture = row.number("Architecture")?.and_then(Architecture::from_number);
        let property = row.text("ImageProperty")?;
        Ok(Self {
            name: row.text("Name")?.unwrap_or_else(|| id.clone()),
            id,
            kind: own.unwrap_or(kind),
            source_version: row.small_number("SourceVersion")?,
            size_kib: row.number("PackageSize")?,
            architecture,
            image_index: row.small_number("ImageIndex")?,
            images: property.as_deref().map(images::read).unwrap_or_default(),
        })
    }
}
