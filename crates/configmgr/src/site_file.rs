//! `site.toml`.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteFile {
    pub(crate) site: SiteTable,
    #[serde(default)]
    pub(crate) distribution_point: Vec<DistributionPointTable>,
    #[serde(default)]
    pub(crate) management_point: Vec<ManagementPointTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteTable {
    pub(crate) code: String,
    pub(crate) admin_service: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistributionPointTable {
    pub(crate) name: String,
    pub(crate) content_library: Option<String>,
    pub(crate) url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagementPointTable {
    pub(crate) url: String,
}
