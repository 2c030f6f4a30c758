//! What workers call.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use prestage_proto::v1::{self, worker_service_server::WorkerService};
use prestage_trust::Identity;
use tonic::{Request, Response, Status};

use super::{
    authorize::Caller,
    leaders::{Leaders, Way, forwarded},
    lending::{HandedOut, LeaseId, Lending, lease_id},
};
use crate::{clock::Clock, engine::Command, schedule::Policy};

/// A call is held back for this long at most, whatever the worker asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The worker service.
pub struct WorkApi {
    leaders: Leaders,
    policy: Policy,
    zone: String,
    /// Lends workers what they need of the object store; none where they have access of their own.
    lending: Option<Arc<Lending>>,
    clock: Arc<dyn Clock>,
}

impl WorkApi {
    pub(crate) fn new(
        leaders: Leaders,
        policy: Policy,
        zone: String,
        lending: Option<Arc<Lending>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { leaders, policy, zone, lending, clock }
    }

    /// The leases as the worker needs them. Tasks that it has already are named, not sent again: one may
    /// have megabytes.
    async fn handed_out(
        &self,
        leases: Vec<v1::Lease>,
        request: &v1::SynchronizeRequest,
        known: &BTreeSet<LeaseId>,
    ) -> HandedOut {
        let finished = request.finished.iter().map(|task| (task.task_id.clone(), task.generation));
        let finished: BTreeSet<_> = finished.collect();
        let mut out = HandedOut { leases, ..HandedOut::default() };
        if let Some(lending) = &self.lending {
            let (mut ended, open): (Vec<_>, Vec<_>) =
                out.leases.into_iter().partition(|lease| finished.contains(&lease_id(lease)));
            out = lending.lend(open, known, self.clock.now()).await;
            out.leases.append(&mut ended);
        }
        for lease in out.leases.iter_mut().filter(|lease| known.contains(&lease_id(lease))) {
            lease.task = bytes::Bytes::new();
        }
        out
    }

    /// What the worker says of itself, but for its name: that is what its certificate says. No other
    /// worker can speak in its place, since the name is part of the id.
    fn named(
        &self,
        caller: &Caller,
        request: v1::SynchronizeRequest,
    ) -> Result<v1::SynchronizeRequest, Status> {
        if request.worker_id.is_empty() {
            return Err(Status::invalid_argument("worker_id is empty"));
        }
        if caller.is_local() {
            return Ok(request);
        }
        match caller.principal.as_ref().map(|who| &who.identity) {
            Some(Identity::Worker { zone, name }) if *zone == self.zone => {
                let worker_id = format!("{name}/{}", request.worker_id);
                Ok(v1::SynchronizeRequest { worker_id, worker_name: name.clone(), ..request })
            }
            Some(Identity::Worker { zone, .. }) => Err(Status::permission_denied(format!(
                "the worker was enrolled in the zone '{zone}', and this coordinator works in '{}'",
                self.zone
            ))),
            _ => Err(Status::permission_denied(format!("{} is no worker", caller.name()))),
        }
    }
}

#[tonic::async_trait]
impl WorkerService for WorkApi {
    async fn synchronize(
        &self,
        request: Request<v1::SynchronizeRequest>,
    ) -> Result<Response<v1::SynchronizeResponse>, Status> {
        let engine = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active.engine,
            Way::There(leader) => {
                let mut client = leader.work();
                return leader.answer(client.synchronize(forwarded(request))).await;
            }
        };
        let caller = Caller::of(request.extensions())?.clone();
        let request = self.named(&caller, request.into_inner())?;
        let known = known_to_worker(&request);
        let wait = Duration::from_millis(u64::from(request.wait_ms));
        // A lease must be renewed well before it ends.
        let wait = wait.min(WAIT_MAX).min(self.policy.lease_ttl / 3);
        let deadline = tokio::time::Instant::now() + wait;
        let mut work = engine.work.clone();
        loop {
            work.borrow_and_update();
            let asked = request.clone();
            let desired = engine.ask(|reply| Command::Synchronize { request: asked, reply });
            let desired = desired.await?;
            let wanted: BTreeSet<LeaseId> = desired.iter().map(lease_id).collect();
            let over = tokio::time::Instant::now() >= deadline;
            if wanted != known || over {
                let out = self.handed_out(desired, &request, &known).await;
                if !out.hopeless.is_empty() {
                    // What nobody can be given ends as if the worker had failed at it.
                    let mut request = request.clone();
                    request.finished.extend(out.hopeless);
                    engine.ask(|reply| Command::Synchronize { request, reply }).await?;
                }
                if over || says_more(&out.leases, &known) {
                    let desired = out.leases;
                    let lease_ttl_ms =
                        self.policy.lease_ttl.as_millis().try_into().unwrap_or(u32::MAX);
                    return Ok(Response::new(v1::SynchronizeResponse { desired, lease_ttl_ms }));
                }
            }
            tokio::select! {
                changed = work.changed() => if changed.is_err() {
                    return Err(Status::unavailable("the coordinator is shutting down"));
                },
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}

/// Whether an answer says more than the worker knows: one that leaves out what could not be lent access does
/// not, and can wait.
fn says_more(leases: &[v1::Lease], known: &BTreeSet<LeaseId>) -> bool {
    let said: BTreeSet<LeaseId> = leases.iter().map(lease_id).collect();
    said != *known || leases.iter().any(|lease| lease.access.is_some())
}

/// The leases that the worker knows it has: an answer that says the same can wait.
fn known_to_worker(request: &v1::SynchronizeRequest) -> BTreeSet<LeaseId> {
    let running = request.running.iter().map(|task| (task.task_id.clone(), task.generation));
    let finished = request.finished.iter().map(|task| (task.task_id.clone(), task.generation));
    running.chain(finished).collect()
}
