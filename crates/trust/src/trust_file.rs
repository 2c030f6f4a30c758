//! What a coordinator goes by: its trust file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use time::Duration;

use crate::{Identity, Principal, Role, TrustError, authority::Authority, files, names};

const LARGEST_FILE_BYTES: u64 = 1 << 20;
const WORKER_HOURS_DEFAULT: f64 = 12.0;

/// A trust file. Paths in it are relative to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustFile {
    /// The domain of identities: certificates of another one are nobody's here.
    pub domain: String,
    /// The certificate and key that the coordinator shows.
    pub server: ServerTable,
    /// Who issues workers' certificates, and whose certificates name users and coordinators.
    pub authority: AuthorityTable,
    /// Other authorities.
    #[serde(default)]
    pub clients: ClientsTable,
    /// Who issues tokens for users, if anybody does.
    pub oidc: Option<OidcTable>,
    /// Who may do what. Workers may work without being named here; nobody else may do anything.
    #[serde(default, rename = "grant")]
    pub grants: Vec<Grant>,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTable {
    /// The chain, PEM, its own certificate first.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
    /// A name that all coordinators' certificates have, where they call each other by addresses that no
    /// certificate names.
    pub name: Option<String>,
}

/// `[authority]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityTable {
    /// Its certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM; without it nobody is enrolled here, and nothing is renewed.
    pub key: Option<PathBuf>,
    /// Certificates of the authority before or after this one: they are trusted like its own.
    #[serde(default)]
    pub also: Vec<PathBuf>,
    /// How long a worker's certificate counts. It is renewed after half of that.
    #[serde(default = "worker_hours_default")]
    pub worker_hours: f64,
}

fn worker_hours_default() -> f64 {
    WORKER_HOURS_DEFAULT
}

/// `[clients]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientsTable {
    /// Authorities whose certificates name users, by their subject: the organisation's own.
    #[serde(default)]
    pub authorities: Vec<PathBuf>,
}

/// `[oidc]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcTable {
    /// The issuer's URL, as tokens name it.
    pub issuer: String,
    /// Whom the tokens are for.
    pub audience: String,
    /// The claim that names the user [default: sub].
    #[serde(default = "name_claim_default")]
    pub name_claim: String,
    /// The claim that lists the user's groups [default: groups].
    #[serde(default = "groups_claim_default")]
    pub groups_claim: String,
    /// A private root that the issuer is trusted by.
    pub root: Option<PathBuf>,
}

fn name_claim_default() -> String {
    "sub".into()
}

fn groups_claim_default() -> String {
    "groups".into()
}

/// `[[grant]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Identities (`user/alice`, `subject/CN=Alice`, `oidc/alice`) and groups (`group/osd`).
    pub to: Vec<String>,
    /// What they may do.
    pub roles: BTreeSet<Role>,
}

impl TrustFile {
    /// Reads a trust file, and checks what can be checked of it alone.
    pub fn load(path: &Path) -> Result<Self, TrustError> {
        let wrong = |problem: String| TrustError::Content { path: path.into(), problem };
        let size = std::fs::metadata(path).map(|facts| facts.len()).unwrap_or(0);
        if size > LARGEST_FILE_BYTES {
            return Err(wrong(format!("it is larger than {LARGEST_FILE_BYTES} bytes")));
        }
        let text = files::read(path)?;
        let text = std::str::from_utf8(&text).map_err(|_| wrong("it is not UTF-8".into()))?;
        let mut file: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        names::checked(&file.domain)?;
        let hours = file.authority.worker_hours;
        if !(hours > 0.0 && hours <= 24.0 * 365.0) {
            return Err(wrong("authority.worker_hours must be between 0 and 8760".into()));
        }
        for to in file.grants.iter().flat_map(|grant| &grant.to) {
            check_grantee(to).map_err(wrong)?;
        }
        file.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(file)
    }

    fn resolve(&mut self, folder: &Path) {
        let mut paths = vec![
            &mut self.server.certificate,
            &mut self.server.key,
            &mut self.authority.certificate,
        ];
        paths.extend(&mut self.authority.key);
        paths.extend(&mut self.authority.also);
        paths.extend(&mut self.clients.authorities);
        paths.extend(self.oidc.iter_mut().flat_map(|oidc| &mut oidc.root));
        for path in paths {
            *path = folder.join(&*path);
        }
    }

