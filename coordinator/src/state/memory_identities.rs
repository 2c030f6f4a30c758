//! Identities in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    Applicant, Enrolled, Enrolment, IdentityStore, KnownIdentity, MemoryState, Revocation,
    StateError,
    identities::{refusal, worker_identity},
};

#[derive(Default)]
pub(super) struct Identities {
    /// With the key that each was used for.
    enrolments: BTreeMap<String, (Enrolment, Option<String>)>,
    known: BTreeMap<String, KnownIdentity>,
    revocations: BTreeMap<String, Revocation>,
}

#[async_trait]
impl IdentityStore for MemoryState {
    async fn add_enrolment(&self, enrolment: &Enrolment) -> Result<(), StateError> {
        let kept = &mut self.fenced()?.identities.enrolments;
        kept.retain(|_, (token, used)| used.is_some() || token.expires >= enrolment.created);
        kept.insert(enrolment.token_hash.clone(), (enrolment.clone(), None));
        Ok(())
    }

    async fn enrol(
        &self,
        applicant: Applicant<'_>,
        now: OffsetDateTime,
    ) -> Result<Enrolled, StateError> {
        let kept = &mut self.fenced()?.identities;
        let Some((enrolment, used_by)) = kept.enrolments.get_mut(applicant.token_hash) else {
            return Ok(Enrolled::NoToken);
        };
        let is_free = used_by.as_ref().is_none_or(|key| key == applicant.key_hash);
        if !is_free || enrolment.expires <= now {
            return Ok(Enrolled::NoToken);
        }
        let identity = worker_identity(&enrolment.zone, applicant.name);
        let (known, is_revoked) =
            (kept.known.get(&identity), kept.revocations.contains_key(&identity));
        if let Some(refused) = refusal(enrolment, &applicant, known, is_revoked, now) {
            return Ok(refused);
        }
        *used_by = Some(applicant.key_hash.to_owned());
        Ok(Enrolled::As(enrolment.clone()))
    }

    async fn note_identity(&self, identity: &KnownIdentity) -> Result<(), StateError> {
        let kept = &mut self.fenced()?.identities.known;
        kept.insert(identity.identity.clone(), identity.clone());
        Ok(())
    }

    async fn identity(&self, identity: &str) -> Result<Option<KnownIdentity>, StateError> {
        Ok(self.kept().identities.known.get(identity).cloned())
    }

    async fn identities(&self) -> Result<Vec<KnownIdentity>, StateError> {
        Ok(self.kept().identities.known.values().cloned().collect())
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<(), StateError> {
        let kept = &mut self.fenced()?.identities.revocations;
        kept.entry(revocation.identity.clone()).or_insert_with(|| revocation.clone());
        Ok(())
    }

    async fn restore(&self, identity: &str) -> Result<(), StateError> {
        self.fenced()?.identities.revocations.remove(identity);
        Ok(())
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, StateError> {
        Ok(self.kept().identities.revocations.values().cloned().collect())
    }
}
