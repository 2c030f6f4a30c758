//! Applications, their deployment types, contents and relations.

use super::error::ExportError;
use super::row::{Record, Row};

/// `SMS_Application` or `SMS_ApplicationLatest`, one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// `CI_ID`, another for each revision.
    pub ci_id: u64,
    /// `ScopeId_…/Application_…`, the same for all revisions.
    pub model_name: String,
    /// `LocalizedDisplayName`; the model name if there is none.
    pub name: String,
    /// The package behind its contents, upper case.
    pub package_id: Option<String>,
    /// `SDMPackageVersion`, the revision.
    pub revision: u64,
    /// Whether it says that it has content.
    pub has_content: Option<bool>,
    /// `IsLatest`.
    pub is_latest: Option<bool>,
    /// `IsExpired`: retired in the console.
    pub is_retired: bool,
    /// `IsSuperseded`.
    pub is_superseded: bool,
}

impl Application {
    /// Reads one row of either class.
    pub fn read(row: &Row) -> Result<Self, ExportError> {
        let model_name = row.required_text("ModelName")?;
        Ok(Self {
            ci_id: row.required_number("CI_ID")?,
            name: row.text("LocalizedDisplayName")?.unwrap_or_else(|| model_name.clone()),
            model_name,
            package_id: row.text("PackageID")?.map(|id| id.to_ascii_uppercase()),
            revision: row.number("SDMPackageVersion")?.unwrap_or(0),
            has_content: row.flag("HasContent")?,
            is_latest: row.flag("IsLatest")?,
            is_retired: row.flag("IsExpired")?.unwrap_or(false),
            is_superseded: row.flag("IsSuperseded")?.unwrap_or(false),
        })
    }
}

/// `SMS_DeploymentType`, one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentType {
    /// `CI_ID`.
    pub ci_id: Option<u64>,
    /// `ModelName`, the same for all revisions.
    pub model_name: Option<String>,
    /// The application's model name.
    pub app_model_name: String,
    /// `LocalizedDisplayName`.
    pub name: Option<String>,
    /// `Content_<guid>`, perhaps with `.<n>`.
    pub content_id: Option<String>,
    /// `SDMPackageVersion`, the revision.
    pub revision: u64,
    /// `IsLatest`.
    pub is_latest: Option<bool>,
}

impl Record for DeploymentType {
    const CLASS: &'static str = "SMS_DeploymentType";

    fn read(row: &Row) -> Result<Self, ExportError> {
        Ok(Self {
            ci_id: row.number("CI_ID")?,
            model_name: row.text("ModelName")?,
            app_model_name: row.required_text("AppModelName")?,
            name: row.text("LocalizedDisplayName")?,
            content_id: row.text("ContentId")?,
            revision: row.number("SDMPackageVersion")?.unwrap_or(0),
            is_latest: row.flag("IsLatest")?,
        })
    }
}

/// `SMS_CIToContent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiContent {
    /// `CI_ID` of a deployment type or an application.
    pub ci_id: Option<u64>,
    /// `Content_<guid>`, perhaps with `.<n>`.
    pub content_id: Option<String>,
    /// The version, `<n>`.
    pub version: Option<u32>,
    /// Content hash, hexadecimal.
    pub hash: Option<String>,
}

impl Record for CiContent {
    const CLASS: &'static str = "SMS_CIToContent";

    fn read(row: &Row) -> Result<Self, ExportError> {
        Ok(Self {
            ci_id: row.number("CI_ID")?,
            content_id: row.text("ContentUniqueID")?,
            version: row.small_number("ContentVersion")?,
            hash: row.text("ContentHash")?,
        })
    }
}

/// How one application relates to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The first needs the second.
    Dependence,
    /// The first works better with the second.
    Optional,
    /// The first supersedes the second.
    Supersedence,
    /// Anything else, which brings no content.
    Other,
}

/// `SMS_AppDependenceRelation`, its `_Flat`, or `SMS_AppRelation_Flat`: one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRelation {
    /// `FromApplicationCIID`.
    pub from_application: Option<u64>,
    /// `FromDeploymentTypeCIID`.
    pub from_deployment_type: Option<u64>,
    /// `ToApplicationCIID`.
    pub to_application: Option<u64>,
    /// `ToDeploymentTypeCIID`.
    pub to_deployment_type: Option<u64>,
    /// What the relation is.
    pub relation: Relation,
}

impl AppRelation {
    /// The classes that hold relations. The first two are dependences unless a row says otherwise.
    pub const CLASSES: [&'static str; 3] =
        ["SMS_AppDependenceRelation", "SMS_AppDependenceRelation_Flat", "SMS_AppRelation_Flat"];

    /// Reads one row of any of [`Self::CLASSES`] (reference: relation types, section 3.3).
    pub fn read(row: &Row, class: &str) -> Result<Self, ExportError> {
        let relation = match row.number("RelationType")? {
            Some(2 | 5) => Relation::Dependence,
            Some(4) => Relation::Optional,
            Some(6) => Relation::Supersedence,
            Some(_) => Relation::Other,
            None if class.starts_with("SMS_AppDependence") => Relation::Dependence,
            None => Relation::Other,
        };
        let id = |property| Ok(row.number(property)?.filter(|id| *id != 0));
        Ok(Self {
            from_application: id("FromApplicationCIID")?,
            from_deployment_type: id("FromDeploymentTypeCIID")?,
            to_application: id("ToApplicationCIID")?,
            to_deployment_type: id("ToDeploymentTypeCIID")?,
            relation,
        })
    }
}
