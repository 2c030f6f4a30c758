//! What people and scripts call.

use std::{pin::Pin, sync::Arc};

use prestage_proto::v1::{self, media_service_server::MediaService};
use prestage_telemetry::{TRACEPARENT, span_under};
use prestage_trust::Role;
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};
use tracing::Instrument;

use super::{
    audited::{self, Target, who},
    authorize::{Authorizer, Caller},
    codes::plan_code,
    convert::{build_message, log_entry, not_found, stored_tasks},
    details::status_of,
    garbage,
    leaders::{Leader, Leaders, Way, forwarded},
    lending::Lending,
    planning::Planning,
    room::Room,
};
use crate::{
    audit::Audit,
    build_log::build_log,
    clock::Clock,
    engine::{Cancelled, Command},
    leadership::Active,
    pipeline::MediaPipeline,
    plan::MediaPlanner,
    registrar::Registrar,
    state::StateStore,
};

const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 1000;

/// Gives ids: passed in, so that a simulation repeats itself.
pub type NewId = Arc<dyn Fn() -> String + Send + Sync>;

/// The media service.
pub struct MediaApi {
    pub(crate) leaders: Leaders,
    pub(crate) planner: Arc<MediaPlanner>,
    pub(crate) planning: Planning,
    pub(crate) room: Room,
    pub(crate) pipeline: Arc<MediaPipeline>,
    pub(crate) registrar: Registrar,
    /// For reading: a standby does that too.
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) audit: Audit,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) new_id: NewId,
    pub(crate) authorizer: Authorizer,
    /// Lends workers access, if that is wanted.
    pub(crate) lending: Option<Arc<Lending>>,
    /// The trust zone of the packs that it builds with.
    pub(crate) zone: String,
}

impl MediaApi {
    /// Refuses to cancel what is another one's, but for an administrator.
    async fn is_own(&self, active: &Active, build_id: &str, caller: &Caller) -> Result<(), Status> {
        if caller.roles.contains(&Role::Admin) {
            return Ok(());
        }
        let requester = self.find(active, build_id).await?.requester;
        if requester == caller.name() {
            return Ok(());
        }
        let what = format!("the build is {requester}'s: an administrator can cancel it");
        Err(Status::permission_denied(what))
    }

    /// A build as the active coordinator knows it.
    async fn find(&self, active: &Active, build_id: &str) -> Result<v1::Build, Status> {
        let id = build_id.to_owned();
        let live = active.engine.ask(|reply| Command::Watch { build_id: id, reply }).await?;
        if let Some(shown) = live {
            return Ok(shown.borrow().clone());
        }
        self.read(build_id).await
    }

    /// A build as it is written down.
    async fn read(&self, build_id: &str) -> Result<v1::Build, Status> {
        let Some((record, tasks)) = self.store.build(build_id).await? else {
            return Err(not_found(build_id));
        };
        Ok(build_message(&record, stored_tasks(&record, &tasks)))
    }
}

