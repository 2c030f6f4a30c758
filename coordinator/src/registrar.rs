//! Makes media certificates known to the site, before anything is built with them.

use std::sync::Arc;

use prestage_access::Access;
use prestage_configmgr::admin_service::{
    AdminService, AdminServiceError, Registered, RegistrationRecord,
};
use prestage_proto::v1;
use prestage_seal::{KeyRing, SealError};

use crate::{
    audit::{Audit, Who},
    plan::{BuildPlan, pfx_context},
    state::StateError,
};

/// Registers the certificates of plans with their sites.
pub struct Registrar {
    access: Access,
    keys: Arc<KeyRing>,
    audit: Audit,
}

/// Why a certificate could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// AdminService.
    #[error("the media certificate can't be registered with the site: {0}")]
    AdminService(#[from] AdminServiceError),
    /// The plan's sealed part.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The audit log.
    #[error("the certificate was not unsealed, for that can't be recorded: {0}")]
    Audit(#[from] StateError),
    /// The plan contradicts itself.
    #[error("the plan's certificate can't be read; make it again with 'prestage plan --save'")]
    Plan,
}

impl From<RegistrationError> for v1::Failure {
    fn from(error: RegistrationError) -> Self {
        let advice = match error {
            RegistrationError::AdminService(_) => {
                "mend that, or build with --no-register and run 'prestage register MEDIUM' before \
                 the medium is used"
            }
            RegistrationError::Seal(_) | RegistrationError::Audit(_) | RegistrationError::Plan => {
                ""
            }
        };
        let retry = v1::Retry::Never.into();
        Self { what: error.to_string(), advice: advice.into(), retry, ..Default::default() }
    }
}

impl Registrar {
    /// A registrar with the coordinator's identities and keys, and its audit log.
    pub fn new(access: Access, keys: Arc<KeyRing>, audit: Audit) -> Self {
        Self { access, keys, audit }
    }

    /// Makes a plan's certificate known to its site, for a build. `None` if the plan was made from an export.
    pub async fn register(
        &self,
        plan: &BuildPlan,
        build_id: &str,
        who: &Who,
    ) -> Result<Option<Registered>, RegistrationError> {
        let Some(address) = &plan.admin_service else {
            return Ok(None);
        };
        let certificate = &plan.certificate;
        let target = format!("build {build_id}");
        let deed = self.audit.asked(who, "unseal certificate", &target, &plan.name).await?;
        let pfx = self.keys.unseal(&plan.sealed_pfx, &pfx_context(&plan.media_guid)).await;
        deed.gave(&pfx).await;
        let pfx = pfx?;
        let record = RegistrationRecord {
            sms_id: plan.media_guid.clone(),
            certificate: hex::decode(&certificate.der).map_err(|_| RegistrationError::Plan)?,
            thumbprint: certificate.thumbprint.clone(),
            pfx,
            uda_setting: plan.media.uda_setting,
            key_type: certificate.kind.key_type(),
        };
        let service = AdminService::new(address, &self.access)?;
        Ok(Some(service.register(&record).await?))
    }
}
