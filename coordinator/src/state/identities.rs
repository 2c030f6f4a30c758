//! Who was enrolled, and who may not come back.

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StateError;

/// A one-time token, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// What the token is recognised by.
    pub token_hash: String,
    /// The zone that its worker will be in.
    pub zone: String,
    /// The only name that it is for; empty for any that is free.
    pub name: String,
    /// When it was made.
    pub created: OffsetDateTime,
    /// By whom.
    pub created_by: String,
    /// Until when it can be used.
    pub expires: OffsetDateTime,
}

/// Somebody who wants to use a token.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// Of the token.
    pub token_hash: &'a str,
    /// Of the key that a certificate is wanted for.
    pub key_hash: &'a str,
    /// What the worker would be called.
    pub name: &'a str,
}

/// An identity that was given a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownIdentity {
    /// `worker/ZONE/NAME`.
    pub identity: String,
    /// Of its public key.
    pub key_hash: String,
    /// Of its newest certificate.
    pub serial: String,
    /// When that was issued.
    pub issued: OffsetDateTime,
    /// Until when it counts.
    pub expires: OffsetDateTime,
    /// Who made the token that it came with.
    pub enrolled_by: String,
}

/// Somebody who may not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Who.
    pub identity: String,
    /// Since when.
    pub at: OffsetDateTime,
    /// By whom.
    pub revoked_by: String,
}

/// What became of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It is used now, for this key.
    As(Enrolment),
    /// There is no such token, it has expired, or it was used for another key.
    NoToken,
    /// It is for a worker of another name.
    OtherName,
    /// A worker of this name has a certificate that still counts, for another key.
    NameTaken,
    /// This identity was revoked.
    Revoked,
}

/// Facts about identities. Transactions, fenced by the lead like all others.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// Keeps a new token.
    async fn add_enrolment(&self, enrolment: &Enrolment) -> Result<(), StateError>;

    /// Uses a token for a key. The same key may use it again while it is valid: its answer may have
    /// been lost.
    async fn enrol(
        &self,
        applicant: Applicant<'_>,
        now: OffsetDateTime,
    ) -> Result<Enrolled, StateError>;

    /// Keeps what an identity's newest certificate is.
    async fn note_identity(&self, identity: &KnownIdentity) -> Result<(), StateError>;

    /// One identity.
    async fn identity(&self, identity: &str) -> Result<Option<KnownIdentity>, StateError>;

    /// All identities, by name.
    async fn identities(&self) -> Result<Vec<KnownIdentity>, StateError>;

    /// Revokes an identity, or changes nothing if it is revoked.
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StateError>;

    /// Takes a revocation back.
    async fn restore(&self, identity: &str) -> Result<(), StateError>;

    /// All revocations.
    async fn revocations(&self) -> Result<Vec<Revocation>, StateError>;
}

/// Why a token is not for this applicant, whatever the token says of itself: the same for every store.
pub(super) fn refusal(
    enrolment: &Enrolment,
    applicant: &Applicant<'_>,
    known: Option<&KnownIdentity>,
    is_revoked: bool,
    now: OffsetDateTime,
) -> Option<Enrolled> {
    if is_revoked {
        return Some(Enrolled::Revoked);
    }
    if !enrolment.name.is_empty() && enrolment.name != applicant.name {
        return Some(Enrolled::OtherName);
    }
    // A token that names the worker was made for replacing it, if need be.
    let taken = known.is_some_and(|known| {
        enrolment.name.is_empty() && known.key_hash != applicant.key_hash && known.expires > now
    });
    taken.then_some(Enrolled::NameTaken)
}

/// The identity of a worker, as it is kept.
pub(super) fn worker_identity(zone: &str, name: &str) -> String {
    prestage_trust::Identity::Worker { zone: zone.into(), name: name.into() }.to_string()
}
