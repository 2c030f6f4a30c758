//! AdminService answers: the files of an export, their rows, and the classes a build asks for.

mod applications;
mod error;
mod folder;
mod images;
mod packages;
mod places;
mod row;
mod task_sequences;

pub use applications::{AppRelation, Application, CiContent, DeploymentType, Relation};
pub use error::ExportError;
pub use folder::AdminServiceFolder;
pub use images::ImageIndex;
pub use packages::{Architecture, Package, PackageKind};
pub use places::{
    DistributionPointInfo, PackageOnDp, UnknownComputers, UnknownSystem, server_of_nal_path,
};
pub use row::{Record, Row};
pub use task_sequences::{
    AppReference, DirectReference, FlatReference, ReferenceDp, TaskSequencePackage,
};
