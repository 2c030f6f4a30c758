//! `SMS_TaskSequencePackage` and the classes that list what it references.

use super::error::ExportError;
use super::places::server_of_nal_path;
use super::row::{Record, Row};

/// `SMS_TaskSequence_Reference`, embedded in the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectReference {
    /// A package ID, or an application's model name.
    pub package: String,
    /// The program of a package.
    pub program: Option<String>,
}

/// `SMS_TaskSequencePackage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSequencePackage {
    /// Package ID, upper case.
    pub id: String,
    /// Display name.
    pub name: String,
    /// `SourceVersion`.
    pub source_version: Option<u32>,
    /// Lazy: the boot image.
    pub boot_image_id: Option<String>,
    /// Lazy: the steps, as XML.
    pub sequence: Option<String>,
    /// What it references directly.
    pub references: Vec<DirectReference>,
}

impl Record for TaskSequencePackage {
    const CLASS: &'static str = "SMS_TaskSequencePackage";

    fn read(row: &Row) -> Result<Self, ExportError> {
        let id = row.required_text("PackageID")?.to_ascii_uppercase();
        let mut references = Vec::new();
        for reference in row.rows("References")? {
            references.push(DirectReference {
                package: reference.required_text("Package")?,
                program: reference.text("Program")?,
            });
        }
        Ok(Self {
            name: row.text("Name")?.unwrap_or_else(|| id.clone()),
            id,
            source_version: row.small_number("SourceVersion")?,
            boot_image_id: row.text("BootImageID")?.map(|id| id.to_ascii_uppercase()),
            sequence: row.text("Sequence")?,
            references,
        })
    }
}

/// `SMS_TaskSequencePackageReference_Flat`: also what is referenced indirectly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlatReference {
    /// The task sequence, upper case.
    pub task_sequence: String,
    /// The package referenced, upper case.
    pub package: Option<String>,
    /// The object referenced: a package ID, or an application's model name.
    pub object: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// `ObjectType`.
    pub object_type: Option<u64>,
    /// 0 is direct.
    pub level: Option<u64>,
}

impl Record for FlatReference {
    const CLASS: &'static str = "SMS_TaskSequencePackageReference_Flat";

    fn read(row: &Row) -> Result<Self, ExportError> {
        Ok(Self {
            task_sequence: row.required_text("PackageID")?.to_ascii_uppercase(),
            package: row.text("RefPackageID")?.map(|id| id.to_ascii_uppercase()),
            object: row.text("ObjectID")?,
            name: row.text("ObjectName")?,
            object_type: row.number("ObjectType")?,
            level: row.number("Level")?,
        })
    }
}

/// `SMS_TaskSequenceReferenceDps`: which distribution point has which version, and the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceDp {
    /// The package, upper case.
    pub package: String,
    /// Server name of the distribution point, lower case.
    pub server: Option<String>,
    /// `SourceVersion`.
    pub source_version: Option<u32>,
    /// Content hash, hexadecimal.
    pub hash: Option<String>,
}

impl Record for ReferenceDp {
    const CLASS: &'static str = "SMS_TaskSequenceReferenceDps";

    fn read(row: &Row) -> Result<Self, ExportError> {
        Ok(Self {
            package: row.required_text("PackageID")?.to_ascii_uppercase(),
            server: row.text("ServerNALPath")?.as_deref().and_then(server_of_nal_path),
            source_version: row.small_number("SourceVersion")?,
            hash: row.text("Hash")?,
        })
    }
}

/// `SMS_TaskSequenceAppReferencesInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppReference {
    /// The task sequence, upper case.
    pub task_sequence: String,
    /// The application's `CI_ID`.
    pub ci_id: Option<u64>,
    /// Its model name.
    pub model_name: Option<String>,
}

impl Record for AppReference {
    const CLASS: &'static str = "SMS_TaskSequenceAppReferencesInfo";

    fn read(row: &Row) -> Result<Self, ExportError> {
        Ok(Self {
            task_sequence: row.required_text("PackageID")?.to_ascii_uppercase(),
            ci_id: row.number("RefAppCI_ID")?,
            model_name: row.text("RefAppModelName")?,
        })
    }
}
