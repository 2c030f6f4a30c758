//! Distribution points, what is distributed to them, and unknown computers.

use serde::{Deserialize, Serialize};

use super::error::ExportError;
use super::row::{Record, Row};

/// The server in a NAL path, lower case:
/// `["Display=\\dp.fqdn\"]MSWNET:["SMS_SITE=PS1"]\\dp.fqdn\` names it as its last UNC part.
pub fn server_of_nal_path(path: &str) -> Option<String> {
    let tail = &path[path.rfind("\\\\")? + 2..];
    let server = tail.split('\\').next().unwrap_or_default().trim();
    (!server.is_empty()).then(|| server.to_ascii_lowercase())
}

/// `SMS_DistributionPointInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionPointInfo {
    /// Server name, lower case.
    pub server: String,
    /// Whether it is a pull distribution point.
    pub is_pull: bool,
}

impl Record for DistributionPointInfo {
    const CLASS: &'static str = "SMS_DistributionPointInfo";

    fn read(row: &Row) -> Result<Self, ExportError> {
        let nal = row.text("NALPath")?;
        let name = row.text("Name")?;
        let server = row.text("ServerName")?;
        let nal = nal.as_deref().and_then(server_of_nal_path);
        Ok(Self {
            server: match name.or(server).or(nal) {
                Some(name) => name.trim_matches('\\').to_ascii_lowercase(),
                None => row.required_text("Name")?,
            },
            is_pull: row.flag("IsPullDP")?.unwrap_or(false),
        })
    }
}

/// `SMS_DistributionPoint`: one package that is distributed to one distribution point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageOnDp {
    /// The package, upper case.
    pub package: String,
    /// Server name, lower case.
    pub server: Option<String>,
}

impl Record for PackageOnDp {
    const CLASS: &'static str = "SMS_DistributionPoint";

    fn read(row: &Row) -> Result<Self, ExportError> {
        Ok(Self {
            package: row.required_text("PackageID")?.to_ascii_uppercase(),
            server: row.text("ServerNALPath")?.as_deref().and_then(server_of_nal_path),
        })
    }
}

/// `SMS_R_UnknownSystem`: a record for computers that the site does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSystem {
    /// The GUID that such a computer bears.
    pub guid: Option<String>,
    /// `x64 Unknown Computer (…)` or `x86 Unknown Computer (…)`.
    pub name: Option<String>,
    /// The site.
    pub site_code: Option<String>,
    /// No longer in use.
    pub is_decommissioned: bool,
}

impl Record for UnknownSystem {
    const CLASS: &'static str = "SMS_R_UnknownSystem";

    fn read(row: &Row) -> Result<Self, ExportError> {
        let guid = match row.text("SMSUniqueIdentifier")? {
            Some(guid) => Some(guid),
            None => row.text("SMSID")?,
        };
        Ok(Self {
            guid,
            name: row.text("Name")?,
            site_code: row.text("SiteCode")?,
            is_decommissioned: row.flag("Decommissioned")?.unwrap_or(false),
        })
    }
}

/// The GUIDs that media for unknown computers carry, by architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownComputers {
    /// For x64, if the export has it.
    pub x64: Option<String>,
    /// For x86, if the export has it.
    pub x86: Option<String>,
}

impl UnknownComputers {
    /// Picks the records of a site, by name.
    pub fn of_site(systems: &[UnknownSystem], site_code: &str) -> Self {
        let guid = |architecture: &str| {
            let mut found = systems.iter().filter(|system| {
                !system.is_decommissioned
                    && system.site_code.as_deref().is_none_or(|c| c.eq_ignore_ascii_case(site_code))
                    && system
                        .name
                        .as_deref()
                        .is_some_and(|name| name.to_ascii_lowercase().starts_with(architecture))
            });
            found.find_map(|system| system.guid.clone())
        };
        Self { x64: guid("x64"), x86: guid("x86") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_paths_name_their_server_last() {
        let nal =
            "[\"Display=\\\\DP1.corp.example\\\"]MSWNET:[\"SMS_SITE=PS1\"]\\\\DP1.corp.example\\";
        assert_eq!(server_of_nal_path(nal).as_deref(), Some("dp1.corp.example"));
        assert_eq!(server_of_nal_path("dp1"), None);
    }
}
