//! Who may come, and how a worker gets its certificate.

use std::{collections::BTreeMap, sync::Arc};

use prestage_proto::v1::{self, trust_service_server::TrustService};
use prestage_trust::{
    Identity, TrustError,
    authority::{Issued, SigningRequest},
    enrolment::{new_token, token_hash},
    names,
};
use time::{Duration, OffsetDateTime};
use tonic::{Request, Response, Status};

use super::{
    audited::who,
    authorize::Caller,
    convert::timestamp,
    leaders::{Leaders, Way, forwarded},
};
use crate::{
    audit::{Audit, Who},
    clock::Clock,
    leadership::Active,
    state::{Applicant, Enrolled, Enrolment, KnownIdentity, Revocation, StateStore},
    trust::Trust,
};

const TOKEN_SECONDS_DEFAULT: u32 = 3600;
/// A token that lives for longer is lost somewhere.
const TOKEN_SECONDS_MAX: u32 = 7 * 24 * 3600;
/// A request has a key and a name.
const SIGNING_REQUEST_BYTES_MAX: usize = 16 << 10;
const IDENTITY_CHARS_MAX: usize = 512;

/// The trust service.
pub struct TrustApi {
    pub(crate) leaders: Leaders,
    /// None where nobody has to prove anything.
    pub(crate) trust: Option<Arc<Trust>>,
    /// For reading: a standby does that too.
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) audit: Audit,
    pub(crate) clock: Arc<dyn Clock>,
    /// The zone of the coordinator's packs.
    pub(crate) zone: String,
}

impl TrustApi {
    fn trust(&self) -> Result<&Arc<Trust>, Status> {
        self.trust.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "this coordinator has no trust file, so nobody needs a certificate: see 'prestage \
                 trust init'",
            )
        })
    }

    /// Signs a request and keeps what was signed.
    async fn issue(
        &self,
        active: &Active,
        identity: &Identity,
        request: &SigningRequest,
        enrolled_by: String,
        who: &Who,
    ) -> Result<Issued, Status> {
        let loaded = self.trust()?.now();
        let authority = loaded.authority.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "the active coordinator has no key to issue certificates with: name authority.key \
                 in its trust file",
            )
        })?;
        let now = self.clock.now();
        let target = identity.to_string();
        let by = format!("enrolled by {enrolled_by}");
        let deed = self.audit.asked(who, "issue certificate", &target, &by).await?;
        let issued = authority.sign(request, identity, now, loaded.file.worker_lifetime());
        deed.gave(&issued).await;
        let issued = issued.map_err(|error| Status::internal(error.to_string()))?;
        let known = KnownIdentity {
            identity: identity.to_string(),
            key_hash: request.key_hash(),
            serial: issued.serial.clone(),
            issued: now,
            expires: issued.not_after,
            enrolled_by,
        };
        active.store.note_identity(&known).await?;
        tracing::info!(%identity, serial = issued.serial, until = %issued.not_after, "issued a certificate");
        Ok(issued)
    }

    async fn enrolled(
        &self,
        active: &Active,
        request: &v1::EnrolRequest,
        who: &Who,
    ) -> Result<String, Status> {
        let name = names::checked(&request.name).map_err(wrong)?;
        let signing = signing_request(&request.signing_request)?;
        // Whether it is no token at all or an unknown one tells nothing to whoever guesses.
        let token_hash = token_hash(&request.token).unwrap_or_default();
        let key_hash = signing.key_hash();
        let applicant = Applicant { token_hash: &token_hash, key_hash: &key_hash, name };
        let denied = |what: &str| Err(Status::permission_denied(what));
        let enrolment = match active.store.enrol(applicant, self.clock.now()).await? {
            Enrolled::As(enrolment) => enrolment,
            Enrolled::NoToken => {
                return denied(
                    "the enrolment token is unknown, has expired, or was used: make another one \
                     with 'prestage trust token'",
                );
            }
            Enrolled::OtherName => {
                return denied("the enrolment token is for a worker of another name: see --name");
            }
            Enrolled::NameTaken => {
                return Err(Status::already_exists(format!(
                    "there is a worker '{name}' already: choose another name, or make a token for \
                     this one ('prestage trust token --name {name}')"
                )));
            }
            Enrolled::Revoked => {
                return denied("a worker of this name was revoked: see 'prestage trust restore'");
            }
        };
        let identity = Identity::Worker { zone: enrolment.zone, name: name.to_owned() };
        let issued = self.issue(active, &identity, &signing, enrolment.created_by, who).await?;
        Ok(issued.chain_pem)
    }
}

