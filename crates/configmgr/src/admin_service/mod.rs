//! AdminService answers: the files of an export, their rows, and the classes a build asks for.

mod answers;
mod applications;
mod error;
mod export;
mod images;
mod live;
mod packages;
mod places;
mod questions;
mod registration;
mod row;
mod task_sequences;

pub use answers::AdminServiceAnswers;
pub use applications::{AppRelation, Application, CiContent, DeploymentType, Relation};
pub use error::ExportError;
pub use export::{ExportSummary, export};
pub use images::ImageIndex;
pub use live::{AdminService, AdminServiceError};
pub use packages::{Architecture, Package, PackageKind};
pub use places::{
    DistributionPointInfo, PackageOnDp, UnknownComputers, UnknownSystem, server_of_nal_path,
};
pub use registration::{Registered, RegistrationRecord};
pub use row::{Record, Row};
pub use task_sequences::{
    AppReference, DirectReference, FlatReference, ReferenceDp, TaskSequencePackage,
};
