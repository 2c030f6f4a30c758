//! Plans under another key, without a look at their secrets.

use prestage_seal::{KeyId, KeyRing, SealError, sealed_by};

use super::{BuildPlan, PlanError, pfx_context, variables_context};

/// Why a plan stays under the key that it is under.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// It can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The keys.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Some program wrote it in another way.
    #[error(
        "the plan was written anew by another program: save it again with 'prestage plan --save'"
    )]
    Rewritten,
}

/// A plan under the current key; `None` if it is there already. Every other byte of it stays.
///
/// # Errors
/// [`RewrapError`] when it is no plan, or the keys don't open it.
pub async fn rewrap_plan(plan_json: &[u8], keys: &KeyRing) -> Result<Option<Vec<u8>>, RewrapError> {
    let plan = BuildPlan::parse(plan_json)?;
    let parts = [
        (&plan.sealed, variables_context(&plan.media_guid)),
        (&plan.sealed_pfx, pfx_context(&plan.media_guid)),
    ];
    let mut text = String::from_utf8_lossy(plan_json).into_owned();
    let mut changed = false;
    for (sealed, context) in parts {
        let Some(rewrapped) = keys.rewrap(sealed, &context).await? else {
            continue;
        };
        if !text.contains(sealed.as_str()) {
            return Err(RewrapError::Rewritten);
        }
        text = text.replacen(sealed.as_str(), &rewrapped, 1);
        changed = true;
    }
    Ok(changed.then(|| text.into_bytes()))
}

/// The keys that a plan takes; `None` for one that the release before sealed, which does not say so.
///
/// # Errors
/// [`RewrapError`] when it is no plan.
pub fn sealed_under(plan_json: &[u8]) -> Result<Vec<Option<KeyId>>, RewrapError> {
    let plan = BuildPlan::parse(plan_json)?;
    let mut keys = vec![sealed_by(&plan.sealed)?, sealed_by(&plan.sealed_pfx)?];
    keys.dedup();
    Ok(keys)
}