fn wrong(error: TrustError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn signing_request(der: &[u8]) -> Result<SigningRequest, Status> {
    if der.len() > SIGNING_REQUEST_BYTES_MAX {
        let what = format!("the signing request is larger than {SIGNING_REQUEST_BYTES_MAX} bytes");
        return Err(Status::invalid_argument(what));
    }
    SigningRequest::parse(der).map_err(wrong)
}

/// Only those who can come at all can be kept out.
fn revocable(identity: &str) -> Result<String, Status> {
    let is_somebody = match identity.split_once('/') {
        Some(("user" | "coordinator", name)) => names::checked(name).is_ok(),
        Some(("worker", rest)) => rest.split_once('/').is_some_and(|(zone, name)| {
            names::checked(zone).is_ok() && names::checked(name).is_ok()
        }),
        Some(("subject" | "oidc", name)) => !name.is_empty(),
        _ => false,
    };
    if is_somebody && identity.chars().count() <= IDENTITY_CHARS_MAX {
        return Ok(identity.to_owned());
    }
    Err(Status::invalid_argument(
        "that is no identity: user/NAME, subject/NAME, oidc/NAME, worker/ZONE/NAME or coordinator/NAME is \
         expected",
    ))
}

#[tonic::async_trait]
impl TrustService for TrustApi {
    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let principal = caller.principal.as_ref();
        let until = principal.and_then(|who| who.until);
        let until = until.and_then(|until| OffsetDateTime::from_unix_timestamp(until).ok());
        Ok(Response::new(v1::WhoAmIResponse {
            identity: caller.name(),
            groups: principal.map(|who| who.groups.clone()).unwrap_or_default(),
            roles: caller.roles.iter().map(ToString::to_string).collect(),
            until: until.map(timestamp),
        }))
    }

    async fn create_enrolment(
        &self,
        request: Request<v1::CreateEnrolmentRequest>,
    ) -> Result<Response<v1::CreateEnrolmentResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.trust().create_enrolment(forwarded(request))).await;
            }
        };
        self.trust()?;
        let who = who(Caller::of(request.extensions())?);
        let request = request.into_inner();
        let zone = if request.zone.is_empty() { self.zone.clone() } else { request.zone };
        names::checked(&zone).map_err(wrong)?;
        if !request.name.is_empty() {
            names::checked(&request.name).map_err(wrong)?;
        }
        let seconds = match request.valid_seconds {
            0 => TOKEN_SECONDS_DEFAULT,
            seconds if seconds <= TOKEN_SECONDS_MAX => seconds,
            _ => return Err(Status::invalid_argument("a token is valid for a week at most")),
        };
        let token = new_token().map_err(|error| Status::internal(error.to_string()))?;
        let created = self.clock.now();
        let enrolment = Enrolment {
            token_hash: token_hash(token.expose()).unwrap_or_default(),
            zone,
            name: request.name,
            created,
            created_by: who.principal.clone(),
            expires: created + Duration::seconds(seconds.into()),
        };
        let worker = if enrolment.name.is_empty() { "*" } else { &enrolment.name };
        let target = format!("worker/{}/{worker}", enrolment.zone);
        let kept = async {
            active.store.add_enrolment(&enrolment).await?;
            Ok(Response::new(v1::CreateEnrolmentResponse {
                token: token.expose().to_owned(),
                expires: Some(timestamp(enrolment.expires)),
            }))
        };
        self.audit.audited(&who, "CreateEnrolment", &target, kept).await
    }

    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.trust().enrol(forwarded(request))).await;
            }
        };
        let who = who(Caller::of(request.extensions())?);
        let certificate_chain = self.enrolled(&active, &request.into_inner(), &who).await?;
        Ok(Response::new(v1::EnrolResponse { certificate_chain }))
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.trust().renew_certificate(forwarded(request))).await;
            }
        };
        let caller = Caller::of(request.extensions())?;
        let identity = caller.principal.as_ref().map(|who| who.identity.clone());
        let Some(identity @ Identity::Worker { .. }) = identity else {
            return Err(Status::permission_denied("only workers' certificates are renewed here"));
        };
        let who = who(caller);
        let signing = signing_request(&request.into_inner().signing_request)?;
        let known = active.store.identity(&identity.to_string()).await?;
        let enrolled_by = known.map(|known| known.enrolled_by).unwrap_or_default();
        let issued = self.issue(&active, &identity, &signing, enrolled_by, &who).await?;
        let certificate_chain = issued.chain_pem;
        Ok(Response::new(v1::RenewCertificateResponse { certificate_chain }))
    }

    async fn list_identities(
        &self,
        _: Request<v1::ListIdentitiesRequest>,
    ) -> Result<Response<v1::ListIdentitiesResponse>, Status> {
        let mut found = BTreeMap::new();
        for known in self.store.identities().await? {
            found.insert(known.identity.clone(), known_identity(known));
        }
        for revocation in self.store.revocations().await? {
            let entry = found.entry(revocation.identity.clone());
            let one = entry.or_insert_with(|| v1::KnownIdentity {
                identity: revocation.identity,
                ..Default::default()
            });
            one.revoked = Some(timestamp(revocation.at));
            one.revoked_by = revocation.revoked_by;
        }
        let identities = found.into_values().collect();
        Ok(Response::new(v1::ListIdentitiesResponse { identities }))
    }

    async fn revoke_identity(
        &self,
        request: Request<v1::RevokeIdentityRequest>,
    ) -> Result<Response<v1::RevokeIdentityResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.trust().revoke_identity(forwarded(request))).await;
            }
        };
        let trust = self.trust()?;
        let who = who(Caller::of(request.extensions())?);
        let identity = revocable(&request.into_inner().identity)?;
        if identity == who.principal {
            return Err(Status::invalid_argument("nobody revokes themselves: ask another one"));
        }
        let (at, revoked_by) = (self.clock.now(), who.principal.clone());
        let revocation = Revocation { identity, at, revoked_by };
        let revoked = async {
            active.store.revoke(&revocation).await?;
            // Others read it within seconds.
            trust.read_revocations(&*active.store).await?;
            tracing::warn!(identity = revocation.identity, by = revocation.revoked_by, "revoked");
            Ok(Response::new(v1::RevokeIdentityResponse {}))
        };
        self.audit.audited(&who, "RevokeIdentity", &revocation.identity, revoked).await
    }

    async fn restore_identity(
        &self,
        request: Request<v1::RestoreIdentityRequest>,
    ) -> Result<Response<v1::RestoreIdentityResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.trust().restore_identity(forwarded(request))).await;
            }
        };
        let trust = self.trust()?;
        let who = who(Caller::of(request.extensions())?);
        let identity = revocable(&request.into_inner().identity)?;
        let restored = async {
            active.store.restore(&identity).await?;
            trust.read_revocations(&*active.store).await?;
            tracing::warn!(identity, "a revocation was taken back");
            Ok(Response::new(v1::RestoreIdentityResponse {}))
        };
        self.audit.audited(&who, "RestoreIdentity", &identity, restored).await
    }
}

fn known_identity(known: KnownIdentity) -> v1::KnownIdentity {
    v1::KnownIdentity {
        identity: known.identity,
        serial: known.serial,
        issued: Some(timestamp(known.issued)),
        expires: Some(timestamp(known.expires)),
        enrolled_by: known.enrolled_by,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identities_can_be_revoked() {
        for identity in ["user/alice", "worker/z/w", "coordinator/c", "subject/CN=A, O=B"] {
            assert_eq!(revocable(identity).unwrap(), identity);
        }
        for identity in ["local", "alice", "worker/w", "user/", "subject/", "user/a/b", "group/x"] {
            assert!(revocable(identity).is_err(), "{identity}");
        }
    }
}
