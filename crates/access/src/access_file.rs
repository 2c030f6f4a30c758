//! The operator's access file: for each server who Prestage is there, whom it trusts, and how hard it may
//! lean on it. It names secrets, it never holds them.

use std::path::{Path, PathBuf};

use prestage_secret::SecretSource;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::error::AccessError;
use crate::limits::LimitsTable;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessFile {
    #[serde(default)]
    pub(crate) server: Vec<ServerTable>,
}

/// One `[[server]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTable {
    /// A host name, or `*.` and the end of one.
    pub(crate) host: String,
    #[serde(default)]
    pub(crate) authentication: Authentication,
    pub(crate) user: Option<String>,
    #[serde(default, deserialize_with = "named")]
    pub(crate) password: Option<SecretSource>,
    #[serde(default, deserialize_with = "named")]
    pub(crate) token: Option<SecretSource>,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) kdc: Option<String>,
    #[serde(default)]
    pub(crate) limits: LimitsTable,
}

/// How Prestage says who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authentication {
    /// Not at all, but for a client certificate.
    #[default]
    Anonymous,
    /// Kerberos if a KDC is named, else NTLM, wrapped as Windows does it.
    Negotiate,
    /// Kerberos alone.
    Kerberos,
    /// NTLM alone.
    Ntlm,
    /// A token, as a cloud management gateway wants it.
    Bearer,
}

/// A certificate with its key, for servers that want one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCertificate {
    pub(crate) file: PathBuf,
    #[serde(default, deserialize_with = "named")]
    pub(crate) password: Option<SecretSource>,
}

/// A secret's source. What stands there instead may be the secret itself, and is never repeated.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretSource>, D::Error> {
    let found = toml::Value::deserialize(deserializer)?;
    found.try_into().map(Some).map_err(|_| {
        D::Error::custom(
            "a secret must not stand in this file: write { env = \"NAME\" } or { file = \"path\" }",
        )
    })
}

impl AccessFile {
    /// Reads and checks the file. Relative paths in it are taken from its folder.
    pub(crate) fn load(path: &Path) -> Result<Self, AccessError> {
        let wrong = |problem: String| AccessError::File { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut file: Self = toml::from_str(&text).map_err(|error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
            wrong(format!("line {}: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        let problems: Vec<String> = file.server.iter().flat_map(ServerTable::problems).collect();
        if !problems.is_empty() {
            return Err(wrong(problems.join("; ")));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        file.server.iter_mut().for_each(|server| server.resolve_against(folder));
        Ok(file)
    }

    /// What is said of a host: the first entry that fits.
    pub(crate) fn server(&self, host: &str) -> ServerTable {
        let fits = |table: &&ServerTable| match table.host.strip_prefix('*') {
            Some(end) => host.to_lowercase().ends_with(&end.to_lowercase()),
            None => table.host.eq_ignore_ascii_case(host),
        };
        self.server.iter().find(fits).cloned().unwrap_or_default()
    }
}

impl ServerTable {
    fn problems(&self) -> Vec<String> {
        use Authentication::{Anonymous, Bearer, Kerberos, Negotiate, Ntlm};
        let mut problems = Vec::new();
        let mut wrong = |is: bool, what: &str| {
            if is {
                problems.push(format!("server {:?}: {what}", self.host));
            }
        };
        let windows = matches!(self.authentication, Negotiate | Kerberos | Ntlm);
        wrong(self.host.trim().is_empty(), "host is empty; name a server, or *. and a domain");
        wrong(
            windows && (self.user.is_none() || self.password.is_none()),
            "user and password are needed for Windows authentication",
        );
        wrong(
            self.authentication == Kerberos && self.kdc.is_none(),
            "kdc is needed for Kerberos, like tcp://dc1.corp.example:88",
        );
        wrong(self.authentication == Bearer && self.token.is_none(), "token is needed for bearer");
        wrong(
            self.client_certificate
                .as_ref()
                .is_some_and(|certificate| certificate.password.is_none()),
            "client_certificate.password is missing",
        );
        wrong(
            self.authentication == Anonymous && (self.password.is_some() || self.token.is_some()),
            "there is a password or token, and authentication does not say what it is for",
        );
        if let Err(problem) = self.limits.check() {
            wrong(true, &problem);
        }
        problems
    }

    fn resolve_against(&mut self, folder: &Path) {
        let sources = self.password.iter_mut().chain(&mut self.token);
        let certificate = self.client_certificate.iter_mut();
        for source in sources.chain(certificate.flat_map(|certificate| &mut certificate.password)) {
            *source = source.clone().resolved_against(folder);
        }
        if let Some(certificate) = &mut self.client_certificate {
            certificate.file = folder.join(&certificate.file);
        }
        if let Some(ca) = &mut self.ca {
            *ca = folder.join(&ca);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<AccessFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, text).unwrap();
        AccessFile::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_server_that_fits_is_taken() {
        let file = "[[server]]\nhost = \"dp1.corp.example\"\nlimits = { connections = 3 }\n\
            [[server]]\nhost = \"*.corp.example\"\nauthentication = \"ntlm\"\nuser = 'CORP\\a'\npassword = { env = \"P\" }\n";
        let file = load(file).unwrap();
        assert_eq!(file.server("DP1.corp.example").authentication, Authentication::Anonymous);
        assert_eq!(file.server("mp.corp.example").authentication, Authentication::Ntlm);
        assert_eq!(file.server("corp.example").host, "", "nothing is said of it");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_and_nothing_secret() {
        let file = "[[server]]\nhost = \"a\"\nauthentication = \"negotiate\"\n[[server]]\nhost = \"b\"\nauthentication = \"bearer\"\n";
        let told = load(file).unwrap_err();
        assert!(
            told.contains("\"a\": user and password") && told.contains("\"b\": token"),
            "{told}"
        );
        let told = load("[[server]]\nhost = \"a\"\npasword = { env = \"P\" }\n").unwrap_err();
        assert!(told.contains("line 3") && told.contains("pasword"), "{told}");
        let told = load("[[server]]\nhost = \"a\"\npassword = \"hunter2\"\n").unwrap_err();
        assert!(told.contains("line 3") && !told.contains("hunter2"), "{told}");
    }
}
