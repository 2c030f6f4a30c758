//! What a build asks of a site: one list, for the live service and for exports.
//!
//! Reading is all that is asked for (but for the registration of a media certificate): an administrative
//! user with the security role *Read-only Analyst* over the objects concerned may do it.

use super::applications::{AppRelation, CiContent, DeploymentType};
use super::packages::PackageKind;
use super::places::{DistributionPointInfo, PackageOnDp, UnknownSystem};
use super::row::Record;
use super::task_sequences::{AppReference, FlatReference, ReferenceDp, TaskSequencePackage};

/// Which rows of a class concern a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them.
    All,
    /// Those of the task sequences concerned, which this property names.
    OfTaskSequence(&'static str),
    /// The current revisions.
    Latest,
    /// Those of the chosen distribution points, whose names this property contains.
    OnDistributionPoint(&'static str),
}

/// A class that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) class: &'static str,
    pub(super) scope: Scope,
    /// The properties that are read; a live site is asked for no others.
    pub(super) properties: &'static [&'static str],
}

const PACKAGE: &[&str] = &["PackageID", "Name", "PackageType", "SourceVersion", "PackageSize"];
const APPLICATION: &[&str] = &[
    "CI_ID",
    "ModelName",
    "LocalizedDisplayName",
    "PackageID",
    "SDMPackageVersion",
    "HasContent",
    "IsLatest",
    "IsExpired",
    "IsSuperseded",
];
const RELATION: &[&str] =
    &["FromApplicationCIID", "FromDeploymentTypeCIID", "ToApplicationCIID", "ToDeploymentTypeCIID"];
const RELATION_FLAT: &[&str] = &[
    "FromApplicationCIID",
    "FromDeploymentTypeCIID",
    "ToApplicationCIID",
    "ToDeploymentTypeCIID",
    "RelationType",
];

/// The classes, in the order in which they are asked for. Instances with lazy properties are asked for
/// besides: of [`TaskSequencePackage`], those that are concerned.
pub(super) fn questions() -> Vec<Question> {
    let all = |class, properties| Question { class, scope: Scope::All, properties };
    let mut questions =
        vec![all(TaskSequencePackage::CLASS, &["PackageID", "Name", "SourceVersion"])];
    questions.extend(PackageKind::CLASSES.iter().map(|(class, kind)| {
        let properties: &[&str] = match kind {
            PackageKind::BootImage => &[
                "PackageID",
                "Name",
                "PackageType",
                "SourceVersion",
                "PackageSize",
                "Architecture",
                "ImageIndex",
                "ImageProperty",
            ],
            PackageKind::OsImage => &[
                "PackageID",
                "Name",
                "PackageType",
                "SourceVersion",
                "PackageSize",
                "ImageProperty",
            ],
            _ => PACKAGE,
        };
        all(class, properties)
    }));
    let of = |class, property, properties| Question {
        class,
        scope: Scope::OfTaskSequence(property),
        properties,
    };
    questions.extend([
        of(
            FlatReference::CLASS,
            "PackageID",
            &["PackageID", "RefPackageID", "ObjectID", "ObjectName", "ObjectType", "Level"],
        ),
        of(
            ReferenceDp::CLASS,
            "TaskSequenceID",
            &["TaskSequenceID", "PackageID", "ServerNALPath", "SourceVersion", "Hash"],
        ),
        of(AppReference::CLASS, "PackageID", &["PackageID", "RefAppCI_ID", "RefAppModelName"]),
        Question {
            class: PackageOnDp::CLASS,
            scope: Scope::OnDistributionPoint("ServerNALPath"),
            properties: &["PackageID", "ServerNALPath"],
        },
        all(DistributionPointInfo::CLASS, &["NALPath", "Name", "ServerName", "IsPullDP"]),
        all("SMS_ApplicationLatest", APPLICATION),
        Question {
            class: DeploymentType::CLASS,
            scope: Scope::Latest,
            properties: &[
                "CI_ID",
                "ModelName",
                "AppModelName",
                "LocalizedDisplayName",
                "ContentId",
                "SDMPackageVersion",
                "IsLatest",
            ],
        },
        all(CiContent::CLASS, &["CI_ID", "ContentUniqueID", "ContentVersion", "ContentHash"]),
        all(UnknownSystem::CLASS, &["Name", "SMSUniqueIdentifier", "SiteCode", "Decommissioned"]),
    ]);
    questions.extend(AppRelation::CLASSES.map(|class| {
        let flat = class == "SMS_AppRelation_Flat";
        all(class, if flat { RELATION_FLAT } else { RELATION })
    }));
    questions
}

/// A value in an OData filter.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_asked_for_once_by_its_name() {
        let mut names: Vec<&str> = questions().iter().map(|question| question.class).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| name.starts_with("SMS_")));
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quoted("O'Neill"), "'O''Neill'");
    }
}
