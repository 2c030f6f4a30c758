//! Who calls, and whether they may: asked before every call, and denied unless a rule allows it.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use http_body_util::BodyExt;
use prestage_oidc::OidcError;
use prestage_trust::{Identity, Principal, Role};
use time::OffsetDateTime;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{
    audited::{outcome, who},
    connection::Peer,
    open_connections::network,
    places::{Place, Places},
    rates::{Rates, ask_again},
    rules::{Rule, rule_of},
};
use crate::{audit::Audit, clock::Clock, trust::Trust};

/// A coordinator says with this whose call it sends on. From anybody else it counts for nothing.
pub(crate) const ON_BEHALF_OF: &str = "prestage-on-behalf-of";

/// Calls of one caller that are answered at once: each watched build is one, and each waiting worker.
const CALLS_OF_CALLER_MAX: usize = 2000;
/// Calls of all callers.
const CALLS_MAX: usize = 50_000;
/// The same for strangers, by address: probes watch a coordinator's health.
const CALLS_OF_STRANGER_MAX: usize = 100;
/// Calls of all strangers.
const CALLS_OF_STRANGERS_MAX: usize = 2000;
/// Watches don't end soon; whoever has too many ends one.
const CALL_AGAIN_IN: Duration = Duration::from_secs(1);

/// Decides about calls.
#[derive(Clone)]
pub(crate) struct Authorizer {
    /// None: whoever comes is on this machine, or whoever started the coordinator chose to trust all.
    trust: Option<Arc<Trust>>,
    clock: Arc<dyn Clock>,
    audit: Audit,
    rates: Arc<Rates>,
    calls: Arc<Places>,
    calls_of_strangers: Arc<Places>,
}

/// A caller who was let in. Handlers find it in the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who; nobody, where anybody may call.
    pub principal: Option<Principal>,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Where they are, as far as that is known.
    pub from: String,
}

impl Caller {
    /// The caller of a request. Without one the call came in a way that no rule was asked about.
    pub fn of(extensions: &Extensions) -> Result<&Self, Status> {
        let nobody = || Status::permission_denied("the call came past its rule");
        extensions.get::<Self>().ok_or_else(nobody)
    }

    /// How the caller is named in records.
    pub fn name(&self) -> String {
        self.principal.as_ref().map_or_else(|| "nobody".into(), |who| who.identity.to_string())
    }

    /// Whether anybody on this machine is the same to us.
    pub fn is_local(&self) -> bool {
        self.principal.as_ref().is_some_and(|who| who.identity == Identity::Local)
    }
}

impl Authorizer {
    pub fn new(trust: Option<Arc<Trust>>, clock: Arc<dyn Clock>, audit: Audit) -> Self {
        Self {
            trust,
            clock,
            audit,
            rates: Arc::default(),
            calls: Places::new(CALLS_OF_CALLER_MAX, CALLS_MAX),
            calls_of_strangers: Places::new(CALLS_OF_STRANGER_MAX, CALLS_OF_STRANGERS_MAX),
        }
    }

    /// Whether somebody who was let in might come in now.
    pub fn still_admits(&self, principal: &Principal) -> bool {
        let holds = principal.holds_at(self.clock.now());
        holds && !self.trust.as_ref().is_some_and(|trust| trust.is_revoked(principal))
    }

    /// Who is let in, and their place among the calls that are answered.
    async fn admit(
        &self,
        request: &http::request::Parts,
    ) -> Result<(Caller, Option<Place>), Status> {
        let path = request.uri.path();
        let Some(rule) = rule_of(path) else {
            return Err(Status::permission_denied(format!("nobody may call {path}")));
        };
        let peer = request.extensions.get::<Peer>();
        let from = peer.and_then(|peer| peer.address);
        let from = from.map(|address| address.to_string()).unwrap_or_default();
        let principal = self.principal(peer, &request.headers).await?;
        let roles = match (&principal, &self.trust) {
            (None, _) => BTreeSet::new(),
            (Some(_), None) => Role::ALL.into(),
            (Some(principal), Some(trust)) => trust.roles(principal),
        };
        let caller = Caller { principal, roles, from };
        let place = self.count(peer, &caller, rule)?;
        let checked = check(rule, path, caller.principal.as_ref(), &caller.roles);
        if let Err(refusal) = &checked {
            self.note(rule, path, &caller, refusal).await;
        }
        checked.map(|()| (caller, place))
    }

    /// Whoever is on this machine is not counted: there is nobody to protect from them.
    fn count(
        &self,
        peer: Option<&Peer>,
        caller: &Caller,
        rule: Rule,
    ) -> Result<Option<Place>, Status> {
        if self.trust.is_none() {
            return Ok(None);
        }
        let is_known = caller.principal.is_some();
        let address = peer.and_then(|peer| peer.address);
        let (name, calls) = match is_known {
            true => (caller.name(), &self.calls),
            false => (address.map(network).unwrap_or_default(), &self.calls_of_strangers),
        };
        self.rates.count(&name, is_known, rule)?;
        calls
            .take(&name)
            .map(Some)
            .map_err(|full| ask_again(&full.told("calls", &name, "being answered"), CALL_AGAIN_IN))
    }

    /// Records that somebody who is known was refused. Those who are not could fill the log; so could
    /// a worker without its role, which asks again and again.
    async fn note(&self, rule: Rule, path: &str, caller: &Caller, refusal: &Status) {
        if caller.principal.is_none() || rule == Rule::Has(Role::Work) {
            return;
        }
        let call = path.rsplit('/').next().unwrap_or(path);
        if let Err(error) = self.audit.denied(&who(caller), call, &outcome(refusal.code())).await {
            tracing::error!(call, %error, "the audit log lacks a refusal");
        }
    }

