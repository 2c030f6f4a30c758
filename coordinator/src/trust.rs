//! What this coordinator goes by when somebody comes: its trust file as it is now, and who was revoked.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use prestage_oidc::{Issuer, OidcSettings};
use prestage_trust::{
    OidcTable, Principal, Role, TrustError, TrustFile,
    authority::Authority,
    client::{ClientTrust, CredentialFiles},
    server::ServerEnd,
};
use tokio_util::sync::CancellationToken;

use crate::state::{IdentityStore, StateError, StateStore};

/// How often files are looked at for changes, and revocations are read: whoever is revoked is out
/// after this time at every coordinator.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// By how much an issuer's clock may differ from ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// A connection is ended gracefully after this time, so that whoever holds it proves anew who they are.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// A trust file and all that it names, read at one time.
pub(crate) struct Loaded {
    pub file: TrustFile,
    pub end: ServerEnd,
    pub authority: Option<Authority>,
    /// Who issues tokens for users, if anybody does.
    pub issuer: Option<Arc<Issuer>>,
    roles: prestage_trust::Roles,
    stamps: Vec<Option<SystemTime>>,
}

/// Whom this coordinator trusts.
pub(crate) struct Trust {
    path: PathBuf,
    loaded: RwLock<Arc<Loaded>>,
    revoked: RwLock<HashSet<String>>,
}

impl Trust {
    /// Reads the trust file.
    pub fn open(path: &Path) -> Result<Self, TrustError> {
        let loaded = RwLock::new(Arc::new(Loaded::read(path, None)?));
        Ok(Self { path: path.into(), loaded, revoked: RwLock::default() })
    }

    /// What counts now.
    pub fn now(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What somebody may do now; nothing, if they were revoked.
    pub fn roles(&self, principal: &Principal) -> BTreeSet<Role> {
        if self.is_revoked(principal) { BTreeSet::new() } else { self.now().roles.of(principal) }
    }

    /// Whether somebody may not come back.
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        revoked.contains(&principal.identity.to_string())
    }

    /// How long a connection is kept: well below the life of a worker's certificate.
    pub fn connection_age(&self) -> Duration {
        let lifetime = self.now().file.worker_lifetime();
        CONNECTION_AGE_MAX.min(Duration::try_from(lifetime).unwrap_or(CONNECTION_AGE_MAX) / 4)
    }

    /// What this coordinator shows to another one.
    pub fn as_client(&self) -> ClientTrust {
        let file = &self.now().file;
        let mut authorities = vec![file.authority.certificate.clone()];
        authorities.extend(file.authority.also.iter().cloned());
        let (certificate, key) = (file.server.certificate.clone(), file.server.key.clone());
        let credentials = Some(CredentialFiles { certificate, key });
        let server_name = file.server.name.clone();
        ClientTrust { authorities, credentials, server_name, ..ClientTrust::default() }
    }

    /// Reads who is revoked.
    pub async fn read_revocations(
        &self,
        store: &(impl IdentityStore + ?Sized),
    ) -> Result<(), StateError> {
        let revoked = store.revocations().await?.into_iter().map(|one| one.identity).collect();
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = revoked;
        Ok(())
    }

    /// Keeps up with files and revocations until the shutdown.
    pub async fn keep_up(self: Arc<Self>, store: Arc<dyn StateStore>, shutdown: CancellationToken) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.read_revocations(&*store).await {
                // Those that are known stay revoked.
                tracing::warn!(%error, "who was revoked can't be read");
            }
            let this = self.clone();
            let reloaded = tokio::task::spawn_blocking(move || this.reload()).await;
            match reloaded {
                Ok(Ok(changed)) => {
                    if changed || failing {
                        tracing::info!(path = %self.path.display(), "the trust file was read anew");
                    }
                    failing = false;
                }
                Ok(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "the trust file can't be read: the last one counts");
                    }
                }
                Err(error) => tracing::error!(%error, "reading the trust file ended badly"),
            }
        }
    }

    /// Reads everything anew if a file has changed. What is wrong does not count.
    fn reload(&self) -> Result<bool, TrustError> {
        if stamps(&self.path, &self.now().file) == self.now().stamps {
            return Ok(false);
        }
        let loaded = Arc::new(Loaded::read(&self.path, Some(&self.now()))?);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }
}

impl Loaded {
    /// Reads everything. An issuer that stays the same keeps the keys that it has.
    fn read(path: &Path, before: Option<&Self>) -> Result<Self, TrustError> {
        let file = TrustFile::load(path)?;
        // Before the files: what changes while they are read is read again.
        let stamps = stamps(path, &file);
        let (end, authority, roles) = (ServerEnd::new(&file)?, file.authority()?, file.roles());
        let same = before.filter(|before| before.file.oidc == file.oidc);
        let issuer = match (same, &file.oidc) {
            (Some(same), _) => same.issuer.clone(),
            (None, Some(table)) => Some(Arc::new(issuer(path, table)?)),
            (None, None) => None,
        };
        Ok(Self { file, end, authority, issuer, roles, stamps })
    }
}

fn issuer(path: &Path, table: &OidcTable) -> Result<Issuer, TrustError> {
    let wrong = |problem: String| TrustError::Content { path: path.into(), problem };
    let settings = OidcSettings {
        issuer: table.issuer.parse().map_err(|error| wrong(format!("oidc.issuer: {error}")))?,
        audience: table.audience.clone(),
        name_claim: table.name_claim.clone(),
        groups_claim: table.groups_claim.clone(),
        root: table.root.clone(),
        leeway: LEEWAY,
    };
    Issuer::new(settings).map_err(|error| wrong(format!("oidc: {error}")))
}

fn stamps(path: &Path, file: &TrustFile) -> Vec<Option<SystemTime>> {
    let all = std::iter::once(path).chain(file.named());
    all.map(|path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok()).collect()
}