    /// All files that it names: when one of them changes it is read anew.
    pub fn named(&self) -> Vec<&Path> {
        let mut paths = vec![&self.server.certificate, &self.server.key];
        paths.push(&self.authority.certificate);
        paths.extend(&self.authority.key);
        paths.extend(&self.authority.also);
        paths.extend(&self.clients.authorities);
        paths.extend(self.oidc.iter().flat_map(|oidc| &oidc.root));
        paths.into_iter().map(PathBuf::as_path).collect()
    }

    /// The authority with its key, if it is here.
    pub fn authority(&self) -> Result<Option<Authority>, TrustError> {
        let table = &self.authority;
        let load = |key: &PathBuf| Authority::load(&self.domain, &table.certificate, key);
        table.key.as_ref().map(load).transpose()
    }

    /// How long a worker's certificate counts.
    pub fn worker_lifetime(&self) -> Duration {
        Duration::seconds_f64(self.authority.worker_hours * 3600.0)
    }

    /// Who may do what.
    pub fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        for grant in &self.grants {
            for to in &grant.to {
                roles.0.entry(to.clone()).or_default().extend(&grant.roles);
            }
        }
        roles
    }
}

/// What is granted, by whom it is granted to.
#[derive(Clone, Debug, Default)]
pub struct Roles(BTreeMap<String, BTreeSet<Role>>);

impl Roles {
    /// The roles of somebody: none, unless something says so.
    pub fn of(&self, principal: &Principal) -> BTreeSet<Role> {
        match &principal.identity {
            Identity::Local => Role::ALL.into(),
            Identity::Worker { .. } => [Role::Work].into(),
            // It speaks for others, whose roles count.
            Identity::Coordinator(_) => BTreeSet::new(),
            Identity::User(_) | Identity::Subject(_) | Identity::Oidc(_) => {
                let own = principal.identity.to_string();
                let groups = principal.groups.iter().map(|group| format!("group/{group}"));
                let granted = std::iter::once(own).chain(groups);
                granted.filter_map(|name| self.0.get(&name)).flatten().copied().collect()
            }
        }
    }
}

fn check_grantee(to: &str) -> Result<(), String> {
    match to.split_once('/') {
        Some(("user" | "subject" | "oidc" | "group", name)) if !name.is_empty() => Ok(()),
        _ => Err(format!(
            "grant.to: '{to}' is nobody: user/NAME, subject/NAME, oidc/NAME or group/NAME is expected"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<TrustFile, TrustError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trust.toml");
        std::fs::write(&path, text).unwrap();
        TrustFile::load(&path)
    }

    const BASE: &str = "domain = 'd.example'\n[server]\ncertificate = 'c.pem'\nkey = 'c.key'\n\
        [authority]\ncertificate = 'a.pem'\n";

    #[test]
    fn nobody_may_do_what_is_not_granted() {
        let text = format!(
            "{BASE}[[grant]]\nto = ['user/alice', 'group/osd']\nroles = ['read', 'submit']\n\
             [[grant]]\nto = ['user/alice']\nroles = ['seal']\n"
        );
        let roles = load(&text).unwrap().roles();
        let who = |identity, groups: &[&str]| {
            let groups = groups.iter().map(|&group| group.to_owned()).collect();
            roles.of(&Principal { identity, groups, until: None })
        };
        let user = |name: &str| Identity::User(name.into());
        assert_eq!(who(user("alice"), &[]), [Role::Read, Role::Submit, Role::Seal].into());
        assert_eq!(who(user("bob"), &["osd"]), [Role::Read, Role::Submit].into());
        assert_eq!(who(user("bob"), &[]), BTreeSet::new());
        assert_eq!(who(Identity::Subject("alice".into()), &[]), BTreeSet::new());
        // A group of that name is no user, and the other way round.
        assert_eq!(who(user("osd"), &[]), BTreeSet::new());
        assert_eq!(who(Identity::Coordinator("c".into()), &[]), BTreeSet::new());
        let worker = Identity::Worker { zone: "z".into(), name: "w".into() };
        assert_eq!(who(worker, &["osd"]), [Role::Work].into());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, said) in [
            (format!("{BASE}[[grant]]\nto = ['alice']\nroles = ['read']\n"), "user/NAME"),
            (format!("{BASE}[[grant]]\nto = ['user/a']\nroles = ['root']\n"), "root"),
            (format!("{BASE}worker_hours = 0\n"), "worker_hours"),
            (format!("{BASE}color = 1\n"), "color"),
            (BASE.replace("d.example", "d/example"), "d/example"),
        ] {
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let file = load(BASE).unwrap();
        assert!(file.named().iter().all(|path| path.is_absolute()), "{:?}", file.named());
    }
}
