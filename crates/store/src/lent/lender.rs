//! Lends access in each cloud in that cloud's own way.

use time::OffsetDateTime;

use super::{LendError, LentSecrets, RoleLender, SasLender, Scope, TokenLender, boundary, policy};
use crate::location::Cloud;

/// Lends access to buckets, in those clouds that it has a way for.
#[derive(Debug, Default)]
pub struct Lender {
    /// Of S3.
    pub s3: Option<RoleLender>,
    /// Of Azure.
    pub azure: Option<SasLender>,
    /// Of Google.
    pub google: Option<TokenLender>,
}

/// What is lent.
#[derive(Clone)]
pub struct LentAccess {
    /// What opens it.
    pub secrets: LentSecrets,
    /// Until when it counts.
    pub until: OffsetDateTime,
}

impl Lender {
    /// Whether it has a way in no cloud.
    pub fn is_empty(&self) -> bool {
        self.s3.is_none() && self.azure.is_none() && self.google.is_none()
    }

    /// Whether access to a scope can be lent at all, before anything is done for it.
    pub fn check(&self, scope: &Scope) -> Result<(), LendError> {
        if self.s3.is_some() {
            policy(&scope.within(Cloud::S3))?;
        }
        if self.google.is_some() {
            boundary(&scope.within(Cloud::Google))?;
        }
        Ok(())
    }

    /// Lends access to what of a scope is in these clouds, in the name of a session (2 to 64 letters, digits
    /// and `=,.@-`); `None` if nothing is.
    pub async fn lend(
        &self,
        scope: &Scope,
        session: &str,
        now: OffsetDateTime,
    ) -> Result<Option<LentAccess>, LendError> {
        let mut secrets = LentSecrets::default();
        let mut ends = Vec::new();
        let within = |cloud| Some(scope.within(cloud)).filter(|scope| !scope.is_empty());
        if let (Some(role), Some(scope)) = (&self.s3, within(Cloud::S3)) {
            let (key, until) = role.lend(&scope, session).await?;
            secrets.s3 = Some(key);
            ends.push(until);
        }
        if let (Some(sas), Some(scope)) = (&self.azure, within(Cloud::Azure)) {
            let (signatures, until) = sas.lend(&scope, now)?;
            secrets.azure = signatures;
            ends.push(until);
        }
        if let (Some(tokens), Some(scope)) = (&self.google, within(Cloud::Google)) {
            let (token, until) = tokens.lend(&scope, now).await?;
            secrets.google = Some(token);
            ends.push(until);
        }
        Ok(ends.into_iter().min().map(|until| LentAccess { secrets, until }))
    }
}
