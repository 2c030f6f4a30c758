//! From a request to a build that runs: nothing of it is left if it is refused.

use prestage_configmgr::admin_service::Registered;
use prestage_proto::v1;
use prestage_telemetry::span_under;
use time::OffsetDateTime;
use tonic::{Code, Status};
use tracing::Instrument;

use super::{
    MediaApi,
    codes::{begin_code, registration_code},
    convert::point_in_time,
    details::status_of,
};
use crate::{
    audit::Who,
    engine::{Command, EngineError},
    events::{BuildEvent, Happening},
    leadership::Active,
    pipeline::PipelineError,
    plan::{BuildPlan, medium_output},
    records::{BuildRecord, BuildState, NewTask},
    state::{Created, StateError},
};

impl MediaApi {
    /// Begins the build of a plan, and gives its id.
    pub(super) async fn submit(
        &self,
        active: &Active,
        request: v1::SubmitBuildRequest,
        trace: &str,
        who: &Who,
    ) -> Result<String, Status> {
        let plan = BuildPlan::parse(&request.plan_json);
        let plan = plan.map_err(|error| Status::invalid_argument(error.to_string()))?;
        if plan.zone != self.zone {
            return Err(Status::failed_precondition(format!(
                "the plan is of the trust zone '{}', and this coordinator builds in '{}': plan it \
                 here, or build it there",
                plan.zone, self.zone
            )));
        }
        let build_id = (self.new_id)();
        let request_id =
            if request.request_id.is_empty() { build_id.clone() } else { request.request_id };
        // Held until the build is running, and before anything is done for it.
        let _place = self.room.take(active, &request.requester, &request_id).await?;
        let span = tracing::info_span!("build", build_id, medium = plan.name, otel.kind = "server");
        let span = span_under(span, trace);
        let output = if request.output.is_empty() { plan.output.clone() } else { request.output };
        let output = medium_output(output, plan.split_mib);
        let output = output.map_err(|error| Status::invalid_argument(error.to_string()))?;
        if let Some(lending) = &self.lending {
            let lendable = lending.check_output(&output, plan.split_mib.is_some());
            lendable.map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        let registering = self.register(&plan, &build_id, request.no_register, who);
        let registered = registering.instrument(span.clone()).await?;
        let begun = self.begin(&build_id, &plan, &request.plan_json, &output, who);
        let (tasks, report_json) = begun.instrument(span.clone()).await?;
        self.check(active, &build_id, &tasks).await?;
        let now = self.clock.now();
        let build = BuildRecord {
            build_id: build_id.clone(),
            request_id,
            name: plan.name,
            requester: request.requester,
            priority: request.priority,
            deadline: request.deadline.map(point_in_time).transpose()?,
            plan_json: request.plan_json.to_vec(),
            output,
            state: if report_json.is_some() { BuildState::Done } else { BuildState::Running },
            failure: None,
            created: now,
            ended: report_json.is_some().then_some(now),
            report_json: report_json.unwrap_or_default(),
            traceparent: prestage_telemetry::traceparent(&span),
        };
        let build = Box::new(build);
        let created = active.engine.ask(|reply| Command::Add { build, tasks, span, reply }).await;
        match created {
            Ok(Created::New) => {
                note_registration(active, &build_id, registered, now).await?;
                Ok(build_id)
            }
            Ok(Created::Existing(existing)) => {
                // The request was made before; what was begun for it now is not needed.
                self.forget(&build_id).await;
                Ok(existing)
            }
            Err(error) => {
                if matches!(error, EngineError::State(StateError::Deposed)) {
                    self.forget(&build_id).await;
                }
                Err(error.into())
            }
        }
    }

    /// Makes the plan's certificate known to its site, unless somebody else does that.
    async fn register(
        &self,
        plan: &BuildPlan,
        build_id: &str,
        no_register: bool,
        who: &Who,
    ) -> Result<Option<Registered>, Status> {
        if no_register {
            return Ok(None);
        }
        // Before any work: a medium that no management point knows is of no use to anybody.
        self.registrar.register(plan, build_id, who).await.map_err(|error| {
            let code = registration_code(&error);
            status_of(&error.into(), code)
        })
    }

    /// Removes what was begun for a build that there is not.
    async fn forget(&self, build_id: &str) {
        let given_up = self.pipeline.give_up(build_id, Vec::new(), self.clock.now());
        if let Err(error) = given_up.await {
            tracing::warn!(build_id, %error, "what a vain request left stays behind");
        }
    }

    /// Refuses what none of the workers that are there can do: it would wait for ever.
    async fn check(
        &self,
        active: &Active,
        build_id: &str,
        tasks: &[NewTask],
    ) -> Result<(), Status> {
        let tasks = tasks.to_vec();
        let nobody = active.engine.ask(|reply| Command::Check { tasks, reply }).await?;
        if nobody.is_empty() {
            return Ok(());
        }
        self.forget(build_id).await;
        let lines = nobody.iter().map(|(label, wait)| format!("{label}: it would wait for {wait}"));
        let failure = v1::Failure {
            what: lines.collect::<Vec<_>>().join("\n"),
            advice: "start a worker that can do it (its --reach names distribution points), or \
                     choose other distribution points in the spec"
                .into(),
            retry: v1::Retry::Never.into(),
            ..Default::default()
        };
        Err(status_of(&failure, Code::FailedPrecondition))
    }

    /// The tasks that a build begins with; none, but its report, when its medium is there already.
    async fn begin(
        &self,
        build_id: &str,
        plan: &BuildPlan,
        plan_json: &[u8],
        output: &str,
        who: &Who,
    ) -> Result<(Vec<NewTask>, Option<Vec<u8>>), Status> {
        let refused = |error: PipelineError| {
            let code = begin_code(&error);
            status_of(&error.into(), code)
        };
        let unchanged = self.pipeline.unchanged(plan, plan_json, output).await;
        if let Some(report) = unchanged.map_err(refused)? {
            return Ok((Vec::new(), Some(report)));
        }
        match self.pipeline.begin(build_id, plan, output, who).await {
            Ok(tasks) => Ok((tasks, None)),
            Err(error) => {
                // Its pin is there already.
                self.forget(build_id).await;
                Err(refused(error))
            }
        }
    }
}

async fn note_registration(
    active: &Active,
    build_id: &str,
    registered: Option<Registered>,
    at: OffsetDateTime,
) -> Result<(), Status> {
    let Some(registered) = registered else {
        return Ok(());
    };
    let what = Happening::Registered { before: registered == Registered::Before };
    let event = BuildEvent { build_id: build_id.to_owned(), at, what };
    Ok(active.store.note(&[event]).await?)
}
