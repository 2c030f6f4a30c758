//! AdminService answers: one file of JSON, read as every class that a build asks for.

use prestage_configmgr::admin_service::{
    AdminServiceAnswers, AppReference, AppRelation, Application, CiContent, DeploymentType,
    DistributionPointInfo, FlatReference, Package, PackageKind, PackageOnDp, Record, ReferenceDp,
    Row, TaskSequencePackage, UnknownComputers, UnknownSystem,
};

use crate::scratch::Scratch;

/// Any class will do: what a row is read as is the caller's choice.
const CLASS: &str = "SMS_Package";

pub(super) fn check(input: &[u8]) {
    let scratch = Scratch::new();
    scratch.write("wmi/SMS_Package.json", input);
    scratch.write("wmi/SMS_Package('PS100012').json", input);
    let Ok(folder) = AdminServiceAnswers::open(scratch.path()) else {
        panic!("a folder of two answers opens");
    };
    let mut rows = folder.rows(CLASS).unwrap_or_default();
    rows.extend(folder.instance_rows(CLASS).unwrap_or_default());
    for row in &rows {
        read(row);
    }
    let systems: Vec<_> = rows.iter().filter_map(|row| UnknownSystem::read(row).ok()).collect();
    let _ = UnknownComputers::of_site(&systems, "PS1");
}

fn read(row: &Row) {
    let _ = Application::read(row);
    let _ = Package::read(row, PackageKind::OsImage);
    for class in AppRelation::CLASSES {
        let _ = AppRelation::read(row, class);
    }
    all::<DeploymentType>(row);
    all::<CiContent>(row);
    all::<TaskSequencePackage>(row);
    all::<FlatReference>(row);
    all::<ReferenceDp>(row);
    all::<AppReference>(row);
    all::<DistributionPointInfo>(row);
    all::<PackageOnDp>(row);
}

/// An error is told in words, and those must come out too.
fn all<T: Record>(row: &Row) {
    if let Err(error) = T::read(row) {
        assert!(!error.to_string().is_empty());
    }
}