/// The trace that a caller's request belongs to; empty if it is not traced.
fn trace_of(metadata: &MetadataMap) -> String {
    let value = metadata.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Passes on what the active coordinator shows. The stream ends when that one leads no more.
async fn watch_there(
    leader: &Leader,
    request: Request<v1::WatchBuildRequest>,
) -> Result<Response<BuildStream>, Status> {
    let shown = leader.answer(leader.media().watch_build(forwarded(request))).await?;
    let shown = futures::StreamExt::take_until(shown.into_inner(), Box::pin(leader.deposed()));
    Ok(Response::new(Box::pin(shown)))
}

type BuildStream = Pin<Box<dyn Stream<Item = Result<v1::WatchBuildResponse, Status>> + Send>>;

#[tonic::async_trait]
impl MediaService for MediaApi {
    async fn plan_media(
        &self,
        request: Request<v1::PlanMediaRequest>,
    ) -> Result<Response<v1::PlanMediaResponse>, Status> {
        if let Way::There(leader) = self.leaders.way(request.metadata())? {
            return leader.answer(leader.media().plan_media(forwarded(request))).await;
        }
        let span = tracing::info_span!("plan", otel.kind = "server");
        let span = span_under(span, &trace_of(request.metadata()));
        let who = who(Caller::of(request.extensions())?);
        let request = request.into_inner();
        let medium = audited::medium(&request.spec_json);
        let planned = Box::pin(async {
            let _turn = self.planning.turn(&who.principal).await?;
            let plan = self.planner.plan_media(request).instrument(span).await;
            let plan = plan.map_err(|failure| {
                let code = plan_code(&failure);
                status_of(&failure.into(), code)
            })?;
            let json = plan.to_json().map_err(|error| Status::internal(error.to_string()))?;
            Ok(Response::new(v1::PlanMediaResponse { plan_json: json.into() }))
        });
        self.audit.audited(&who, "PlanMedia", &medium, planned).await
    }

    async fn submit_build(
        &self,
        request: Request<v1::SubmitBuildRequest>,
    ) -> Result<Response<v1::SubmitBuildResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.media().submit_build(forwarded(request))).await;
            }
        };
        let trace = trace_of(request.metadata());
        let caller = Caller::of(request.extensions())?.clone();
        let mut request = request.into_inner();
        if !caller.is_local() {
            // Shares are fair only between those who are who they say.
            request.requester = caller.name();
        }
        let (medium, who) = (audited::medium(&request.plan_json), who(&caller));
        let submitted = Box::pin(async {
            let build_id = self.submit(&active, request, &trace, &who).await?;
            let target = Target(audited::build(&build_id));
            let mut response = Response::new(v1::SubmitBuildResponse { build_id });
            response.extensions_mut().insert(target);
            Ok(response)
        });
        self.audit.audited(&who, "SubmitBuild", &medium, submitted).await
    }

    async fn get_build(
        &self,
        request: Request<v1::GetBuildRequest>,
    ) -> Result<Response<v1::GetBuildResponse>, Status> {
        let build_id = request.into_inner().build_id;
        let build = match self.leaders.here() {
            Some(active) => self.find(&active, &build_id).await?,
            None => self.read(&build_id).await?,
        };
        Ok(Response::new(v1::GetBuildResponse { build: Some(build) }))
    }

    async fn list_builds(
        &self,
        request: Request<v1::ListBuildsRequest>,
    ) -> Result<Response<v1::ListBuildsResponse>, Status> {
        let request = request.into_inner();
        let asked = u32::try_from(request.page_size).unwrap_or(0);
        let size = if asked == 0 { PAGE_SIZE_DEFAULT } else { asked.min(PAGE_SIZE_MAX) };
        let records = self.store.list(&request.page_token, size).await?;
        let full = records.len() == size as usize;
        let next = records.last().filter(|_| full).map(|build| build.build_id.clone());
        let builds = records.iter().map(|record| build_message(record, Vec::new())).collect();
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListBuildsResponse { builds, next_page_token }))
    }

    async fn cancel_build(
        &self,
        request: Request<v1::CancelBuildRequest>,
    ) -> Result<Response<v1::CancelBuildResponse>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => {
                return leader.answer(leader.media().cancel_build(forwarded(request))).await;
            }
        };
        let caller = Caller::of(request.extensions())?.clone();
        let build_id = request.into_inner().build_id;
        let build = audited::build(&build_id);
        let cancelled = async {
            self.is_own(&active, &build_id, &caller).await?;
            let id = build_id.clone();
            let cancelling = active.engine.ask(|reply| Command::Cancel { build_id: id, reply });
            let stopping_workers = match cancelling.await? {
                Cancelled::Ended { stopping } => stopping,
                Cancelled::NotRunning => {
                    // One that has ended is as cancelled as it can be; an unknown one is a mistake.
                    self.find(&active, &build_id).await?;
                    Vec::new()
                }
            };
            Ok(Response::new(v1::CancelBuildResponse { stopping_workers }))
        };
        self.audit.audited(&who(&caller), "CancelBuild", &build, cancelled).await
    }

    async fn collect_garbage(
        &self,
        request: Request<v1::CollectGarbageRequest>,
    ) -> Result<Response<v1::CollectGarbageResponse>, Status> {
        // Any coordinator may do it: marks and pins are in the store.
        let who = who(Caller::of(request.extensions())?);
        let request = request.into_inner();
        let collected = async {
            let (policy, collector) = (garbage::policy(&request), (self.new_id)());
            let (now, dry_run) = (self.clock.now(), request.dry_run);
            let collected = self.pipeline.collect_garbage(&collector, &policy, dry_run, now).await;
            let collected =
                collected.map_err(|error| status_of(&error.into(), Code::Unavailable))?;
            Ok(Response::new(garbage::message(collected)))
        };
        let target = garbage::target(&request);
        self.audit.audited(&who, "CollectGarbage", &target, collected).await
    }

    async fn get_build_log(
        &self,
        request: Request<v1::GetBuildLogRequest>,
    ) -> Result<Response<v1::GetBuildLogResponse>, Status> {
        let who = who(Caller::of(request.extensions())?);
        let build_id = request.into_inner().build_id;
        let read = async {
            let Some((build, tasks)) = self.store.build(&build_id).await? else {
                return Err(not_found(&build_id));
            };
            let events = self.store.events(&build_id).await?;
            let entries = build_log(&build, &tasks, &events).into_iter().map(log_entry).collect();
            Ok(Response::new(v1::GetBuildLogResponse { entries }))
        };
        self.audit.audited(&who, "GetBuildLog", &audited::build(&build_id), read).await
    }

    type WatchBuildStream = BuildStream;

    async fn watch_build(
        &self,
        request: Request<v1::WatchBuildRequest>,
    ) -> Result<Response<BuildStream>, Status> {
        let active = match self.leaders.way(request.metadata())? {
            Way::Here(active) => active,
            Way::There(leader) => return watch_there(&leader, request).await,
        };
        let caller = Caller::of(request.extensions())?.clone();
        let build_id = request.into_inner().build_id;
        let id = build_id.clone();
        let live = active.engine.ask(|reply| Command::Watch { build_id: id, reply }).await?;
        let message = |build| Ok(v1::WatchBuildResponse { build: Some(build) });
        let Some(shown) = live else {
            let ended = self.read(&build_id).await?;
            return Ok(Response::new(Box::pin(tokio_stream::once(message(ended)))));
        };
        // The engine drops its end after it has shown the last state.
        let authorizer = self.authorizer.clone();
        let may_see = move |_: &v1::Build| {
            caller.principal.as_ref().is_some_and(|who| authorizer.still_admits(who))
        };
        Ok(Response::new(Box::pin(WatchStream::new(shown).take_while(may_see).map(message))))
    }
}