    /// Who calls: nobody, if nothing proves it.
    async fn principal(
        &self,
        peer: Option<&Peer>,
        headers: &HeaderMap,
    ) -> Result<Option<Principal>, Status> {
        let Some(trust) = &self.trust else {
            return Ok(Some(Principal::local()));
        };
        let now = self.clock.now();
        let Some(shown) = peer.and_then(|peer| peer.principal.clone()) else {
            let bearer = bearer(trust, headers, now).await?;
            if let Some(bearer) = &bearer {
                self.admissible(trust, bearer, now)?;
            }
            return Ok(bearer);
        };
        self.admissible(trust, &shown, now)?;
        // A coordinator has asked before what the caller is allowed; it is asked again here.
        let is_coordinator = matches!(shown.identity, Identity::Coordinator(_));
        match on_behalf_of(headers)?.filter(|_| is_coordinator) {
            Some(caller) => {
                self.admissible(trust, &caller, now)?;
                Ok(Some(caller))
            }
            None => Ok(Some(shown)),
        }
    }

    fn admissible(
        &self,
        trust: &Trust,
        principal: &Principal,
        now: OffsetDateTime,
    ) -> Result<(), Status> {
        let who = &principal.identity;
        if !principal.holds_at(now) {
            return Err(Status::unauthenticated(format!("the proof of {who} has expired")));
        }
        if trust.is_revoked(principal) {
            return Err(Status::unauthenticated(format!("{who} was revoked")));
        }
        Ok(())
    }
}

/// Whom a token names; nobody, if none is shown.
async fn bearer(
    trust: &Trust,
    headers: &HeaderMap,
    now: OffsetDateTime,
) -> Result<Option<Principal>, Status> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = shown.and_then(|shown| shown.strip_prefix("Bearer ")) else {
        return Ok(None);
    };
    let issuer = trust.now().issuer.clone().ok_or_else(|| {
        Status::unauthenticated("tokens are not taken here: the trust file has no [oidc]")
    })?;
    let bearer = issuer.verify(token, now).await.map_err(|error| match error {
        OidcError::Unreachable { .. } => Status::unavailable(error.to_string()),
        _ => Status::unauthenticated(error.to_string()),
    })?;
    Ok(Some(Principal {
        identity: Identity::Oidc(bearer.name),
        groups: bearer.groups,
        until: Some(bearer.expires.unix_timestamp()),
    }))
}

fn on_behalf_of(headers: &HeaderMap) -> Result<Option<Principal>, Status> {
    let Some(value) = headers.get(ON_BEHALF_OF) else {
        return Ok(None);
    };
    let principal = value.to_str().ok().map(Principal::from_header);
    match principal {
        Some(Ok(principal)) => Ok(Some(principal)),
        _ => Err(Status::invalid_argument("the caller that is spoken for can't be read")),
    }
}

fn check(
    rule: Rule,
    path: &str,
    principal: Option<&Principal>,
    roles: &BTreeSet<Role>,
) -> Result<(), Status> {
    let call = path.rsplit('/').next().unwrap_or(path);
    match (rule, principal) {
        (Rule::Anybody, _) | (Rule::Known, Some(_)) => Ok(()),
        (_, None) => Err(Status::unauthenticated(format!(
            "{call} takes somebody who is known here: show a certificate (--certificate, --key) or \
             a token (--token-file)"
        ))),
        (Rule::Has(role), Some(_)) if roles.contains(&role) => Ok(()),
        (Rule::Has(role), Some(principal)) => Err(Status::permission_denied(format!(
            "{call} takes the role '{role}', which {} does not have: whoever keeps the \
             coordinators' trust file can grant it",
            principal.identity
        ))),
    }
}

/// Puts an [`Authorizer`] in front of all services.
#[derive(Clone)]
pub(crate) struct AuthorizeLayer(pub Authorizer);

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize { authorizer: self.0.clone(), inner }
    }
}

/// Services behind an [`Authorizer`].
#[derive(Clone)]
pub(crate) struct Authorize<S> {
    authorizer: Authorizer,
    inner: S,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<http::Response<Body>, E>> + Send>>;

impl<S> Service<http::Request<Body>> for Authorize<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The one that is ready is used; the copy gets ready for the next call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let authorizer = self.authorizer.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match authorizer.admit(&head).await {
                Ok((caller, place)) => {
                    head.extensions.insert(caller);
                    let answer = inner.call(http::Request::from_parts(head, body)).await?;
                    Ok(answer.map(|body| held_until_sent(body, place)))
                }
                Err(status) => {
                    tracing::info!(call = head.uri.path(), %status, "a call was refused");
                    Ok(status.into_http())
                }
            }
        })
    }
}

/// An answer's body, which keeps its call's place until all of it is sent or nobody wants it any more.
fn held_until_sent(body: Body, place: Option<Place>) -> Body {
    let Some(place) = place else {
        return body;
    };
    Body::new(body.map_frame(move |frame| {
        let _held = &place;
        frame
    }))
}

#[cfg(test)]
mod tests {
    use http_body_util::Full as Whole;

    use super::*;
    use crate::service::places::Full;

    #[tokio::test]
    async fn a_call_has_its_place_until_its_answer_is_sent() {
        let places = Places::new(1, 10);
        let answer = |place| held_until_sent(Body::new(Whole::from("all of it")), Some(place));
        let body = answer(places.take("alice").unwrap());
        assert_eq!(places.take("alice").unwrap_err(), Full::Caller(1));
        let sent = body.collect().await.unwrap().to_bytes();
        assert_eq!(sent, "all of it");
        // Somebody who goes away leaves it too.
        drop(answer(places.take("alice").unwrap()));
        places.take("alice").unwrap();
    }
}
